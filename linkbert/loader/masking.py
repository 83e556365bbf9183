"""Masked tokens of a batch, drawn from a counter so that they depend on nothing but the instance.

In: instances end to end. Out: masked positions, their labels, the tokens put in their place. BERT's
rule (LinkBERT, arXiv:2203.15827, section 3): 15 % of the tokens of A and B are predicted; of these
80 % become [MASK], 10 % a random token, 10 % stay. Every token is drawn on its own.

The draw for token i of A is keyed by (seed, pass, A, i): runs that pair A with another B mask A
alike. The draw for token i of B is keyed by (seed, pass, A, B, i). Batch size, ranks and order do
not enter. One 64-bit word serves four tokens, which makes this as fast as an ordinary generator.

With whole words (off by default; BERT's later release has it) the draw of a word's first token
decides for its other pieces too, so a word is masked whole or not at all, and 15 % of the tokens
remain the expectation. What each piece becomes is still drawn on its own.
"""

# Arrays carry their shapes in capitals, as in `linkbert.model.network`.
# ruff: noqa: N815

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.counter_rng import UInt64Array, counter_bits, counter_bits_in_runs, counter_key
from schemas.pair_frame import PairFrame

BoolArray = npt.NDArray[np.bool_]
Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]
UInt16Array = npt.NDArray[np.uint16]

_DRAWS_PER_WORD = 4
_DRAW_RANGE = 1 << 16


@dataclass(frozen=True, slots=True)
class MaskingRule:
    """What is masked and by what it is replaced."""

    seed: int
    frame: PairFrame  # around A and B
    # Random replacements come from ids that a text can have.
    replacement_ids: Int32Array
    mask_prob: float = 0.15
    mask_token_prob: float = 0.8
    random_token_prob: float = 0.1
    # bool [V], tokens that continue a word; None where tokens are masked on their own.
    is_continuation_V: BoolArray | None = None


def masking_rule(
    seed: int,
    ordinary_ids: npt.ArrayLike,
    frame: PairFrame,
    probs: tuple[float, float, float],
    is_continuation_V: BoolArray | None = None,
) -> MaskingRule:
    """Build the rule for a vocabulary.

    Args:
        seed: of the draws.
        ordinary_ids: ids of tokens that a text can have, special ones included or not: where ids
            have gaps or rows are padding, not all below the vocabulary's size.
        frame: how a pair is laid out; its special ids replace nothing.
        probs: of being predicted, of [MASK] and of a random token.
        is_continuation_V: bool [V], tokens that continue a word, to mask whole words.
    """
    replacements = np.setdiff1d(np.asarray(ordinary_ids, np.int32), frame.special_ids)
    return MaskingRule(seed, frame, replacements, *probs, is_continuation_V)


class InstanceKeys(NamedTuple):
    """What identifies the instances of a batch; all [B]."""

    mask_passes_B: Int64Array  # how often the whole plan was read before
    corpora_B: Int32Array
    source_ids_B: Int32Array
    source_segments_B: Int32Array
    target_ids_B: Int32Array
    target_segments_B: Int32Array


class Masks(NamedTuple):
    """Where tokens are masked in a batch laid end to end, and by what; first A's, then B's."""

    positions_M: Int64Array  # ascending among A's, and among B's
    replacements_M: Int32Array  # -1: the token stays
    num_in_a: int


class SegmentKeys(NamedTuple):
    """Keys of the draws of segments A and B; both [B]."""

    key_a_B: UInt64Array
    key_b_B: UInt64Array


def segment_keys(rule: MaskingRule, keys: InstanceKeys) -> SegmentKeys:
    """Derive the keys that the draws of A and of B start from: B's contains A's."""
    key_a_B = _keyed(
        counter_bits(counter_key(rule.seed, "mask"), keys.mask_passes_B),
        (keys.corpora_B, keys.source_ids_B, keys.source_segments_B),
    )
    return SegmentKeys(key_a_B, _keyed(key_a_B, (keys.target_ids_B, keys.target_segments_B)))


def _keyed(key_B: UInt64Array, ids: tuple[Int32Array, ...]) -> UInt64Array:
    for ids_B in ids:
        key_B = counter_bits(key_B, ids_B)
    return key_B


def draw_masks(
    rule: MaskingRule,
    keys: SegmentKeys,
    starts_B: Int64Array,
    spans_B: tuple[Int32Array, ...],
    token_ids_N: Int32Array | None = None,
) -> Masks:
    """Draw the masks of a batch.

    Args:
        rule: probabilities, ids and seed.
        keys: of the segments of the instances.
        starts_B: int64 [B], where each instance begins among the N tokens of the batch.
        spans_B: numbers of tokens of A and of B, int32 [B] each.
        token_ids_N: int32 [N], needed where whole words are masked.
    """
    num_a_B, num_b_B = spans_B
    # From here on S is all segments of the batch: every A, then every B; D is their draws end to
    # end, a whole number of words per segment.
    key_S = np.concatenate(keys)
    num_tokens_S = np.concatenate([num_a_B, num_b_B]).astype(np.int64)
    first_a, before_b = len(rule.frame.before), rule.frame.num_before_b
    first_S = np.concatenate([starts_B + first_a, starts_B + num_a_B + before_b])
    bounds = _word_bounds(num_tokens_S) * _DRAWS_PER_WORD
    begins_S = bounds[:-1]
    draws_D = _draws(key_S, num_tokens_S)
    if rule.is_continuation_V is not None:
        assert token_ids_N is not None, "whole words are made of tokens"
        draws_D = _draws_of_words(draws_D, rule.is_continuation_V, token_ids_N, first_S, bounds)
    is_masked_D = draws_D <= np.uint16(round(rule.mask_prob * _DRAW_RANGE) - 1)
    is_masked_D[_beyond(num_tokens_S, bounds)] = False
    flat_M = np.flatnonzero(is_masked_D)
    ends = np.searchsorted(flat_M, bounds)
    num_masked_S = np.diff(ends)
    # Far beyond the words drawn for positions, so that no word is used twice.
    bits_M = counter_bits_in_runs(key_S, begins_S - (1 << 32), num_masked_S, flat_M)
    positions_M = flat_M + np.repeat(first_S - begins_S, num_masked_S)
    return Masks(positions_M, _replacements(rule, bits_M), int(ends[len(num_a_B)]))


def _word_bounds(num_tokens_S: Int64Array) -> Int64Array:
    """Return where the words of each segment begin among those of all, and where the last ends."""
    words_S = -(-num_tokens_S // _DRAWS_PER_WORD)
    return np.concatenate([[0], np.cumsum(words_S)])


def _draws(key_S: UInt64Array, num_tokens_S: Int64Array) -> UInt16Array:
    """Return draws_D: one for each token of each segment, and those left of its last word."""
    bounds = _word_bounds(num_tokens_S)
    words = counter_bits_in_runs(key_S, bounds[:-1], np.diff(bounds), np.arange(bounds[-1]))
    return words.astype("<u8", copy=False).view("<u2")


def _beyond(num_tokens_S: Int64Array, bounds: Int64Array) -> Int64Array:
    """Return the places of the draws that are left of the last word of each segment."""
    left_SL = (bounds[:-1] + num_tokens_S)[:, None] + np.arange(_DRAWS_PER_WORD - 1)
    return left_SL[left_SL < bounds[1:, None]]


def _draws_of_words(
    draws_D: UInt16Array,
    is_continuation_V: BoolArray,
    token_ids_N: Int32Array,
    first_S: Int64Array,
    bounds: Int64Array,
) -> UInt16Array:
    """Give each token the draw of the first token of its word; a segment begins with a word."""
    in_batch_D = np.arange(len(draws_D)) + np.repeat(first_S - bounds[:-1], np.diff(bounds))
    begins_D = ~is_continuation_V.take(token_ids_N.take(in_batch_D, mode="clip"))
    begins_D[bounds[:-1][np.diff(bounds) > 0]] = True
    begins = np.flatnonzero(begins_D)
    return np.repeat(draws_D[begins], np.diff(begins, append=len(draws_D)))


def _replacements(rule: MaskingRule, bits_M: UInt64Array) -> Int32Array:
    """Return the token to put at each masked position, -1 where it stays."""
    # The high half chooses what, the low half which token.
    choice_M = bits_M >> np.uint64(32)
    below_mask, below_random = (
        np.uint64(math.ceil(prob * 2**32))
        for prob in (rule.mask_token_prob, rule.mask_token_prob + rule.random_token_prob)
    )
    replacements_M = np.full(len(bits_M), rule.frame.mask_id, np.int32)
    other = np.flatnonzero(choice_M >= below_mask)
    low = bits_M[other] & np.uint64(0xFFFFFFFF)
    random_ids = rule.replacement_ids[
        ((low * np.uint64(len(rule.replacement_ids))) >> np.uint64(32)).view(np.int64)
    ]
    replacements_M[other] = np.where(choice_M[other] < below_random, random_ids, np.int32(-1))
    return replacements_M
