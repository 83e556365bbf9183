"""Plain text for people: tables, wrapped paragraphs, and no control sequences."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable, Sequence

WIDTH = 100
"""Columns of printed text; narrower terminals wrap it themselves."""


def printable(text: str) -> str:
    r"""Replace characters that control a terminal (titles come from strangers); keep line breaks.

    >>> printable("red \x1b[31m title")
    'red \ufffd[31m title'
    """
    if text.isprintable():
        return text
    return "".join(
        "\ufffd" if unicodedata.category(char) in ("Cc", "Cf", "Cs") and char not in _KEPT else char
        for char in text
    )


# Joiners shape letters in Persian and Indic scripts, plain direction marks belong to Arabic and
# Hebrew, and soft hyphens occur in any text: all are harmless. Overrides (U+202E) reverse a line.
_KEPT = frozenset("\n\t\u200c\u200d\u200e\u200f\u00ad")


def rows_of(pairs: Iterable[tuple[str, object]], indent: str = "  ") -> str:
    """Return aligned lines of names and values; numbers get thousands separators.

    >>> print(rows_of([("pages", 1204), ("share", "31 %"), ("init", None)]))
      pages  1,204
      share  31 %
      init   none
    """
    cells = [(name, _cell(value)) for name, value in pairs]
    width = max((len(name) for name, _ in cells), default=0)
    return "\n".join(f"{indent}{name:<{width}}  {value}".rstrip() for name, value in cells)


def table_of(header: Sequence[str], rows: Iterable[Sequence[object]], indent: str = "  ") -> str:
    """Return a table with a header and aligned columns, numbers to the right.

    >>> print(table_of(["relation", "count"], [["linked", 1000], ["random", 7]]))
      relation  count
      linked    1,000
      random        7
    """
    body = list(rows)
    lines = [list(header), *[[_cell(value) for value in row] for row in body]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    numeric = [
        bool(body) and all(isinstance(row[column], int | float) for row in body)
        for column in range(len(header))
    ]
    return "\n".join(
        (
            indent
            + "  ".join(
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(line, widths, numeric, strict=True)
            )
        ).rstrip()
        for line in lines
    )


def wrapped(text: str, indent: str = "  ", *, keep_blank: bool = False) -> str:
    """Wrap each line of a text to the width, and make control characters visible.

    Args:
        text: any text.
        indent: the beginning of each line.
        keep_blank: whether to keep blank lines between paragraphs.
    """
    lines = [
        textwrap.fill(line, WIDTH, initial_indent=indent, subsequent_indent=indent)
        for line in printable(text).split("\n")
    ]
    return "\n".join(line.rstrip() for line in lines if keep_blank or line.strip())


def _cell(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return printable(str(value)).replace("\n", " ")
