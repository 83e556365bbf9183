r"""Lay marked text out in paragraphs and count the offsets of links and sections in it.

    marked:  intro ⟨an⟩apple⟨/an⟩\n\n⟨h2⟩History\n⟨item⟩one\n⟨item⟩two
    text:    intro apple\n\nHistory\n\none\ntwo

Paragraphs are separated by one blank line, items of a list by a line break. Offsets are counted
here and nowhere else, after every other change to the text has been made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from typing import Final

from pipeline.wikitext import marks
from pipeline.wikitext.holes import mend_holes

FORMULA_TEXT: Final = "[formula]"
"""Stands for a formula that cannot be written as text, in a sentence or alone."""

# A range of characters is matched faster than the set of marks that are left at this point.
_MARK: Final = re.compile(f"([{marks.FIRST}-{marks.LAST}])")
_WORD: Final = re.compile(r"\w")
_BESIDE_UNSEEN: Final = re.compile(f" *({marks.UNSEEN_LINK}+) *")
_PARAGRAPH, _ITEM, _HEADING, _LINES = range(4)
# Keyed by the first character of a line; a line that begins with a blank keeps its break.
_KINDS: Final = {marks.ITEM: _ITEM, " ": _LINES, **dict.fromkeys(marks.HEADINGS, _HEADING)}


@dataclass(slots=True)
class Layout:
    """Plain text with the places of its links and sections, in code points."""

    text: str = ""
    places: list[tuple[int | None, int | None]] = field(default_factory=list)
    """Start and end of each link, in the order of the marks; None for a link without text."""
    sections: list[tuple[str, int, int]] = field(default_factory=list)
    """Title, level and start of each heading."""


def lay_out(marked: str) -> Layout:
    r"""Turn marked text into plain text with offsets.

    >>> marked = f"a  {marks.ANCHOR_OPEN}b{marks.ANCHOR_CLOSE} c\n\n\n{marks.HEADINGS[1]}T\n"
    >>> page = lay_out(marked)
    >>> page.text, page.places, page.sections
    ('a b c\n\nT', [(2, 3)], [('T', 2, 7)])
    """
    return _measure(_join_blocks(_clean(marked)))


def with_prefixes(text: str, letter: str) -> str:
    """Move letters before a link into its anchor, on wikis with such link prefixes.

    >>> with_prefixes(f"a «{marks.ANCHOR_OPEN}b", "[„«]") == f"a {marks.ANCHOR_OPEN}«b"
    True
    """
    return _prefix_pattern(letter).sub(rf"{marks.ANCHOR_OPEN}\1", text) if letter else text


@cache
def _prefix_pattern(letter: str) -> re.Pattern[str]:
    # Blanks and marks never count as letters, even where the wiki's range includes them.
    one = rf"(?![\s{marks.FIRST}-\ufdef]){letter}"
    return re.compile(rf"(?<!{one})((?:{one})+){marks.ANCHOR_OPEN}")


def _clean(text: str) -> str:
    """Fold blanks and mend the punctuation around holes; no mark is touched."""
    text = text.replace("\xa0", " ").replace("\t", " ").replace("\r", "")
    text = text.replace(marks.BARRIER, "").replace(marks.BAR, "|")
    if marks.HOLE in text:
        text = mend_holes(text)
    while "  " in text:
        text = text.replace("  ", " ")
    return text


def _join_blocks(text: str) -> str:
    """Put each paragraph and list item on its own line, separated as `_separator` says."""
    pieces: list[str] = []
    previous, is_gap, unseen, was_formula = -1, True, "", False
    for line in text.split("\n"):
        if not line or line == " ":
            is_gap = True
            continue
        kind = _KINDS.get(line[0], _PARAGRAPH)
        body = _body_of(line, kind)
        has_words = body[:1].isalnum() or marks.ANCHOR_OPEN in body or _WORD.search(body)
        # Consecutive lines that hold only formulas are reduced to the first.
        if not has_words and (was_formula or marks.FORMULA not in body):
            # The line goes, but its links without text are kept, in order.
            unseen += marks.UNSEEN_LINK * body.count(marks.UNSEEN_LINK)
            is_gap = is_gap or kind != _ITEM
            continue
        if pieces:
            pieces.append(_separator(previous, kind, is_gap))
        if unseen:
            pieces.append(unseen)
            unseen = ""
        pieces.append(body)
        previous, is_gap, was_formula = kind, False, not has_words
    return "".join(pieces) + unseen


def _body_of(line: str, kind: int) -> str:
    if kind == _HEADING:
        body = line[0] + line[1:].strip(" ")
    else:
        if marks.ITEM in line:
            line = line.replace(marks.ITEM, "")
        if marks.UNSEEN_LINK in line:
            line = _BESIDE_UNSEEN.sub(_one_blank, line)
        body = line.strip(" ")
    return _keep_lines(body) if marks.LINE in body else body


def _one_blank(match: re.Match[str]) -> str:
    """Leave one blank around links without text, and none at the ends of a line."""
    is_inside = match.start() > 0 and match.end() < len(match.string)
    return match.group(1) + (" " if is_inside and " " in match.group() else "")


def _separator(previous: int, kind: int, is_gap: bool) -> str:
    if previous == _HEADING or kind == _HEADING:
        return "\n\n"
    if kind == _ITEM and (previous == _ITEM or not is_gap):
        return "\n"
    if is_gap or previous == _ITEM:
        return "\n\n"
    return "\n" if kind == _LINES or previous == _LINES else " "


def _keep_lines(body: str) -> str:
    lines = (line.strip(" ") for line in body.split(marks.LINE))
    return "\n".join(line for line in lines if line)


def _measure(text: str) -> Layout:
    """Remove the marks and note where they stood."""
    if marks.FORMULA in text:
        text = text.replace(marks.FORMULA, FORMULA_TEXT)
    parts = _MARK.split(text)
    pieces = parts[::2]
    found = Layout(marks.restore("".join(pieces)))
    # The n-th mark follows the n-th piece, so its offset is the total length of the first n pieces.
    _note_places(found, zip(parts[1::2], accumulate(map(len, pieces)), strict=False))
    return found


def _note_places(found: Layout, marked: Iterator[tuple[str, int]]) -> None:
    text, start = found.text, 0
    for mark, offset in marked:
        if mark == marks.ANCHOR_OPEN:
            start = offset
        elif mark == marks.ANCHOR_CLOSE:
            found.places.append((start, offset))
        elif mark == marks.UNSEEN_LINK:
            found.places.append((None, None))
        else:
            end = text.find("\n", offset)
            title = text[offset : end if end >= 0 else len(text)]
            found.sections.append((title, marks.HEADINGS.index(mark) + 1, offset))
