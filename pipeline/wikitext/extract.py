"""From the wikitext of a page to its text, with the exact place of every link in it.

    wikitext ─ cut ─▶ ─ markup ─▶ ─ links ─▶ marked text ─ layout ─▶ text, links, sections
       │        │          │           │                       │
       │   templates,   quotes,   mwparserfromhell for    offsets are
       │   tables, refs tags      all but plain links     counted here

In: the wikitext of one page. Out: the columns text, sections, links, categories and
is_disambiguation of `pages`. These hyperlinks are the edges of the document graph of LinkBERT
(arXiv:2203.15827), section 4.1.
"""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from pipeline.wiki.site_info import MAIN, SiteInfo
from pipeline.wiki.titles import InvalidTitle, Target, normalise_title
from pipeline.wikitext import marks
from pipeline.wikitext.cut import cut
from pipeline.wikitext.layout import lay_out, with_prefixes
from pipeline.wikitext.links import walk_links
from pipeline.wikitext.markup import protect_loose_brackets, strip_markup
from pipeline.wikitext.subpages import absolute_links
from pipeline.wikitext.templates.rules import Rules, rules_of
from pipeline.wikitext.tokens import Walk, walk_tokens
from pipeline.wikitext.unruled import PageLosses


class Link(NamedTuple):
    """A link of a page; offsets in code points of the text, None for a link without text."""

    start_char: int | None
    end_char: int | None
    target_title: str
    target_fragment: str | None
    target_namespace: int
    kind: str


# The same as Link(...), in half the time.
_new_link = partial(tuple.__new__, Link)


@dataclass(frozen=True, slots=True)
class Extraction:
    """What one page holds."""

    text: str
    sections: list[tuple[str, int, int]]
    """Title, level and start of each heading; the text holds the heading too."""
    links: list[Link]
    """In the order of the text, which also holds for links without text."""
    categories: list[str]
    """Normalised titles without their prefix, each once, in the order of the page."""
    is_disambiguation: bool
    dropped: dict[str, int]
    """Number of links in the wikitext that are not kept, by reason."""
    unruled: list[tuple[str, str]]
    """Calls in running prose of templates without a rule: name in lower case, and the call."""


def extract(wikitext: str, title: str, site: SiteInfo, rules: Rules | None = None) -> Extraction:
    r"""Return the text of a page, its links, sections and categories.

    `rules` say what templates show; the default is the rules for the wiki's language.

    >>> from pipeline.wiki.site_info import default_site
    >>> page = extract("'''Apples''' are [[fruit]]s.\n== Use ==\nEat.", "Apple", default_site())
    >>> page.text
    'Apples are fruits.\n\nUse\n\nEat.'
    >>> [(link.target_title, page.text[link.start_char : link.end_char]) for link in page.links]
    [('Fruit', 'fruits')]
    >>> page.sections
    [('Use', 2, 20)]
    """
    # A long page makes 100,000 tokens and no cycles: collecting garbage would take a third of it.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return _extract(wikitext, title, site, rules or rules_of(site.language))
    finally:
        if was_enabled:
            gc.enable()


def _extract(wikitext: str, title: str, site: SiteInfo, rules: Rules) -> Extraction:
    losses = PageLosses()
    text = cut(marks.without_marks(wikitext), title, site, rules, losses)
    text, calls_itself_one = strip_markup(text)
    text = absolute_links(text.replace(marks.BAR, "|"), title, site)
    walk = _walk(text, site, losses.dropped)
    layout = lay_out(with_prefixes(walk.marked_text(losses.dropped), site.rules.link_prefix))
    links = [
        _new_link(place + leads_to)
        for place, leads_to in zip(layout.places, walk.links, strict=True)
    ]
    is_disambiguation = calls_itself_one or losses.is_disambiguation
    return Extraction(
        text=layout.text,
        sections=layout.sections,
        links=links,
        categories=list(dict.fromkeys(walk.categories)),
        is_disambiguation=is_disambiguation
        or title.casefold().endswith(site.rules.disambiguation_suffixes),
        dropped={reason: number for reason, number in sorted(losses.dropped.items()) if number},
        unruled=losses.unruled,
    )


def _walk(text: str, site: SiteInfo, dropped: Counter[str]) -> Walk:
    walk = walk_links(text, site, dropped)
    if walk is None:
        text = protect_loose_brackets(text, site, dropped)
        walk = walk_links(text, site, dropped) or walk_tokens(text, site, dropped)
    return walk


def redirect_target(wikitext: str, title_attribute: str | None, site: SiteInfo) -> Target | None:
    """Return where a redirect page leads, or None when it is not a redirect.

    Dumps name the target in an attribute, without its section; the text has both. Old dumps have
    only the text.

    >>> from pipeline.wiki.site_info import default_site
    >>> redirect_target("#redirect: [[apple#History]]", "Apple", default_site())
    Target(title='Apple', fragment='History', namespace=0, is_interwiki=False)
    >>> redirect_target("An apple.", None, default_site()) is None
    True
    """
    match = site.rules.redirect.match(wikitext)
    written = normalise_title(match.group(1), site) if match else None
    if title_attribute is None:
        return None if isinstance(written, InvalidTitle) else written
    named = normalise_title(title_attribute, site)
    if isinstance(named, InvalidTitle):
        named = Target(title_attribute, None, MAIN, False)
    fragment = written.fragment if isinstance(written, Target) else None
    return named._replace(fragment=fragment or named.fragment)
