"""Mend a sentence from which a template, a file or a reference was left out.

    Athens ({{IPA|x}}; born 5), ANSI (ANSI, {{IPA|y}})  ─▶  Athens (born 5), ANSI (ANSI)

Only what stands next to such a hole is removed: brackets, quotation marks, punctuation, and dashes
between a hole and a bracket. Empty brackets that an author wrote, as in `main()`, stay.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from pipeline.wikitext import marks

_SQUARE: Final = marks.LITERAL["["] + marks.LITERAL["]"]
_PAIRS: Final = dict(
    zip(
        f"(（[［「『《〈【〔｛﴿〖｢⟨“„«‹‘‚{_SQUARE[0]}",
        f")）]］」』》〉】〕｝﴾〗｣⟩”“»›’‘{_SQUARE[1]}",
        strict=True,
    )
)
"""Openers, each with its closer."""
_QUOTES: Final = frozenset(('""', "''", "””", "’’", "»«", "›‹", "»»", "״״", "„”", "﴾﴿"))
"""Quotation marks used both ways: they count as a pair only around nothing but a hole."""
_OPENERS: Final = frozenset(_PAIRS)
_CLOSERS: Final = frozenset(_PAIRS.values()) - {"‘", "’"}
_WIDE_STOPS: Final = "，；：、"
_STOPS: Final = f",;:،؛՝{_WIDE_STOPS}"
_LOOSE: Final = f"{_STOPS} "
_AFTER_LABEL: Final = frozenset(";；、，؛")  # no ASCII comma: a romanised word may follow it
_ENDS: Final = frozenset(".。!?！？।։؟۔")
# Signs that join two things, and mean nothing in brackets next to a hole; then birth and death.
_LINKING: Final = r"\-–—―－〜～~/／・·•‧"
_JOINTS: Final = f"{_LINKING}−&+=＝"
_SIGNS: Final = "*†✝∗⚭"
_MAY_GO: Final = f"{_LOOSE}{marks.HOLE}{_JOINTS}{_SIGNS}"
"""Everything that a hole may take with it on its left."""
_CLOSING: Final = "".join(re.escape(closer) for closer in sorted(_CLOSERS))
_HOLE: Final = marks.HOLE
_LEFT: Final = re.compile(
    rf"(?:[{_LOOSE}{_HOLE}]|(?<![^{_LOOSE}{_HOLE}(（])[{_JOINTS}{_SIGNS}](?=[ {_HOLE}])"
    rf"|[{_LINKING}](?={_HOLE}))*\Z"
)
_RIGHT: Final = re.compile(
    rf"(?:[{_LOOSE}{_HOLE}]|[{_JOINTS}](?=[{_LOOSE}{_HOLE}{_CLOSING}])"
    rf"|[{_SIGNS}.。](?= ?[{_STOPS}{_HOLE}{_CLOSING}])|(?<={_HOLE})[{_LINKING}])*"
)
_RUN: Final = re.compile(f"[{_LOOSE}{_HOLE}]*")
# A short word between two holes in brackets, such as "or", in any language.
_ALONE: Final = re.compile(rf" ?\w{{1,5}} ?{_HOLE}(?=[)）])")
_SLASHED: Final = f"/ {_HOLE} /"
_LINK: Final = marks.ANCHOR_OPEN + marks.ANCHOR_CLOSE
_WORD_AHEAD: Final = re.compile(rf"[{_LINK}]?\w")
# After "label: hole" and a stop: a date, or the next label, which the first label does not govern.
_OWN_VALUE: Final = re.compile(rf"[{_LINK}]?(?:\d|[^\W\d][\w{_LINK} ]{{0,30}}[:：](?!//))")
_DASHES: Final = frozenset("–—-")
_ROUND: Final = frozenset("(（")
_LINE_ENDS: Final = ("\n", marks.UNSEEN_LINK)
_LINE_STARTS: Final = frozenset(f"\n{marks.ITEM}{marks.LINE}{marks.HEADINGS}")
# Square brackets may belong to a link, so `hole_between` checks one more character for them.
_BEFORE: Final = _OPENERS - {"["} | frozenset(_WIDE_STOPS)
_AFTER: Final = (_CLOSERS | frozenset(_STOPS)) - {"]"}
# Tags and quotes around a hole will have been removed by the time holes are mended.
_AROUND: Final = frozenset(("  ", "><", "''", " <", "> ", "\n ", "//")) | _QUOTES
_REACH: Final = 40
"""How many characters before a hole are examined: no sentence has more blanks and stops there."""
_MAX_NESTED: Final = 4


@lru_cache(maxsize=1 << 12)
def hole_between(before: str, after: str) -> str:
    """Return the mark to leave for something left out between `before` and `after`.

    Args:
        before: up to two characters.
        after: up to one character.

    >>> hole_between("(", "a") == marks.HOLE, hole_between("ab", "c"), hole_between("[[", "a")
    (True, '', '')
    """
    last = before[-1:]
    is_seen = (
        last in _BEFORE
        or after in _AFTER
        or last + after in _AROUND
        or (last == " " and after in _ENDS)
        or (last == "[" and after in "] ," and before != "[[")
    )
    return marks.HOLE if is_seen else ""


def mend_holes(text: str) -> str:
    """Remove the holes from a text, and the brackets and stops left with nothing in them.

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
        start, end, between = _mended(text, position, hole)
        pieces += (text[position:start], between)
        position, hole = end, text.find(marks.HOLE, end)
    pieces.append(text[position:])
    return "".join(pieces)


def _mended(text: str, position: int, hole: int) -> tuple[int, int, str]:
    """Return start and end of the text to replace around a hole, and the replacement."""
    before, after = text[hole - 1 : hole] if hole > position else "", text[hole + 1 : hole + 2]
    if before == "\n" and after in _LINE_ENDS:
        # Half of all holes: something that stood alone on its line.
        return hole, hole + 1, ""
    if before + after in _QUOTES or (before + after == "//" and _is_alone(text, hole)):
        return hole - 1, hole + 2, marks.HOLE
    if before == " " and text.startswith(_SLASHED, max(position, hole - 2)):
        # Slashes around a pronunciation, or between the words of a list.
        is_list = text[hole + 3 : hole + 4] == " " and _WORD_AHEAD.match(text, hole + 4)
        return (hole - 1, hole + 3, "") if is_list else (hole - 2, hole + 3, marks.HOLE)
    if before in _ROUND and (word := _ALONE.match(text, hole + 1)):
        return hole, word.end(), marks.HOLE
    window = text[max(position, hole - _REACH) : hole + 1]
    left = _LEFT.search(window, len(window.rstrip(_MAY_GO)))
    right = _RIGHT.match(text, hole)
    start = hole + 1 - len(left[0]) if left else hole
    end = right.end() if right else hole + 1
    opener, closer = text[start - 1 : start] if start > position else "", text[end : end + 1]
    is_open = opener in _OPENERS
    if is_open and closer == _PAIRS[opener]:
        # The brackets held nothing else: now they become the hole.
        return start - 1, end + 1, marks.HOLE
    if opener in _LINE_STARTS and text[end : end + 2] == ". ":
        end += 2
    if is_open or opener in _LINE_STARTS or closer in _CLOSERS:
        return start, end, ""
    return _in_sentence(text, hole, window)


def _is_alone(text: str, hole: int) -> bool:
    """Tell whether no word touches the signs around a hole."""
    return not (text[hole - 2 : hole - 1].isalnum() or text[hole + 2 : hole + 3].isalnum())


def _in_sentence(text: str, hole: int, window: str) -> tuple[int, int, str]:
    """Do the same for a hole that no bracket touches."""
    start = hole + 1 - len(window) + len(window[:-1].rstrip(_LOOSE))
    run = _RUN.match(text, hole)
    end = run.end() if run else hole + 1
    if text[start - 1 : start] in _DASHES and text[end : end + 1] in _DASHES:
        # One of the two dashes around it stays.
        return start, end + 1, ""
    around = text[start:end]
    before, _, rest = around.partition(marks.HOLE)
    if before.strip(" ") in (":", "：") and _is_another_value(text, end, rest):
        around = around.lstrip(" :：")
    return start, end, _between(around, text[end : end + 2])


def _is_another_value(text: str, end: int, rest: str) -> bool:
    """Tell whether the text after a label, a hole and `rest` is no value of that label."""
    if rest.strip(" ") and _OWN_VALUE.match(text, end):
        return True
    return text[end : end + 1] in _DASHES and text[end + 1 : end + 2] == " "


def _between(run: str, after: str) -> str:
    """Return which blanks and stops around a hole stay: those of one side."""
    if after[:1] in _ENDS and not (after[0] == "." and after[1:].isalnum()):
        return ""
    before, _, rest = run.partition(marks.HOLE)
    rest = rest.replace(marks.HOLE, "")
    stop = rest.strip(" ")[:1]
    is_label = stop in _AFTER_LABEL and before.strip(" ") in (":", "：")
    if before.strip(" ") and not is_label:
        return f"{before} " if rest.endswith(" ") and not before.endswith(" ") else before
    if stop:
        return f"{stop} " if rest.endswith(" ") else stop
    return " " if before or rest else ""
