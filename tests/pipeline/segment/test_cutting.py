import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.segment.config import SegmentConfig
from pipeline.segment.cutting import (
    Encoded,
    choose_boundaries,
    cut_document,
    targets_by_segment,
)
from pipeline.segment.sentences import Unit
from schemas.errors import ConfigError


def document(sizes: list[int], word_size: int = 1) -> list[Encoded]:
    """Return sentences of so many tokens; each token is one code point, words are of equal size."""
    found, start = [], 0
    for size in sizes:
        offsets = [(index, index + 1) for index in range(size)]
        words: list[int | None] = [index // word_size for index in range(size)]
        found.append(
            Encoded(
                Unit(start, start + size, True),
                list(range(size)),
                lambda offsets=offsets, words=words: (offsets, words),  # type: ignore[misc]
            )
        )
        start += size + 1
    return found


def sizes_of(sizes: list[int], limits: SegmentConfig, word_size: int = 1) -> tuple[list[int], int]:
    segments, num_cut = cut_document(document(sizes, word_size), limits)
    tokens = [segment.end_token - segment.start_token for segment in segments]
    assert [segment.end_token for segment in segments] == np.cumsum(tokens).tolist()
    return tokens, num_cut


def test_a_short_document_is_one_segment_however_short() -> None:
    assert sizes_of([3, 2], SegmentConfig(254, 32)) == ([5], 0)


def test_segments_are_balanced_not_filled_greedily() -> None:
    assert sizes_of([50] * 6, SegmentConfig(254, 32)) == ([150, 150], 0)


def test_a_small_rest_never_becomes_a_segment() -> None:
    tokens, num_cut = sizes_of([200, 50, 10], SegmentConfig(254, 32))
    assert (tokens, num_cut) == ([200, 60], 0)


def test_a_sentence_longer_than_a_segment_is_cut_at_words() -> None:
    segments, num_cut = cut_document(document([600], word_size=5), SegmentConfig(254, 32))
    assert num_cut == len(segments) - 1 == 2
    assert all(segment.start_token % 5 == 0 for segment in segments)


def test_a_sentence_is_cut_only_where_whole_ones_do_not_fit() -> None:
    tokens, num_cut = sizes_of([250, 20, 250, 100, 100], SegmentConfig(254, 32))
    assert num_cut == 1
    assert all(32 <= size <= 254 for size in tokens)


def test_a_word_is_cut_only_where_nothing_else_helps() -> None:
    tokens, num_cut = sizes_of([100], SegmentConfig(62, 32), word_size=50)
    assert (tokens, num_cut) == ([50, 50], 1)
    tokens, num_cut = sizes_of([70], SegmentConfig(62, 32), word_size=10)
    assert (tokens, num_cut) == ([35, 35], 1)


def test_paragraph_ends_are_preferred_between_equals() -> None:
    inner = [Unit(0, 1, False), Unit(2, 3, True), Unit(4, 5, False), Unit(6, 7, True)]
    sentences = [Encoded(unit, [1] * 40, lambda: ([], [])) for unit in inner]
    segments, _ = cut_document(sentences, SegmentConfig(120, 32))
    assert [segment.end_char for segment in segments] == [3, 7]


def test_segments_keep_their_place_in_the_text() -> None:
    segments, _ = cut_document(document([30, 30, 30]), SegmentConfig(64, 8))
    assert [(s.start_char, s.end_char) for s in segments] == [(0, 30), (31, 92)] or [
        (s.start_char, s.end_char) for s in segments
    ] == [(0, 61), (62, 92)]


def test_sentences_without_tokens_are_left_out() -> None:
    assert sizes_of([0, 5, 0], SegmentConfig(254, 32)) == ([5], 0)
    assert cut_document(document([0]), SegmentConfig()) == ([], 0)


@given(
    sizes=st.lists(st.integers(0, 400), min_size=1, max_size=12),
    max_tokens=st.sampled_from([2, 5, 62, 254]),
    word_size=st.integers(1, 9),
)
def test_limits_hold_for_every_document(sizes: list[int], max_tokens: int, word_size: int) -> None:
    limits = SegmentConfig(max_tokens, 32)
    tokens, _ = sizes_of(sizes, limits, word_size)
    assert sum(tokens) == sum(sizes)
    assert all(size <= max_tokens for size in tokens)
    if len(tokens) > 1:
        assert min(tokens) >= limits.shortest


@given(sizes=st.lists(st.integers(1, 12), min_size=1, max_size=9))
def test_the_choice_is_the_best_of_all_groupings(sizes: list[int]) -> None:
    limits = SegmentConfig(14, 4)
    tokens = np.cumsum(sizes).tolist()
    chosen = choose_boundaries(tokens, [0] * len(tokens), limits)
    possible = []
    for count in range(len(sizes)):
        for inner in itertools.combinations(tokens[:-1], count):
            runs = np.diff([0, *inner, tokens[-1]])
            is_long_enough = count == 0 or runs.min() >= limits.shortest
            if is_long_enough and runs.max() <= limits.max_tokens:
                possible.append((len(runs), int((runs**2).sum())))
    if chosen is None:
        assert not possible
    else:
        runs = np.diff([0, *(tokens[index] for index in chosen)])
        assert (len(runs), int((runs**2).sum())) == min(possible)


def test_links_belong_to_the_segment_their_anchor_starts_in() -> None:
    found = targets_by_segment(
        np.array([10, 50]), np.array([49, 50, 99, 3]), np.array([1, 2, 2, 7])
    )
    assert [targets.tolist() for targets in found] == [[1, 7], [2]]


def test_links_without_a_place_belong_to_all_segments() -> None:
    found = targets_by_segment(np.array([0, 9]), np.array([-1, 9]), np.array([5, 5]))
    assert [targets.tolist() for targets in found] == [[5], [5]]


@pytest.mark.parametrize("options", [{"max_tokens": 1}, {"min_tokens": 0}])
def test_impossible_sizes_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="tokens"):
        SegmentConfig(**options)


def test_a_cut_sentence_goes_on_after_a_blank_not_with_a_comma() -> None:
    # Words of three tokens, each followed by a comma without a blank before it, then a blank.
    offsets = [(4 * word + part, 4 * word + part + 1) for word in range(20) for part in range(3)]
    words: list[int | None] = [2 * (token // 3) + (token % 3 == 2) for token in range(60)]
    encoded = [Encoded(Unit(0, 80, True), list(range(60)), lambda: (offsets, words))]
    cut, num_cut = cut_document(encoded, SegmentConfig(40, 8))
    assert (len(cut), num_cut) == (2, 1)
    assert all(segment.start_token % 3 == 0 for segment in cut)
