"""Cut a document into segments: whole sentences, balanced, none too long and none too short.

Tokens of one document, never across two (LinkBERT, arXiv:2203.15827, section 4.2 and footnote 2).
Among all ways to group the sentences into runs of `min_tokens` to `max_tokens`, the chosen one has
the fewest segments, and among those the most even ones. The measure of evenness is the sum of
squared sizes, smallest when all are equal, plus a charge for each segment that ends inside a
paragraph. Only where no such way exists does a segment end inside a sentence, at the start of a
word, as seldom as possible; inside a word only where that fails too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.segment.config import SegmentConfig
from pipeline.segment.sentences import Unit

IntArray = npt.NDArray[np.int64]

# A segment is the most expensive thing but a cut inside a sentence; both dwarf any unevenness.
_SEGMENT_COST = 1 << 50
_CUT_COST = 1 << 80
# Candidates inside a sentence are about this many tokens apart: fine enough to find a way.
_CUT_GRID_TOKENS = 8

Offsets = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Encoded:
    """The tokens of one sentence: ids, and where each token lies when that is asked for.

    Attributes:
        unit: the sentence.
        token_ids: its ids.
        offsets: returns (start_char, end_char) within the sentence of each token, and for each
            the number of its word; called only where a sentence must be cut.
    """

    unit: Unit
    token_ids: Sequence[int] | npt.NDArray[Any]
    offsets: Callable[[], tuple[Offsets, list[int | None]]]


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: its place in the document's text and its tokens."""

    start_char: int
    end_char: int
    start_token: int
    end_token: int


@dataclass(frozen=True, slots=True)
class _Boundary:
    """A place where a segment may end: after `token` tokens; `cost` is what ending there costs."""

    token: int
    cost: int
    end_char: int
    next_char: int


def cut_document(encoded: list[Encoded], limits: SegmentConfig) -> tuple[list[Segment], int]:
    """Return the segments of a document, in order, covering all its tokens; and how many were cut.

    Args:
        encoded: the sentences, in order.
        limits: sizes.

    Returns:
        The segments, and the number of segments that end inside a sentence.

    >>> def sentence(start, size):
    ...     return Encoded(Unit(start, start + 9, True), [7] * size, lambda: ([], []))
    >>> segments, num_cut = cut_document(
    ...     [sentence(0, 6), sentence(10, 6), sentence(20, 6)], SegmentConfig(12, 3)
    ... )
    >>> [(segment.start_token, segment.end_token) for segment in segments], num_cut
    ([(0, 6), (6, 18)], 0)
    """
    kept = [sentence for sentence in encoded if len(sentence.token_ids)]
    if not kept:
        return [], 0
    for candidates in (_sentence_ends, _blank_ends, _word_starts, _token_starts):
        boundaries = candidates(kept, limits)
        chosen = choose_boundaries(
            [boundary.token for boundary in boundaries],
            [boundary.cost for boundary in boundaries],
            limits,
        )
        if chosen is not None:
            num_cut = sum(boundaries[index].cost >= _CUT_COST for index in chosen)
            return _segments(kept, [boundaries[index] for index in chosen]), num_cut
    raise AssertionError(f"no way to cut {sum(len(s.token_ids) for s in kept)} tokens, {limits}")


def choose_boundaries(
    tokens: list[int], costs: list[int], limits: SegmentConfig
) -> list[int] | None:
    """Choose the boundaries of the cheapest grouping, or None where there is none.

    Args:
        tokens: tokens before each boundary, ascending; the last is the document's end.
        costs: what ending a segment there costs, in squared tokens.
        limits: sizes; a document that fits one segment is one.

    Returns:
        Indices of the chosen boundaries, the last one included.

    >>> choose_boundaries([5, 10, 15, 20], [0, 0, 0, 0], SegmentConfig(12, 3))
    [1, 3]
    >>> choose_boundaries([11, 13, 24], [0, 0, 0], SegmentConfig(12, 3)) is None
    True
    """
    if tokens[-1] <= limits.max_tokens:
        return [len(tokens) - 1]
    places = [0, *tokens]
    best: list[int | None] = [0] + [None] * len(tokens)
    previous = [0] * len(places)
    shortest = limits.shortest
    first = 0
    for index in range(1, len(places)):
        here = places[index]
        while here - places[first] > limits.max_tokens:
            first += 1
        cheapest: int | None = None
        for start in range(first, index):
            size = here - places[start]
            if size < shortest:
                break
            before = best[start]
            if before is not None and (cheapest is None or before + size * size < cheapest):
                cheapest = before + size * size
                previous[index] = start
        if cheapest is not None:
            best[index] = cheapest + _SEGMENT_COST + costs[index - 1]
    if best[-1] is None:
        return None
    return _trace_back(previous)


def _trace_back(previous: list[int]) -> list[int]:
    chosen = []
    place = len(previous) - 1
    while place:
        chosen.append(place - 1)
        place = previous[place]
    return chosen[::-1]


def _sentence_ends(encoded: list[Encoded], limits: SegmentConfig) -> list[_Boundary]:
    # Ending inside a paragraph costs as much as being an eighth of a segment off the mean.
    inside_cost = (limits.max_tokens // 8) ** 2
    boundaries = []
    token = 0
    for index, sentence in enumerate(encoded):
        token += len(sentence.token_ids)
        following = encoded[min(index + 1, len(encoded) - 1)].unit.start_char
        cost = 0 if sentence.unit.ends_paragraph else inside_cost
        boundaries.append(_Boundary(token, cost, sentence.unit.end_char, following))
    return boundaries


def _blank_ends(encoded: list[Encoded], limits: SegmentConfig) -> list[_Boundary]:
    """Offer the words after a blank, so that no segment begins with a comma or a bracket's end."""
    return _with_cuts(encoded, limits, _CUT_GRID_TOKENS, _follows_blank)


def _word_starts(encoded: list[Encoded], limits: SegmentConfig) -> list[_Boundary]:
    return _with_cuts(encoded, limits, _CUT_GRID_TOKENS, _starts_word)


def _token_starts(encoded: list[Encoded], limits: SegmentConfig) -> list[_Boundary]:
    return _with_cuts(encoded, limits, 1, lambda offsets, words, token: True)


_MayCut = Callable[[Offsets, list[int | None], int], bool]


def _with_cuts(
    encoded: list[Encoded], limits: SegmentConfig, grid: int, may_cut: _MayCut
) -> list[_Boundary]:
    """Return sentence ends and, about every `grid` tokens, places inside the sentences."""
    boundaries: list[_Boundary] = []
    first_token = 0
    inside_word_cost = _CUT_COST * len(encoded) * limits.max_tokens
    for sentence, end in zip(encoded, _sentence_ends(encoded, limits), strict=True):
        offsets, words = sentence.offsets()
        last = 0
        for token in range(1, len(offsets)):
            if token - last < grid or not may_cut(offsets, words, token):
                continue
            last = token
            start_char = sentence.unit.start_char
            boundaries.append(
                _Boundary(
                    first_token + token,
                    _CUT_COST if _starts_word(offsets, words, token) else inside_word_cost,
                    start_char + offsets[token - 1][1],
                    start_char + offsets[token][0],
                )
            )
        boundaries.append(end)
        first_token += len(sentence.token_ids)
    return boundaries


def _follows_blank(offsets: Offsets, words: list[int | None], token: int) -> bool:
    return offsets[token][0] > offsets[token - 1][1]


def _starts_word(offsets: Offsets, words: list[int | None], token: int) -> bool:
    return words[token] is None or words[token] != words[token - 1]


def _segments(encoded: list[Encoded], ends: list[_Boundary]) -> list[Segment]:
    segments = []
    start_char, start_token = encoded[0].unit.start_char, 0
    for end in ends:
        segments.append(Segment(start_char, end.end_char, start_token, end.token))
        start_char, start_token = end.next_char, end.token
    return segments


def targets_by_segment(
    segment_starts: IntArray, link_starts: IntArray, link_targets: IntArray
) -> list[IntArray]:
    """Return the distinct documents that each segment links to, ascending.

    Args:
        segment_starts: start_char of each segment of one document, ascending [S].
        link_starts: start_char of each link's anchor [L]; -1 means that the link has no place in
            the text and belongs to every segment.
        link_targets: the document each link leads to [L].

    >>> starts, targets = np.array([3, 60, 61, -1]), np.array([8, 9, 9, 4])
    >>> found = targets_by_segment(np.array([0, 50]), starts, targets)
    >>> [each.tolist() for each in found]
    [[4, 8], [4, 9]]
    """
    has_place = link_starts >= 0
    everywhere = link_targets[~has_place]
    # A link before the first token can only stand on signs that were cut away.
    owner = np.searchsorted(segment_starts, link_starts[has_place], side="right") - 1
    owner = np.maximum(owner, 0)
    order = np.argsort(owner, kind="stable")
    targets = link_targets[has_place][order]
    bounds = np.searchsorted(owner[order], np.arange(len(segment_starts) + 1)).tolist()
    return [
        np.unique(np.concatenate([targets[low:high], everywhere])) for low, high in pairwise(bounds)
    ]
