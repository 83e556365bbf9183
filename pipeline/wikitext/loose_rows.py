"""Drop the rows of tables that a template opens: the page has `|` and `!` lines, but no `{|`.

    {{s-start}}            a template that shows nothing, with a row on the next line
    |width=25%| before     blocks of rows, up to a block of anything else
    {{s-end}}              or up to a `|}` in the page

`cut` marks such templates; the rows are dropped here, once all templates are gone.
"""

from __future__ import annotations

import re
from typing import Final

from pipeline.wikitext import marks

# These marks are free at this stage: headings get theirs later.
ROWS: Final = marks.HEADINGS[0]
"""In place of a template that rows of a table may follow."""
ROWS_END: Final = marks.HEADINGS[1]
"""Where a `|}` closes no table of the page."""

_COMMENT: Final = r"<!--(?>(?:[^-]|-(?!->)){0,400})-->"
# Comments vanish; one alone on its line takes the line with it.
ROW_FOLLOWS: Final = re.compile(
    rf"(?>(?:[ \t]|{_COMMENT}){{0,9}})\n(?>(?:\s|{_COMMENT}){{0,12}})[|!]"
)
_ROW_LINE: Final = re.compile(rf"[ \t]*(?:[|!]|{ROWS_END})")
_BLANK_LINES: Final = re.compile(r"\n[ \t]*\n\s*")
# Signs nearby that a line beginning with ! is a row of headers, not a sentence.
_SURE_ROW: Final = re.compile(r"\n[ \t]*\||(?<!!)!!(?!!)|\|\|")
# "|x| is a length": in a cell, text before a second bar would be attributes, which have an `=`.
_BARS_AROUND_WORD: Final = re.compile(
    r"\|(?![|+}-])[^|=\n]{1,40}\|(?!\|)[^|\n]+(?:\n[ \t]*\n|\n?\Z)"
)


def drop_loose_rows(text: str) -> tuple[str, int]:
    r"""Return the text without the rows after its marks, and how many links were in them.

    >>> drop_loose_rows(f"a\n{ROWS}\n| [[b]] || c\n\nd")
    ('a\n\n\n\n\nd', 1)
    >>> drop_loose_rows(f"{ROWS}\n!Kung are a people.")
    ('\n!Kung are a people.', 0)
    """
    first, *others = text.split(ROWS)
    pieces, num_lost = [first], 0
    for piece in others:
        end = _end_of_rows(piece)
        num_lost += piece.count("[[", 0, end)
        pieces.append("\n\n" + piece[end:] if end else piece)
    return "".join(pieces).replace(ROWS_END, ""), num_lost


def _end_of_rows(piece: str) -> int:
    """Return where the rows at the beginning of a piece end, 0 if there are none."""
    start = len(piece) - len(piece.lstrip())
    heading = piece.find("\n=", start)
    limit = heading if heading >= 0 else len(piece)
    close = piece.find(ROWS_END, start, limit)
    if close < 0 and _BARS_AROUND_WORD.match(piece, start, limit):
        return 0
    if piece[start : start + 1] == "!" and close < 0:
        block = _BLANK_LINES.search(piece, start, limit)
        if not _SURE_ROW.search(piece, start, block.start() if block else limit):
            return 0
    end, position = 0, start
    while position < limit and (row := _ROW_LINE.match(piece, position, limit)):
        block = _BLANK_LINES.search(piece, row.end(), limit)
        end = block.start() if block else limit
        mark = piece.find(ROWS_END, position, end)
        if mark >= 0:
            return mark + 1
        position = block.end() if block else limit
    if end and close >= end and _is_one_table(piece[end:close]):
        return close + 1
    return end


def _is_one_table(between: str) -> bool:
    """Tell whether the text between rows and `|}` is cells of several paragraphs."""
    last = _BLANK_LINES.split(between.strip("\n"))[-1]
    return _ROW_LINE.match(last) is not None or "\n|" in last
