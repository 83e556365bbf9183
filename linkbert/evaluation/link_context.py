"""Link-context gain: how much better A's masked tokens are guessed beside a linked partner.

    gain = NLL(masked tokens of A | A + random B) - NLL(the same tokens | A + linked B)

in nats a token, the same masks of A beside every partner, B unmasked, the relation head unused: so
it compares models that have such a head with models that have none. It needs no fine-tuning. Each
masked token counts as in B or not in B by whether the linked B holds it: the first part can be
copied, the second must be known. With the contiguous B, and with A alone (`[CLS] A [SEP]`), the
same tokens tell whether what was gained was paid for elsewhere.
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
from schemas.pair_frame import PairFrame

CONDITIONS = ("linked", "random", "contiguous", "alone")
"""Partners of A, in the order of the columns of `PairScores.losses`."""

_NO_IDS = np.zeros(0, np.int32)
_PAIRS_AT_ONCE = 64

Figures = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PairScores:
    """Sums over the masked tokens of each pair's A, over all passes.

    Attributes:
        articles: int64 [P], the article of A, dense from 0.
        losses: float64 [P, 4], negative log-likelihoods by condition; 0 without a contiguous B.
        losses_in_b: the same over the tokens that the linked B holds.
        num_masked: int64 [P].
        num_in_b: int64 [P], masked tokens that the linked B holds.
        has_contiguous: bool [P].
    """

    articles: npt.NDArray[np.int64]
    losses: Figures
    losses_in_b: Figures
    num_masked: npt.NDArray[np.int64]
    num_in_b: npt.NDArray[np.int64]
    has_contiguous: npt.NDArray[np.bool_]


def score_pairs(
    model: Network,
    pairs: Sequence[HeldOutPair],
    rule: MaskingRule,
    *,
    passes: int,
    device: torch.device,
) -> PairScores:
    """Score the masked tokens of every A beside each partner.

    Args:
        model: on the device.
        pairs: what to score.
        rule: of the masks; its seed decides them.
        passes: how many masks of each A are drawn; more make the figure steadier.
        device: where to compute.
    """
    losses = np.zeros((len(pairs), len(CONDITIONS)))
    losses_in_b = np.zeros_like(losses)
    num_masked, num_in_b = (np.zeros(len(pairs), np.int64) for _ in range(2))
    was_training = model.training
    model.eval()
    for mask_pass in range(passes):
        for start in range(0, len(pairs), _PAIRS_AT_ONCE):
            chosen = pairs[start : start + _PAIRS_AT_ONCE]
            here = np.arange(start, start + len(chosen))
            for column, condition in enumerate(CONDITIONS):
                found = _score_batch(model, chosen, condition, mask_pass, rule, device)
                losses[here, column] += found[0]
                losses_in_b[here, column] += found[1]
                if column == 0:
                    num_masked[here] += found[2]
                    num_in_b[here] += found[3]
    model.train(was_training)
    has_contiguous = np.array([pair.contiguous is not None for pair in pairs], np.bool_)
    missing = ~has_contiguous
    losses[missing, CONDITIONS.index("contiguous")] = 0.0
    losses_in_b[missing, CONDITIONS.index("contiguous")] = 0.0
    keys = np.array([(pair.corpus, pair.source_id) for pair in pairs], np.int64).reshape(-1, 2)
    articles = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return PairScores(articles, losses, losses_in_b, num_masked, num_in_b, has_contiguous)


def _score_batch(
    model: Network,
    pairs: Sequence[HeldOutPair],
    condition: str,
    mask_pass: int,
    rule: MaskingRule,
    device: torch.device,
) -> tuple[Figures, Figures, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return loss sums, those of tokens in B, and both numbers of tokens; all [pairs]."""
    batch, owner_M = batch_of(pairs, condition, mask_pass, rule)
    labels_M = batch.labels_M.numpy()
    is_in_b_M = np.zeros(len(labels_M), np.bool_)
    for number, pair in enumerate(pairs):
        own = owner_M == number
        is_in_b_M[own] = np.isin(labels_M[own], pair.linked)
    with torch.no_grad():
        mlm_logits_MV, _ = model.logits(batch.to(device))
        loss_M = functional.cross_entropy(
            mlm_logits_MV.float(), batch.labels_M.to(device), reduction="none"
        )
    loss = loss_M.double().cpu().numpy()
    size = len(pairs)
    return (
        _sums(owner_M, loss, size),
        _sums(owner_M, loss * is_in_b_M, size),
        np.bincount(owner_M, minlength=size).astype(np.int64),
        np.bincount(owner_M[is_in_b_M], minlength=size).astype(np.int64),
    )


def _sums(owner_M: npt.NDArray[np.int64], values_M: Figures, size: int) -> Figures:
    return np.bincount(owner_M, values_M, size).astype(np.float64)


def batch_of(
    pairs: Sequence[HeldOutPair],
    condition: str,
    mask_pass: int,
    rule: MaskingRule,
) -> tuple[Batch, npt.NDArray[np.int64]]:
    """Lay pairs end to end with A alone masked; also return the pair of each masked token [M]."""
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
        # Computed all the same where there is none, so that batches are alike; not counted.
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
        # B is not masked: what identifies it does not matter.
        target_ids_B=zeros,
        target_segments_B=zeros,
    )


# name: (losses taken from, condition added, condition subtracted, tokens counted)
def measures(scores: PairScores) -> tuple[dict[str, Figures], dict[str, Figures]]:
    """Return sums and numbers of tokens of each measure by pair, each {name: float64 [P]}.

    A measure is the ratio of the two sums over pairs, in nats a masked token.
    """
    linked, random, contiguous, alone = scores.losses.T
    linked_in, random_in = scores.losses_in_b.T[:2]
    count = scores.num_masked.astype(np.float64)
    count_in = scores.num_in_b.astype(np.float64)
    count_contiguous = count * scores.has_contiguous
    sums = {
        "gain": random - linked,
        "gain_in_b": random_in - linked_in,
        "gain_not_in_b": (random - random_in) - (linked - linked_in),
        "nll_linked": linked,
        "nll_random": random,
        "nll_contiguous": contiguous,
        "nll_alone": alone,
    }
    counts = dict.fromkeys(sums, count) | {
        "gain_in_b": count_in,
        "gain_not_in_b": count - count_in,
        "nll_contiguous": count_contiguous,
    }
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
