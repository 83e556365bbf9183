"""Characters that stand for structure while wikitext becomes text.

They are Unicode noncharacters, which no text may hold: what a page holds of them is removed first.
Because they survive every replacement in between, offsets are counted once, at the very end.
"""

from __future__ import annotations

import re
from typing import Final

FIRST, LAST = "\ufdd0", "\ufddf"
"""All marks lie between these."""

ANCHOR_OPEN: Final = "\ufdd0"
ANCHOR_CLOSE: Final = "\ufdd1"
UNSEEN_LINK: Final = "\ufdd2"
"""A link without text of its own: a caption's, a hatnote's."""
HATNOTE_TARGET: Final = "\ufdd3"
"""Before a link's target: the link came from a hatnote template."""
HEADINGS: Final = "\ufdda\ufddb\ufddc\ufddd\ufdde\ufddf"
"""Before a heading's line: one for each level from 1 to 6."""
HOLE: Final = "\ufdd4"
"""Where something was left out beside a bracket, a blank or a comma, which may have to go too."""
ITEM: Final = "\ufdd5"
"""Before a list item's line, instead of its marks."""
LINE: Final = "\ufdd6"
"""A line break that stays a line break: <br>, a line of verse, of preformatted text."""
BARRIER: Final = "\ufdd7"
"""Nothing, but what stands before and after it is not adjacent: <nowiki/>, quotes."""
BAR: Final = "\ufdd8"
"""A `|` that separates no template arguments but does separate a link's text: {{!}}."""
FORMULA: Final = "\ufdd9"
"""The hole a formula leaves."""

_PROTECTED: Final = "[]{}|'<>=*#:;_&~"
_STAND_INS: Final = "".join(chr(0xFDE0 + index) for index in range(len(_PROTECTED)))
_PROTECT: Final = str.maketrans(_PROTECTED, _STAND_INS)
_ORIGINALS: Final = tuple(zip(_STAND_INS, _PROTECTED, strict=True))

_FOREIGN: Final = re.compile("[\x00\ufdd0-\ufdef\ud800-\udfff]")
# What all our characters begin with in UTF-8, where a search is three times as fast.
_FIRST_BYTES: Final = b"\xef\xb7"

LITERAL: Final = {character: chr(0xFDE0 + index) for index, character in enumerate(_PROTECTED)}
"""The stand-in of one character: LITERAL["["]."""


def without_marks(text: str) -> str:
    r"""Remove what cannot be in a text: our own marks, NUL, halves of surrogate pairs.

    >>> without_marks("a\ufdd0b\x00c\ud800")
    'abc'
    """
    try:
        octets = text.encode("utf-8")
    except UnicodeEncodeError:
        return _FOREIGN.sub("", text)
    return _FOREIGN.sub("", text) if _FIRST_BYTES in octets or b"\0" in octets else text


def protect(text: str) -> str:
    """Replace characters that markup is made of by stand-ins of the same length.

    >>> restore(protect("[[x]] ''y''")), "[" in protect("[[x]]")
    ("[[x]] ''y''", False)
    """
    return text.translate(_PROTECT)


def restore(text: str) -> str:
    """Undo `protect`."""
    for stand_in, character in _ORIGINALS:
        if stand_in in text:
            text = text.replace(stand_in, character)
    return text
