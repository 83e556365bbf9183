"""Mend what a template, a file or a reference leaves of a sentence when it is left out.

    Athens ({{IPA|x}}; born 5), ANSI (ANSI, {{IPA|y}})  ─▶  Athens (born 5), ANSI (ANSI)

Only brackets and stops beside such a hole go: those that an author wrote around nothing, as in
`main()`, are text.
"""

from __future__ import annotations

import re
from typing import Final

from pipeline.wikitext import marks

_PAIRS: Final = dict(zip("(（[［「『《〈【〔“„«‹", ")）]］」』》〉】〕””»›", strict=True))
_OPENERS: Final = frozenset(_PAIRS)
_CLOSERS: Final = frozenset(")）]］」』》〉】〕”“»›")
_STOPS: Final = ",;:，；：、،؛"
_LOOSE: Final = f"{_STOPS} "
_RUN: Final = re.compile(f"[{_LOOSE}{marks.HOLE}]*")
_ENDS: Final = frozenset(".。!?！？")
# Square brackets may be those of a link.
_BEFORE: Final = _OPENERS - {"["}
_AFTER: Final = (_CLOSERS | frozenset(_STOPS)) - {"]"}
# Tags and quotes around it will be gone, too, when holes are mended.
_AROUND: Final = frozenset(("  ", "><", "''", " <", "> "))
_REACH: Final = 40
"""How many blanks and stops before a hole are looked at: more is no sentence."""
_MAX_NESTED: Final = 4


def hole_between(before: str, after: str) -> str:
    """Return what to leave for something left out between two characters, "" for nothing.

    >>> hole_between("(", "a") == marks.HOLE, hole_between("a", "b")
    (True, '')
    """
    is_seen = before in _BEFORE or after in _AFTER or before + after in _AROUND
    return marks.HOLE if is_seen else ""


def mend_holes(text: str) -> str:
    """Take the holes out of a text, with the brackets and stops that stood around nothing.

    >>> mend_holes(f"a ({marks.HOLE}) is, and b (c, {marks.HOLE}) or main()")
    'a is, and b (c) or main()'
    """
    for _ in range(_MAX_NESTED):
        if marks.HOLE not in text:
            return text
        text = _mend_once(text)
    return text.replace(marks.HOLE, "")


def _mend_once(text: str) -> str:
    pieces: list[str] = []
    position, hole = 0, text.find(marks.HOLE)
    while hole >= 0:
        before = text[max(position, hole - _REACH) : hole]
        start = hole - len(before) + len(before.rstrip(_LOOSE))
        run = _RUN.match(text, start)
        end = run.end() if run else hole + 1
        opener = text[start - 1 : start] if start > position else ""
        closer = text[end : end + 1]
        if opener in _OPENERS:
            if closer == _PAIRS[opener]:
                # The brackets held nothing else: now they are the hole.
                start, end = start - 1, end + 1
                between = marks.HOLE
            else:
                between = ""
        elif closer in _CLOSERS:
            between = ""
        else:
            between = _between(text[start:end], closer)
        pieces += (text[position:start], between)
        position, hole = end, text.find(marks.HOLE, end)
    pieces.append(text[position:])
    return "".join(pieces)


def _between(run: str, after: str) -> str:
    """Return what stays of blanks and stops around a hole: those of one side."""
    before, _, rest = run.partition(marks.HOLE)
    rest = rest.replace(marks.HOLE, "")
    if before.strip(" "):
        return f"{before} " if rest.endswith(" ") and not before.endswith(" ") else before
    if stop := rest.strip(" ")[:1]:
        return f"{stop} " if rest.endswith(" ") else stop
    return " " if (before or rest) and after not in _ENDS else ""
