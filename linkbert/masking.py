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

# Arrays carry their shapes in capitals, as in `linkbert.model`.
# ruff: noqa: N815

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.counter_rng import UInt64Array, counter_bits, counter_key

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
    mask_id: int
    # Random replacements come from ids outside the special ones.
    replacement_ids: Int32Array
    mask_prob: float = 0.15
    mask_token_prob: float = 0.8
    random_token_prob: float = 0.1
    # bool [V], tokens that continue a word; None where tokens are masked on their own.
    is_continuation_V: BoolArray | None = None


def masking_rule(
    seed: int,
    vocab_size: int,
    special_ids: dict[str, int],
    probs: tuple[float, float, float],
    is_continuation_V: BoolArray | None = None,
) -> MaskingRule:
    """Build the rule for a vocabulary; `probs` are those of mask, [MASK] and random token."""
    is_ordinary = np.ones(vocab_size, bool)
    is_ordinary[list(special_ids.values())] = False
    replacements = np.flatnonzero(is_ordinary).astype(np.int32)
    return MaskingRule(seed, special_ids["mask"], replacements, *probs, is_continuation_V)


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


def draw_masks(
    rule: MaskingRule,
    keys: InstanceKeys,
    starts_B: Int64Array,
    spans_B: tuple[Int32Array, ...],
    token_ids_N: Int32Array | None = None,
) -> Masks:
    """Draw the masks of a batch.

    Args:
        rule: probabilities, ids and seed.
        keys: identities of the instances.
        starts_B: int64 [B], where each instance begins among the N tokens of the batch.
        spans_B: numbers of tokens of A and of B, int32 [B] each.
        token_ids_N: int32 [N], needed where whole words are masked.
    """
    key_a_B = _segment_key(
        counter_bits(counter_key(rule.seed, "mask"), keys.mask_passes_B),
        (keys.corpora_B, keys.source_ids_B, keys.source_segments_B),
    )
    key_b_B = _segment_key(key_a_B, (keys.target_ids_B, keys.target_segments_B))
    num_a_B, num_b_B = spans_B
    # From here on S is all segments of the batch: every A, then every B.
    key_S = np.concatenate([key_a_B, key_b_B])
    num_tokens_S = np.concatenate([num_a_B, num_b_B])
    first_S = np.concatenate([starts_B + 1, starts_B + num_a_B + 2])
    draws_ST = _draws(key_S, int(num_tokens_S.max(initial=0)))
    if rule.is_continuation_V is not None:
        assert token_ids_N is not None, "whole words are made of tokens"
        draws_ST = _draws_of_words(draws_ST, rule.is_continuation_V, token_ids_N, first_S)
    limit = np.uint16(round(rule.mask_prob * _DRAW_RANGE) - 1)
    flat_M = np.flatnonzero(draws_ST <= limit)
    # Twice as fast as divmod, which numpy does not vectorise.
    row_M = flat_M // max(1, draws_ST.shape[1])
    place_M = flat_M - row_M * draws_ST.shape[1]
    inside_M = place_M < num_tokens_S[row_M]
    row_M, place_M = row_M[inside_M], place_M[inside_M]
    # Far beyond the words drawn for positions, so that no word is used twice.
    bits_M = counter_bits(key_S[row_M], place_M + (1 << 32))
    num_in_a = int(np.searchsorted(row_M, len(num_a_B)))
    return Masks(first_S[row_M] + place_M, _replacements(rule, bits_M), num_in_a)


def _segment_key(key_B: UInt64Array, ids: tuple[Int32Array, ...]) -> UInt64Array:
    for ids_B in ids:
        key_B = counter_bits(key_B, ids_B)
    return key_B


def _draws(key_S: UInt64Array, longest: int) -> UInt16Array:
    """Return draws_ST, uint16: one for each place of each segment, and for some beyond."""
    words = counter_bits(key_S[:, None], np.arange(-(-longest // _DRAWS_PER_WORD)))
    return words.astype("<u8", copy=False).view("<u2")


def _draws_of_words(
    draws_ST: UInt16Array,
    is_continuation_V: BoolArray,
    token_ids_N: Int32Array,
    first_S: Int64Array,
) -> UInt16Array:
    """Give each token the draw of the first token of its word; a segment begins with a word."""
    places_T = np.arange(draws_ST.shape[1])
    in_batch_ST = np.minimum(first_S[:, None] + places_T, len(token_ids_N) - 1)
    begins_ST = ~is_continuation_V[token_ids_N[in_batch_ST]]
    begins_of_words_ST = np.maximum.accumulate(np.where(begins_ST, places_T, 0), axis=1)
    return np.take_along_axis(draws_ST, begins_of_words_ST, axis=1)


def _replacements(rule: MaskingRule, bits_M: UInt64Array) -> Int32Array:
    """Return the token to put at each masked position, -1 where it stays."""
    # The high half chooses what, the low half which token.
    choice_M = bits_M >> np.uint64(32)
    below_mask, below_random = (
        np.uint64(math.ceil(prob * 2**32))
        for prob in (rule.mask_token_prob, rule.mask_token_prob + rule.random_token_prob)
    )
    random_M = (bits_M & np.uint64(0xFFFFFFFF)) * np.uint64(len(rule.replacement_ids))
    random_ids_M = rule.replacement_ids[(random_M >> np.uint64(32)).view(np.int64)]
    replaced_M = np.where(choice_M < below_random, random_ids_M, np.int32(-1))
    return np.where(choice_M < below_mask, np.int32(rule.mask_id), replaced_M)
