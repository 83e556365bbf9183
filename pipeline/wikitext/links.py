"""Find the links of a page: split it into plain text, plain links and the few odd places.

    marked-up text ──┬─ plain text         kept as it is
                     ├─ [[target|anchor]]  each target is looked up once, however often it is linked
                     └─ odd places         tokenized: headings, entities, links that are not plain

Once templates, tables and tags are gone, wikitext has hardly any context: the text between two
links does not change what they mean. So the tokenizer need not see the page as a whole, nor the
same place twice, which halves the time of tokenizing and walking. A page where this does not hold
(unbalanced brackets, headings across links) is refused here and tokenized as a whole.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import Final

from pipeline.wiki.site_info import FILE, SiteInfo, default_site
from pipeline.wikitext import marks
from pipeline.wikitext.tokens import Walk, Walker, tokenize

_OPEN, _CLOSE = marks.ANCHOR_OPEN, marks.ANCHOR_CLOSE
# Each alternative follows a first character that `_pattern` matches, so the regular expression
# engine tries no place with another character. The groups of a plain link are target and anchor.
_PLAIN_LINK: Final = r"(?<=\[)\[([^\[\]|\n&]++)(?:\|([^\[\]\n&]++))?\]\]"
# Any link, including one that holds other links, as files do.
_LINK: Final = r"(?<=\[)\[[^\[\]]*+(?>(?:\[\[[^\[\]]*+\]\][^\[\]]*+)*)\]\]"
_HEADING: Final = r"(?<=\n)=[^\n\[\]]*+(?>(?:\[\[[^\n\[\]]*+\]\][^\n\[\]]*+)*)(?=\n|\Z)"
_PLAIN_HEADING: Final = re.compile(r"\n(={1,6})([\w ,.!?'’()・–-]++)\1")
_ENTITY: Final = "(?<=&)#?[A-Za-z0-9]{1,32};"
# The mark of a heading, or of a list that `strip_markup` missed behind a stray bracket.
_LINE_MARK: Final = re.compile("\n[=*#:;]")
_FIELDS: Final = 5
"""Plain text, the link or odd place after it, and a plain link's target, anchor and trail."""


def walk_links(text: str, site: SiteInfo, dropped: Counter[str]) -> Walk | None:
    """Do what `walk_tokens` does; return None if the page has to be tokenized as a whole.

    >>> walk = walk_links("an [[apple|Apple]]s &amp; [[pear]]", default_site(), Counter())
    >>> marks.restore("".join(walk.pieces)).replace(_OPEN, "<").replace(_CLOSE, ">")
    'an <Apples> & <pear>'
    >>> walk_links("[[a [[b]]", default_site(), Counter()) is None
    True
    """
    parts = _pattern(site.rules.link_trail).split(text)
    if not _is_well_split(parts, site):
        return None
    walker = Walker(site, dropped)
    found, known, look_up = walker.found, walker.known, walker.look_up
    add, add_link = found.pieces.append, found.links.append
    parts += [None] * (_FIELDS - 1)
    fields = iter(parts)
    for plain, place, target, anchor, trail in zip(*[fields] * _FIELDS, strict=True):
        if plain:
            add(plain)
        if target is not None:
            page, shown, leads_to, silence = known.get(target) or look_up(target)
            if shown is not None and (anchor is None or _is_plain(anchor)):
                add_link(leads_to)
                add(f"{_OPEN}{anchor or shown}{trail}{_CLOSE}")
            elif silence:
                walker.note_silent(page, silence, anchor)
                add(trail)
            else:
                walker.walk(tokenize(place))
        elif place is not None:
            if "[[" in place:
                walker.walk(tokenize(place))
            else:
                add(_text_of(place))
    return found


@lru_cache(maxsize=16)
def _pattern(trail: re.Pattern[str] | None) -> re.Pattern[str]:
    letters = f"{trail.pattern}|" if trail else ""
    return re.compile(
        rf"([\[\n&](?:{_PLAIN_LINK}({letters})|{_LINK}(?:{letters})|{_HEADING}|{_ENTITY}))"
    )


def _is_well_split(parts: list[str], site: SiteInfo) -> bool:
    """Tell whether every bracket became part of a link, and every heading an odd place."""
    plain = "".join(parts[::_FIELDS])
    if "[[" in plain or "]]" in plain or _LINE_MARK.search(plain):
        return False
    places, targets = parts[1::_FIELDS], parts[2::_FIELDS]
    odd = [place for place, target in zip(places, targets, strict=True) if target is None]
    return all(_stands_alone(place, site) for place in odd)


def _stands_alone(odd: str, site: SiteInfo) -> bool:
    """Tell whether an odd place means the same without the text around it.

    Only links to files hold other links; any other outer brackets are not a link.
    """
    if odd[0] != "[":
        return True
    if "\n=" in odd:
        return False
    is_flat = odd.find("[[", 2) < 0
    return is_flat or site.namespace_id(odd[2:].partition(":")[0]) == FILE


def _is_plain(anchor: str) -> bool:
    return anchor[0] != " " and anchor[-1] != " " and anchor.isprintable()


@lru_cache(maxsize=1 << 14)
def _text_of(odd: str) -> str:
    """Return the marked text of an entity, or of a heading without links."""
    heading = _PLAIN_HEADING.fullmatch(odd)
    if heading:
        return f"\n\n{marks.HEADINGS[len(heading[1]) - 1]}{heading[2]}\n"
    return "".join(Walker(default_site(), Counter()).walk(tokenize(odd)).pieces)
