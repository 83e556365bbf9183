r"""Sentences and paragraphs of plain text in any script, by punctuation alone.

A wrong guess costs little: a sentence end is only a place where a segment may end. So rules that
need a dictionary are left out; what is kept are the signs of all scripts, and the short forms
after which a full stop most often ends nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Full stops of many scripts that are followed by a blank where a sentence ends: Latin, Greek
# question mark, Armenian, Arabic, Urdu, Devanagari, Ethiopic, Khmer, Burmese, Tibetan.
_SPACED_STOPS = r".!?;։؟۔।॥።፧៕။།…"
# Those of scripts without blanks between sentences.
_UNSPACED_STOPS = r"。！？｡"
_CLOSERS = r"\"'”’»›)\]\}」』）】》〉"

# A set of signs comes first, so that the engine passes over everything else at once.
_STOPS = _SPACED_STOPS.replace(";", "")
_SENTENCE_END = re.compile(
    rf"[{_UNSPACED_STOPS}{_STOPS}\n]"
    rf"(?:(?<=[{_UNSPACED_STOPS}])[{_CLOSERS}]*[^\S\n]*"
    rf"|(?<=[{_STOPS}])[{_STOPS}]*[{_CLOSERS}]*[^\S\n]+"
    r"|(?<=\n)\s*)"
)
_LAST_WORD = re.compile(r"(\w+)\.$")
_SHORT_FORM_LIST = """
    al approx bzw ca capt cf ch col dept dr ed eds eg esp est etc ex fig figs gen gov hon inc
    jr lt ltd max mr mrs ms mt no nos op pp prof ref rep rev sen sgt sr st univ vol vols vs
    jan feb mar apr jun jul aug sep sept oct nov dec
"""
_SHORT_FORMS = frozenset(_SHORT_FORM_LIST.split())
_LONGEST_SHORT_FORM = 8


@dataclass(frozen=True, slots=True)
class Unit:
    """A sentence: its code points without outer blanks, and whether it ends a paragraph."""

    start_char: int
    end_char: int
    ends_paragraph: bool


def split_units(text: str, begin: int = 0, stop: int | None = None) -> list[Unit]:
    r"""Return the sentences of text[begin:stop] in order; blanks between them belong to none.

    >>> text = "Dr. Ito rose. She left!\n\nThen? 終。夜。"
    >>> [text[unit.start_char : unit.end_char] for unit in split_units(text)]
    ['Dr. Ito rose.', 'She left!', 'Then?', '終。', '夜。']
    >>> [unit.ends_paragraph for unit in split_units(text)]
    [False, True, False, False, True]
    """
    units: list[Unit] = []
    stop = len(text) if stop is None else stop
    start = stop - len(text[begin:stop].lstrip())
    for match in _SENTENCE_END.finditer(text, start, stop):
        first, last = match.span()
        is_paragraph = text[first] == "\n"
        if not is_paragraph and not _ends_sentence(text, match):
            continue
        end = start + len(text[start:last].rstrip())
        if end > start:
            units.append(Unit(start, end, is_paragraph))
        start = last
    end = start + len(text[start:stop].rstrip())
    if end > start:
        units.append(Unit(start, end, True))
    return _close_last_paragraph(units)


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    """Tell whether the stop found ends a sentence, by the word before and the sign after it."""
    if match.group().rstrip() != ".":
        return True
    following = text[match.end() : match.end() + 1]
    # A lower-case letter goes on with the sentence; scripts without case have none.
    if following.islower():
        return False
    word = _LAST_WORD.search(text, max(0, match.start() - _LONGEST_SHORT_FORM), match.start() + 1)
    if word is None:
        return True
    before = word.group(1)
    # An initial (J. Smith) or the last letter of such as e.g. or U.S.
    is_initial = len(before) == 1 and before.isalpha()
    return not is_initial and before.lower() not in _SHORT_FORMS


def _close_last_paragraph(units: list[Unit]) -> list[Unit]:
    if units and not units[-1].ends_paragraph:
        last = units[-1]
        units[-1] = Unit(last.start_char, last.end_char, True)
    return units


def join_within(units: list[Unit], spans: list[tuple[int, int]]) -> list[Unit]:
    """Join units that meet inside a span, so that no anchor is cut by a sentence end.

    Args:
        units: in order, not overlapping.
        spans: (start_char, end_char) of anchors, ascending by start.

    >>> units = [Unit(0, 2, False), Unit(3, 9, False), Unit(10, 15, True)]
    >>> [(unit.start_char, unit.end_char) for unit in join_within(units, [(0, 8)])]
    [(0, 9), (10, 15)]
    """
    joined: list[Unit] = []
    reach = 0
    position = 0
    for unit in units:
        while position < len(spans) and spans[position][0] < unit.start_char:
            reach = max(reach, spans[position][1])
            position += 1
        if joined and reach > unit.start_char:
            joined[-1] = Unit(joined[-1].start_char, unit.end_char, unit.ends_paragraph)
        else:
            joined.append(unit)
    return joined
