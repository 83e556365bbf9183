"""Masked tokens of a batch, drawn from a counter so that they depend on nothing but the instance.

In: instances end to end. Out: masked positions, their labels, the tokens put in their place. BERT's
rule (LinkBERT, arXiv:2203.15827, section 3): 15 % of the tokens of A and B are predicted; of these
80 % become [MASK], 10 % a random token, 10 % stay. Every token is drawn on its own.

The draw for token i of A is keyed by (seed, pass, A, i): runs that pair A with another B mask A
alike. The draw for token i of B is keyed by (seed, pass, A, B, i). Batch size, ranks and order do
not enter. One 64-bit word serves four tokens, which makes this as fast as an ordinary generator.
"""

# Arrays carry their shapes in capitals, as in `linkbert.model`.
# ruff: noqa: N815

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.counter_rng import UInt64Array, counter_bits, counter_key

Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]

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


def masking_rule(
    seed: int, vocab_size: int, special_ids: dict[str, int], probs: tuple[float, float, float]
) -> MaskingRule:
    """Build the rule for a vocabulary; `probs` are those of mask, [MASK] and random token."""
    is_ordinary = np.ones(vocab_size, bool)
    is_ordinary[list(special_ids.values())] = False
    replacements = np.flatnonzero(is_ordinary).astype(np.int32)
    return MaskingRule(seed, special_ids["mask"], replacements, *probs)


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

    positions_M: Int64Array
    replacements_M: Int32Array  # -1: the token stays


def draw_masks(
    rule: MaskingRule, keys: InstanceKeys, starts_B: Int64Array, spans_B: tuple[Int32Array, ...]
) -> Masks:
    """Draw the masks of a batch.

    Args:
        rule: probabilities, ids and seed.
        keys: identities of the instances.
        starts_B: int64 [B], where each instance begins among the N tokens of the batch.
        spans_B: numbers of tokens of A and of B, int32 [B] each.
    """
    key_a_B = _segment_key(
        counter_bits(counter_key(rule.seed, "mask"), keys.mask_passes_B),
        (keys.corpora_B, keys.source_ids_B, keys.source_segments_B),
    )
    key_b_B = _segment_key(key_a_B, (keys.target_ids_B, keys.target_segments_B))
    num_a_B, num_b_B = spans_B
    in_a = _draw_span(rule, key_a_B, num_a_B, starts_B + 1)
    in_b = _draw_span(rule, key_b_B, num_b_B, starts_B + num_a_B + 2)
    return Masks(
        np.concatenate([in_a.positions_M, in_b.positions_M]),
        np.concatenate([in_a.replacements_M, in_b.replacements_M]),
    )


def _segment_key(key_B: UInt64Array, ids: tuple[Int32Array, ...]) -> UInt64Array:
    for ids_B in ids:
        key_B = counter_bits(key_B, ids_B)
    return key_B


def _draw_span(
    rule: MaskingRule, key_B: UInt64Array, num_tokens_B: Int32Array, first_B: Int64Array
) -> Masks:
    """Draw the masks of one segment an instance; token i of it lies at `first_B + i`."""
    num_words = -(-int(num_tokens_B.max(initial=0)) // _DRAWS_PER_WORD)
    words = counter_bits(key_B[:, None], np.arange(num_words))
    draws_BT = words.astype("<u8", copy=False).view("<u2")
    limit = np.uint16(round(rule.mask_prob * _DRAW_RANGE) - 1)
    flat_M = np.flatnonzero(draws_BT <= limit)
    # Twice as fast as divmod, which numpy does not vectorise.
    row_M = flat_M // max(1, draws_BT.shape[1])
    place_M = flat_M - row_M * draws_BT.shape[1]
    inside_M = place_M < num_tokens_B[row_M]
    row_M, place_M = row_M[inside_M], place_M[inside_M]
    # Far beyond the words drawn above, so that no word is used twice.
    bits_M = counter_bits(key_B[row_M], place_M + (1 << 32))
    return Masks(first_B[row_M] + place_M, _replacements(rule, bits_M))


def _replacements(rule: MaskingRule, bits_M: UInt64Array) -> Int32Array:
    """Return the token to put at each masked position, -1 where it stays."""
    choice_M = (bits_M >> np.uint64(32)).astype(np.float64) / 2**32
    random_M = (bits_M & np.uint64(0xFFFFFFFF)) * np.uint64(len(rule.replacement_ids))
    random_ids_M = rule.replacement_ids[(random_M >> np.uint64(32)).astype(np.int64)]
    is_random_M = choice_M < rule.mask_token_prob + rule.random_token_prob
    replaced_M = np.where(is_random_M, random_ids_M, -1)
    return np.where(choice_M < rule.mask_token_prob, rule.mask_id, replaced_M).astype(np.int32)
