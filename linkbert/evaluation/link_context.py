"""Link-context gain: how much better A's masked tokens are guessed beside a linked partner.

    gain = NLL(masked tokens of A | A + random B) - NLL(the same tokens | A + linked B)

in nats per token. A has the same masks beside every partner, B has none, and the relation head is
not used, so models with such a head can be compared with models without one. No fine-tuning is
needed.

The gain by itself does not show that a linked partner helps: it is also positive if a random
partner harms. A alone (`[CLS] A [SEP]`) separates the two:

    gain = (NLL(alone) - NLL(linked)) - (NLL(alone) - NLL(random))
            alone_minus_linked           alone_minus_random

Masked tokens that the linked B contains and those that it does not are also counted separately: the
former can be copied, the latter must be known. So are words of focus, if any are named.

The contiguous B, if A has one, shows two more things: whether the gain came at a cost elsewhere,
and whether the model reads any partner yet (alone_minus_contiguous). A model that the next segment
of the same article does not help cannot be expected to be helped by a linked one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from linkbert.evaluation.bootstrap import Clusters, interval, resampled_sums
from linkbert.evaluation.held_out import HeldOutPair, Ids
from linkbert.loader.masking import InstanceKeys, MaskingRule, draw_masks, segment_keys
from linkbert.model.families import Network
from linkbert.model.network import Batch
from linkbert.training.optimizer import Precision
from schemas.pair_frame import PairFrame

CONDITIONS = ("linked", "random", "contiguous", "alone")
"""Partners of A, in the order of the columns of `PairScores.losses`."""

_PARTS = ("all", "in b", "focus")
"""Sets of masked tokens whose losses are summed, in the order of `_masks_of_parts`."""

_NO_IDS = np.zeros(0, np.int32)
_PAIRS_AT_ONCE = 64

Figures = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PairScores:
    """Sums over the masked tokens of each pair's A, over all passes.

    Attributes:
        articles: int64 [P], the article of A, numbered from 0 without gaps.
        losses: float64 [P, 4], negative log-likelihoods by condition; 0 without a contiguous B.
        losses_in_b: the same over the tokens that the linked B contains.
        num_masked: int64 [P].
        num_in_b: int64 [P], masked tokens that the linked B contains.
        has_contiguous: bool [P].
        losses_focus: float64 [P, 4], the losses over the masked words of focus.
        num_focus: int64 [P], masked words of focus.
    """

    articles: npt.NDArray[np.int64]
    losses: Figures
    losses_in_b: Figures
    num_masked: npt.NDArray[np.int64]
    num_in_b: npt.NDArray[np.int64]
    has_contiguous: npt.NDArray[np.bool_]
    losses_focus: Figures
    num_focus: npt.NDArray[np.int64]


def score_pairs(
    model: Network,
    pairs: Sequence[HeldOutPair],
    rule: MaskingRule,
    *,
    passes: int,
    precision: Precision,
    focus_ids: Ids = _NO_IDS,
) -> PairScores:
    """Score the masked tokens of every A beside each partner.

    Args:
        model: the model, on the device that computes.
        pairs: the pairs to score.
        rule: how to mask; its seed decides the masks.
        passes: how many masks to draw for each A; more of them give steadier figures.
        precision: number format to compute in.
        focus_ids: tokens to be counted separately as well.
    """
    parts = np.zeros((len(_PARTS), len(pairs), len(CONDITIONS)))
    counts = np.zeros((len(_PARTS), len(pairs)), np.int64)
    was_training = model.training
    model.eval()
    for mask_pass in range(passes):
        for start in range(0, len(pairs), _PAIRS_AT_ONCE):
            chosen = pairs[start : start + _PAIRS_AT_ONCE]
            here = slice(start, start + len(chosen))
            for column, condition in enumerate(CONDITIONS):
                batch, owner_M = batch_of(chosen, condition, mask_pass, rule)
                loss_M = _losses(model, batch, precision)
                for part, is_in_M in enumerate(_masks_of_parts(chosen, batch, owner_M, focus_ids)):
                    parts[part, here, column] += _sums(owner_M, loss_M * is_in_M, len(chosen))
                    if column == 0:
                        counts[part, here] += np.bincount(owner_M[is_in_M], minlength=len(chosen))
    model.train(was_training)
    has_contiguous = np.array([pair.contiguous is not None for pair in pairs], np.bool_)
    parts[:, ~has_contiguous, CONDITIONS.index("contiguous")] = 0.0
    keys = np.array([(pair.corpus, pair.source_id) for pair in pairs], np.int64).reshape(-1, 2)
    articles = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return PairScores(
        articles=articles,
        losses=parts[0], losses_in_b=parts[1], losses_focus=parts[2],
        num_masked=counts[0], num_in_b=counts[1], num_focus=counts[2],
        has_contiguous=has_contiguous,
    )  # fmt: skip


def _losses(model: Network, batch: Batch, precision: Precision) -> Figures:
    """Return the negative log-likelihood of each masked token, [M]."""
    batch = batch.to(torch.device(precision.device_type))
    with torch.no_grad(), precision.autocast():
        mlm_logits_MV, _ = model.logits(batch)
    loss_M = functional.cross_entropy(mlm_logits_MV.float(), batch.labels_M, reduction="none")
    return loss_M.double().cpu().numpy()


def _masks_of_parts(
    pairs: Sequence[HeldOutPair], batch: Batch, owner_M: npt.NDArray[np.int64], focus_ids: Ids
) -> list[npt.NDArray[np.bool_]]:
    """Return which masked tokens belong to each of `_PARTS`, bool [M] each."""
    labels_M = batch.labels_M.numpy()
    is_in_b_M = np.zeros(len(labels_M), np.bool_)
    for number, pair in enumerate(pairs):
        own = owner_M == number
        is_in_b_M[own] = np.isin(labels_M[own], pair.linked)
    return [np.ones(len(labels_M), np.bool_), is_in_b_M, np.isin(labels_M, focus_ids)]


def _sums(owner_M: npt.NDArray[np.int64], values_M: Figures, size: int) -> Figures:
    return np.bincount(owner_M, values_M, size).astype(np.float64)


def batch_of(
    pairs: Sequence[HeldOutPair],
    condition: str,
    mask_pass: int,
    rule: MaskingRule,
) -> tuple[Batch, npt.NDArray[np.int64]]:
    """Lay pairs end to end, only A masked; also return the pair of each masked token [M]."""
    partners = [_partner(pair, condition) for pair in pairs]
    sequences = [
        _sequence(pair.a, partner, rule.frame)
        for pair, partner in zip(pairs, partners, strict=True)
    ]  # fmt: skip
    lengths_B = np.array([len(ids) for ids in sequences], np.int32)
    num_a_B = np.array([len(pair.a) for pair in pairs], np.int32)
    ends_B = np.cumsum(lengths_B, dtype=np.int64)
    starts_B = ends_B - lengths_B
    token_ids_N = np.concatenate(sequences)
    keys = segment_keys(rule, _keys(pairs, mask_pass))
    masks = draw_masks(rule, keys, starts_B, (num_a_B, np.zeros_like(num_a_B)))
    labels_M = token_ids_N[masks.positions_M].astype(np.int64)
    changed = masks.replacements_M >= 0
    token_ids_N[masks.positions_M[changed]] = masks.replacements_M[changed]
    position_ids_N = np.concatenate([np.arange(length, dtype=np.int32) for length in lengths_B])
    starts_of_b_N = np.repeat(num_a_B + rule.frame.num_before_b, lengths_B)
    is_b_N = (position_ids_N >= starts_of_b_N) & rule.frame.has_token_types
    token_types_N = is_b_N.astype(np.int32)
    batch = Batch(
        token_ids_N=torch.from_numpy(token_ids_N),
        position_ids_N=torch.from_numpy(position_ids_N),
        token_types_N=torch.from_numpy(token_types_N),
        lengths_B=torch.from_numpy(lengths_B),
        masked_positions_M=torch.from_numpy(masks.positions_M),
        labels_M=torch.from_numpy(labels_M),
        relations_B=torch.zeros(len(pairs), dtype=torch.int64),
        max_length=int(lengths_B.max(initial=0)),
    )
    return batch, np.searchsorted(ends_B, masks.positions_M, side="right")


def _partner(pair: HeldOutPair, condition: str) -> Ids | None:
    if condition == "alone":
        return None
    if condition == "contiguous":
        # A pair without one is computed all the same, to keep batches alike, but not counted.
        return _NO_IDS if pair.contiguous is None else pair.contiguous
    return pair.linked if condition == "linked" else pair.random


def _sequence(a: Ids, b: Ids | None, frame: PairFrame) -> Ids:
    ids = [*frame.before, *a, *frame.after] if b is None else frame.wrap(a, b)
    return np.array(ids, np.int32)


def _keys(pairs: Sequence[HeldOutPair], mask_pass: int) -> InstanceKeys:
    def column(name: str) -> npt.NDArray[np.int32]:
        return np.array([getattr(pair, name) for pair in pairs], np.int32)

    zeros = np.zeros(len(pairs), np.int32)
    return InstanceKeys(
        mask_passes_B=np.full(len(pairs), mask_pass, np.int64),
        corpora_B=column("corpus"),
        source_ids_B=column("source_id"),
        source_segments_B=column("source_segment"),
        # B is not masked, so its identity does not matter.
        target_ids_B=zeros,
        target_segments_B=zeros,
    )


def measures(scores: PairScores) -> tuple[dict[str, Figures], dict[str, Figures]]:
    """Return the sums and the token counts of each measure by pair, each {name: float64 [P]}.

    A measure is the ratio of both, summed over pairs: nats per masked token.
    """
    linked, random, contiguous, alone = scores.losses.T
    linked_in, random_in, _, alone_in = scores.losses_in_b.T
    has_contiguous = scores.has_contiguous.astype(np.float64)
    count = scores.num_masked.astype(np.float64)
    count_in = scores.num_in_b.astype(np.float64)
    sums = {
        "gain": random - linked,
        "alone_minus_linked": alone - linked,
        "alone_minus_random": alone - random,
        "alone_minus_contiguous": has_contiguous * alone - contiguous,
        "alone_minus_linked_in_b": alone_in - linked_in,
        "gain_in_b": random_in - linked_in,
        "gain_not_in_b": (random - random_in) - (linked - linked_in),
        "nll_linked": linked,
        "nll_random": random,
        "nll_contiguous": contiguous,
        "nll_alone": alone,
    }
    counts = dict.fromkeys(sums, count) | {
        "alone_minus_contiguous": count * has_contiguous,
        "alone_minus_linked_in_b": count_in,
        "gain_in_b": count_in,
        "gain_not_in_b": count - count_in,
        "nll_contiguous": count * has_contiguous,
    }
    if scores.num_focus.any():
        linked, random, _, alone = scores.losses_focus.T
        focus = {
            "gain_focus": random - linked,
            "alone_minus_linked_focus": alone - linked,
            "alone_minus_random_focus": alone - random,
        }
        sums |= focus
        counts |= dict.fromkeys(focus, scores.num_focus.astype(np.float64))
    return sums, counts


def summarise_scores(scores: PairScores, num_resamples: int, seed: int) -> dict[str, Any]:
    """Return each measure with its 95 % interval from resampling articles, then pairs."""
    sums, counts = measures(scores)
    names = list(sums)
    columns = np.stack([*sums.values(), *counts.values()], axis=1)
    drawn = resampled_sums([Clusters(scores.articles, columns)], num_resamples, seed)
    found: dict[str, Any] = {
        "num_pairs": len(scores.articles),
        "num_articles": int(scores.articles.max(initial=-1)) + 1,
        "num_masked": int(scores.num_masked.sum()),
        "share_in_b": float(scores.num_in_b.sum() / max(1, scores.num_masked.sum())),
    }
    total = columns.sum(0)
    for place, name in enumerate(names):
        of, by = place, place + len(names)
        found[name] = {
            "value": float(total[of] / total[by]) if total[by] else None,
            "interval": interval(drawn[:, of], drawn[:, by]),
        }
    return found
