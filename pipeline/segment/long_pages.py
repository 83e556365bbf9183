"""From the text of a page to its segments: pages together, a very long one in pieces.

What is encoded together is bounded, so the memory of a task does not grow with its longest page.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from pipeline.segment.config import SegmentConfig
from pipeline.segment.cutting import Encoded, Offsets, Segment, cut_document
from pipeline.segment.inputs import LinkedText
from pipeline.segment.sentences import Unit, join_within, split_units
from pipeline.tokenizer.encoder import SentenceEncoder
from pipeline.tokenizer.long_texts import PIECE_CHARS, text_pieces


class Cut(NamedTuple):
    """The segments of a piece of a text, how many end inside a sentence, and the ids of all."""

    segments: list[Segment]
    num_cut: int
    token_ids: npt.NDArray[Any]


def cut_pages(
    pages: list[LinkedText], encoder: SentenceEncoder, limits: SegmentConfig
) -> Iterator[tuple[LinkedText, Cut]]:
    """Yield the segments of each page, in order; those of a very long one in several pieces.

    What is encoded together is bounded, because a sentence takes 700 bytes as an object, however
    short it is.
    """
    group: list[_Piece] = []
    num_chars = 0
    for page in pages:
        for begin, stop in text_pieces(page.text):
            if num_chars + stop - begin > PIECE_CHARS and group:
                yield from _cut_group(group, encoder, limits)
                group, num_chars = [], 0
            group.append(_Piece(page, begin, stop))
            num_chars += stop - begin
    yield from _cut_group(group, encoder, limits)


class _Piece(NamedTuple):
    page: LinkedText
    begin: int
    stop: int

    def sentences(self) -> list[Unit]:
        anchors = self.page.anchors
        inside = slice(bisect_left(anchors, (self.begin,)), bisect_left(anchors, (self.stop,)))
        return join_within(split_units(self.page.text, self.begin, self.stop), anchors[inside])


def _cut_group(
    pieces: list[_Piece], encoder: SentenceEncoder, limits: SegmentConfig
) -> Iterator[tuple[LinkedText, Cut]]:
    """Encode the sentences of some pieces together, and cut each piece."""
    units = [piece.sentences() for piece in pieces]
    sentences = [
        sentence_text(piece.page.text, unit, encoder.marks_blanks)
        for piece, own in zip(pieces, units, strict=True)
        for unit in own
    ]
    encoded = zip(encoder.encode(sentences), sentences, strict=True)
    for piece, own in zip(pieces, units, strict=True):
        found = [_encoded(unit, *next(encoded), encoder.tokenizer) for unit in own]
        ids = [np.zeros(0, encoder.dtype), *(sentence.token_ids for sentence in found)]
        yield piece.page, Cut(*cut_document(found, limits), np.concatenate(ids))


def sentence_text(text: str, unit: Unit, marks_blanks: bool) -> str:
    """Return what is encoded for a sentence: with a blank where text and tokenizer want one.

    Byte-level BPE marks a word that follows a blank, so a sentence without its blank would begin
    with a token that stands inside words elsewhere.

    >>> unit = Unit(5, 9, True)
    >>> sentence_text("One. Two.", unit, True), sentence_text("One. Two.", unit, False)
    (' Two.', 'Two.')
    """
    follows_blank = marks_blanks and unit.start_char > 0 and text[unit.start_char - 1].isspace()
    return " " * follows_blank + text[unit.start_char : unit.end_char]


def _encoded(unit: Unit, token_ids: npt.NDArray[Any], text: str, tokenizer: Tokenizer) -> Encoded:
    def offsets() -> tuple[Offsets, list[int | None]]:
        slow = tokenizer.encode(text, add_special_tokens=False)
        added = len(text) - (unit.end_char - unit.start_char)
        return [_place(text, *each, added) for each in slow.offsets], slow.word_ids

    return Encoded(unit, token_ids, offsets)


def _place(text: str, start: int, end: int, added: int) -> tuple[int, int]:
    """Return where a token lies in its sentence, without blanks that its tokenizer counts in."""
    while start < end and text[start].isspace():
        start += 1
    return max(start - added, 0), max(end - added, 0)
