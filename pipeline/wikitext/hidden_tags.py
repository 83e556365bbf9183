"""Tags whose content is not read as wikitext, and what it becomes: nothing, text or file links.

The extensions of a wiki bring tags of their own. A pair of tags that is neither HTML nor known here
is assumed to be one of those: its content is data, and is dropped along with the tags.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from collections.abc import Iterable
from functools import cache
from itertools import groupby
from typing import Final

from pipeline.wikitext import marks

DROPPED: Final = (
    "ref|references|timeline|imagemap|score|syntaxhighlight|source|graph|mapframe|maplink|"
    "templatestyles|hiero|inputbox|categorytree|indicator|section|templatedata|includeonly|"
    "charinsert|dynamicpagelist|quiz|rss|html|phonos|pages|math|chem|ce|gallery|nowiki|pre|tabber"
)
"""Names of tags whose content is not read as wikitext, as alternatives of a pattern."""
TEMPLATE, REFERENCE = 1, 3
"""Groups of `openers_and_closers`; group 2 only marks that a <ref/> ended there."""

_HTML: Final = (
    "a abbr address area article aside audio b base bdi bdo big blockquote body br button canvas "
    "caption center cite code col colgroup data datalist dd del details dfn dialog dir div dl dt "
    "em embed fieldset figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head "
    "header hgroup hr html i iframe img input ins kbd label legend li link main map mark menu meta "
    "meter nav noscript object ol optgroup option output p param picture progress q rb rp rt rtc "
    "ruby s samp script section select small span strike strong style sub summary sup svg table "
    "tbody td template textarea tfoot th thead time title tr track tt u ul var video wbr "
    "acronym blink marquee nobr"
)
# Tags that show the wikitext in them.
_SHOWN: Final = (
    "poem tabs tab spoiler spoilers hidden translate languages tvar onlyinclude noinclude verse "
    "lyrics"
)
KNOWN: Final = frozenset([*_HTML.split(), *_SHOWN.split(), *DROPPED.split("|")])
"""Names of all tags that do not belong to an unknown extension."""

_CLOSER: Final = re.compile(r"</([A-Za-z][A-Za-z0-9_:-]*)\s*>")
_GALLERY_FILE: Final = re.compile(r"^[^|\n\[\]{}]+\|(.*)$", re.MULTILINE)
_GALLERY_NAME: Final = "gallery"
_SIMPLE_FORMULA: Final = re.compile(r"[A-Za-z0-9 .,+()/!=-]{1,40}")
# <nowiki> around just one of these shows markup; prose gets signs that cannot be read as markup.
_ESCAPES: Final = {"''": '"', "{{": "{ {", "}}": "} }"}
_TAB: Final = re.compile(r"\s*([^=\n|]{1,200})=(.*)", re.DOTALL)


@cache
def openers_and_closers(has_variants: bool) -> re.Pattern[str]:
    """Return the pattern of everything that opens or closes something in wikitext.

    Nine in ten matches are one of its first alternatives: `TEMPLATE` is the content of a template
    with nothing nested in it, `REFERENCE` the content of a <ref> without tags in it.
    """
    # In `}}}-` the last brace closes a variant, the two before it a template inside the variant.
    variants = r"-\{(?!\{[^{])|\}-|(?:\}\})+(?=\}-)|" if has_variants else ""
    content = r"(?:[^{}<-]|-(?!\{))*" if has_variants else "[^{}<]*+"
    last, bar = (r"(?!\}(?!-))", "(?!-)") if has_variants else (r"(?!\})", "")
    return re.compile(
        rf"\{{\{{({content})\}}\}}{last}"
        r"|<ref(?=[\s/>])[^<>]*+>(?:(?<=/>)()|([^<]*+)</ref\s*>)"
        rf"|<(?:!--|/?table(?=[\s/>])|(?:{DROPPED})(?=[\s/>])"
        rf"|(?!(?:{_by_first_letter(KNOWN)})[\s/>])[a-z][a-z0-9_:-]*(?=[\s/>]))"
        # Only the brace of `|}` is matched, so that not every bar is tried. `{|}` closes no table.
        rf"|{variants}\{{(?:\{{+|\|)|\}}(?:\}}+|(?<=\|\}})(?<!(?<!\{{)\{{\|\}}){bar})",
        re.IGNORECASE,
    )


def _by_first_letter(names: Iterable[str]) -> str:
    """Return alternatives for names, grouped by first letter so that few characters are compared.

    >>> _by_first_letter(["b", "big", "i"])
    'b(?:|ig)|i(?:)'
    """
    groups = groupby(sorted(names), key=lambda name: name[0])
    return "|".join(f"{first}(?:{'|'.join(each[1:] for each in group)})" for first, group in groups)


class Closers:
    """Where tags of each name are closed in a text; all are found in one pass, on first use."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._places: dict[str, list[tuple[int, int]]] | None = None

    def after(self, name: str, start: int) -> tuple[int, int] | None:
        """Return start and end of the first closing tag of a name (in lower case) from `start` on.

        >>> Closers("<a>b</A > </c>").after("a", 3)
        (4, 9)
        """
        if self._places is None:
            self._places = {}
            for match in _CLOSER.finditer(self._text):
                self._places.setdefault(match[1].lower(), []).append(match.span())
        places = self._places.get(name, [])
        index = bisect_left(places, (start, 0))
        return places[index] if index < len(places) else None


def literal_content(name: str, content: str, attributes: str) -> str | None:
    """Return the text of a tag whose content is taken literally, None for other tags."""
    if name == "nowiki":
        content = _ESCAPES.get(content, content)
        return marks.BARRIER + marks.protect(_decoded(content)) + marks.BARRIER
    if name == "pre":
        plain = content.replace("<nowiki>", "").replace("</nowiki>", "")
        lines = marks.protect(_decoded(plain.strip("\n"))).replace("\n", marks.LINE)
        return f"\n\n{lines}\n\n"
    if name in ("math", "chem", "ce"):
        return _formula(content, attributes)
    if name in ("syntaxhighlight", "source") and "inline" in attributes:
        return marks.protect(content)
    return None


def gallery_captions(content: str) -> list[str]:
    """Return the captions of a gallery's lines: "A.jpg|a [[b]]" gives "a [[b]]"."""
    return _GALLERY_FILE.findall(content)


def gallery_links(captions: list[str]) -> str:
    """Return captions as links to files, so that later steps treat them as captions."""
    one_line = (each.replace("\n", " ") for each in captions)
    return "".join(f"\n[[File:{_GALLERY_NAME}|{each}]]" for each in one_line) + "\n"


def tabs_of(content: str) -> list[str]:
    r"""Return the parts of <tabber>, each its name and its text as paragraphs.

    >>> tabs_of("|-|First=One.|-|Second=Two.")
    ['First\n\nOne.', 'Second\n\nTwo.']
    """
    found = []
    for part in content.split("|-|"):
        tab = _TAB.fullmatch(part)
        text = f"{tab[1].strip()}\n\n{tab[2].strip()}" if tab else part.strip()
        if text:
            found.append(text)
    return found


def _decoded(text: str) -> str:
    """Decode entities, which keep their meaning even where markup is not read."""
    return marks.without_marks(html.unescape(text)) if "&" in text else text


def _formula(content: str, attributes: str) -> str:
    """Return a formula of letters and digits as text, and a mark in place of any other."""
    plain = content.strip()
    if _SIMPLE_FORMULA.fullmatch(plain):
        return marks.protect(plain)
    is_block = "block" in attributes
    return f"\n\n{marks.FORMULA}\n\n" if is_block else marks.FORMULA
