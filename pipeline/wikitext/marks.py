"""Characters that stand for structure while wikitext becomes text.

They are Unicode noncharacters, which no text should hold; those in a page are removed first. They
survive every replacement on the way, so offsets need to be counted only once, at the very end.
"""

from __future__ import annotations

import re
from typing import Final

FIRST, LAST = "\ufdd0", "\ufddf"
"""All marks lie between these."""

ANCHOR_OPEN: Final = "\ufdd0"
ANCHOR_CLOSE: Final = "\ufdd1"
UNSEEN_LINK: Final = "\ufdd2"
"""A link without text of its own, as in a caption or a hatnote."""
HATNOTE_TARGET: Final = "\ufdd3"
"""Before a link's target: the link came from a hatnote template."""
HEADINGS: Final = "\ufdda\ufddb\ufddc\ufddd\ufdde\ufddf"
"""Before a heading's line: one mark for each level from 1 to 6."""
HOLE: Final = "\ufdd4"
"""Where something was left out next to a bracket, blank or comma, which may have to go as well."""
ITEM: Final = "\ufdd5"
"""Before a list item's line, in place of its list marks."""
LINE: Final = "\ufdd6"
"""A line break that must stay one: <br>, or the end of a line of verse or preformatted text."""
BARRIER: Final = "\ufdd7"
"""Shows nothing, but keeps what stands before and after it apart: <nowiki/>, quotes."""
BAR: Final = "\ufdd8"
"""The `|` of {{!}}: separates a link's text from its target, but not template arguments."""
FORMULA: Final = "\ufdd9"
"""The hole a formula leaves."""

LITERAL: Final = {
    character: chr(0xFDE0 + index) for index, character in enumerate("[]{}|'<>=*#:;_&~")
}
"""Each character of markup with the stand-in that protects it from being read as markup."""
_PROTECT: Final = str.maketrans(LITERAL)

_FOREIGN: Final = re.compile("[\x00\ufdd0-\ufdef\ud800-\udfff]")
# All our characters begin with these bytes in UTF-8, where a search is three times as fast.
_FIRST_BYTES: Final = b"\xef\xb7"


def without_marks(text: str) -> str:
    r"""Remove what no text should hold: our own marks, NUL, lone surrogates.

    >>> without_marks("a\ufdd0b\x00c\ud800")
    'abc'
    """
    try:
        octets = text.encode("utf-8")
    except UnicodeEncodeError:
        return _FOREIGN.sub("", text)
    return _FOREIGN.sub("", text) if _FIRST_BYTES in octets or b"\0" in octets else text


def protect(text: str) -> str:
    """Replace the characters that markup is made of with stand-ins of the same length.

    >>> restore(protect("[[x]] ''y''")), "[" in protect("[[x]]")
    ("[[x]] ''y''", False)
    """
    return text.translate(_PROTECT)


def restore(text: str) -> str:
    """Undo `protect`."""
    for character, stand_in in LITERAL.items():
        if stand_in in text:
            text = text.replace(stand_in, character)
    return text
