"""Losses and accuracies on held-out articles, by relation.

In: a model and a validation split. Out: figures of each split, with an interval for the accuracy of
document relation prediction. Instances of one article resemble each other, so the interval comes
from resampling articles, not instances. "Chance" is what the manifest of the shards says: the best
accuracy possible from the kind of segment A alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional

from linkbert.loader.batches import Share, share_out, to_batch
from linkbert.loader.dataset import InstanceReader, Split
from linkbert.loader.masking import MaskingRule
from linkbert.model.families import Network
from linkbert.model.network import Batch
from linkbert.training.distributed import Ranks
from linkbert.training.optimizer import Precision
from schemas.tables.instances import RELATIONS

_INSTANCES_AT_ONCE = 1024
_NUM_RESAMPLES = 1000
_INTERVAL = (2.5, 97.5)  # percent

Figures = npt.NDArray[np.float64]

# Columns of the figures of an instance.
_MLM_SUM, _MLM_CORRECT, _NUM_MASKED, _DRP_LOSS, _PREDICTED = range(5)


class SplitFigures(NamedTuple):
    """The figures of the first instances of a split.

    Attributes:
        of_instances: float64 [instances, 5], as `instance_figures` has them.
        relations: int8 [instances].
        articles: int64 [instances], the article of each A, dense from 0.
    """

    of_instances: Figures
    relations: npt.NDArray[np.int8]
    articles: npt.NDArray[np.int64]

    @property
    def predicted(self) -> npt.NDArray[np.int8]:
        """The relation predicted for each instance."""
        return self.of_instances[:, _PREDICTED].astype(np.int8)


@dataclass(frozen=True, slots=True)
class Validator:
    """Everything that validation and evaluation need besides the model."""

    splits: dict[str, Split]
    rule: MaskingRule
    token_dtype: str
    micro_batch_size: int
    max_instances: int
    precision: Precision
    ranks: Ranks

    def run(self, model: Network) -> dict[str, dict[str, Any]]:
        """Return the figures of every split that holds instances."""
        results = {}
        for name, split in self.splits.items():
            if split.num_instances:
                found = self.figures(model, split)
                results[name] = {**summarise(found), "chance": _chance(split, found.relations)}
        return results

    @torch.no_grad()
    def figures(self, model: Network, split: Split) -> SplitFigures:
        """Compute the figures of the first instances of a split, without dropout."""
        was_training = model.training
        model.eval()
        num_instances = min(split.num_instances, self.max_instances)
        reader = InstanceReader(split, seed=0)
        tables, figures = [], []
        for start in range(0, num_instances, _INSTANCES_AT_ONCE):
            table = reader.read(start, min(start + _INSTANCES_AT_ONCE, num_instances))
            figures.append(self._figures(model, table))
            tables.append(table.select(["corpus", "source_id", "relation"]))
        model.train(was_training)
        table = pa.concat_tables(tables)
        relations = table.column("relation").to_numpy()
        return SplitFigures(np.concatenate(figures), relations, _articles(table))

    def _figures(self, model: Network, table: pa.Table) -> Figures:
        """Return the figures [instances, 5] of a stretch, each rank having computed its share."""
        total = torch.zeros(table.num_rows, 5, dtype=torch.float64)
        share = Share(self.ranks.rank, self.ranks.size, self.micro_batch_size)
        dtype = np.dtype(self.token_dtype)
        for rows in share_out(table.column("num_tokens").to_numpy(), share):
            batch = to_batch(table.take(pa.array(rows)), self.rule, dtype)
            with self.precision.autocast():
                found = instance_figures(model, batch.to(self.ranks.device))
            total[torch.from_numpy(rows)] = found.cpu()
        return self.ranks.sum(total.to(self.ranks.device)).cpu().numpy()


def instance_figures(model: Network, batch: Batch) -> Tensor:
    """Return [B, 5], float64: MLM loss and hits summed, masked tokens, DRP loss, prediction."""
    mlm_logits_MV, drp_logits_BR = model.logits(batch)
    mlm_loss_M = functional.cross_entropy(mlm_logits_MV.float(), batch.labels_M, reduction="none")
    hit_M = mlm_logits_MV.argmax(-1) == batch.labels_M
    ends_B = batch.lengths_B.long().cumsum(0)
    instance_M = torch.bucketize(batch.masked_positions_M, ends_B, right=True)
    drp_logits_BR = drp_logits_BR.float()
    drp_loss_B = functional.cross_entropy(drp_logits_BR, batch.relations_B, reduction="none")
    figures = torch.zeros(len(ends_B), 5, dtype=torch.float64, device=ends_B.device)
    for column, values in (
        (_MLM_SUM, mlm_loss_M),
        (_MLM_CORRECT, hit_M),
        (_NUM_MASKED, hit_M >= 0),
    ):
        figures[:, column].index_add_(0, instance_M, values.double())
    figures[:, _DRP_LOSS] = drp_loss_B.double()
    figures[:, _PREDICTED] = drp_logits_BR.argmax(-1).double()
    return figures


def summarise(found: SplitFigures) -> dict[str, Any]:
    """Turn the figures of instances into those of a split, in all and by relation."""
    figures, relations = found.of_instances, found.relations
    correct = found.predicted == relations
    by_relation = {}
    for label, name in enumerate(RELATIONS):
        chosen = relations == label
        if chosen.any():
            by_relation[name] = _means(figures[chosen], correct[chosen])
    return {
        **_means(figures, correct),
        "interval": accuracy_interval(correct, found.articles),
        "by_relation": by_relation,
    }


def in_words(splits: dict[str, dict[str, Any]]) -> str:
    """Return the main figures of every split as a line for a person."""
    return "; ".join(
        f"{name}: MLM loss {found['mlm_loss']:.3f}, DRP accuracy {found['drp_accuracy']:.3f} "
        f"(chance {found['chance']:.3f})"
        for name, found in splits.items()
    )


def _means(figures: Figures, correct: npt.NDArray[np.bool_]) -> dict[str, Any]:
    num_masked = max(1.0, float(figures[:, _NUM_MASKED].sum()))
    return {
        "num_instances": len(figures),
        "drp_accuracy": float(correct.mean()),
        "drp_loss": float(figures[:, _DRP_LOSS].mean()),
        "mlm_loss": float(figures[:, _MLM_SUM].sum()) / num_masked,
        "mlm_accuracy": float(figures[:, _MLM_CORRECT].sum()) / num_masked,
    }


def accuracy_interval(
    correct: npt.NDArray[np.bool_], articles: npt.NDArray[np.int64]
) -> list[float]:
    """Return a 95 % interval of the accuracy by resampling articles.

    >>> accuracy_interval(np.array([True] * 4), np.array([0, 0, 1, 1]))
    [1.0, 1.0]
    """
    hits = np.bincount(articles, weights=correct)
    sizes = np.bincount(articles)
    draws = np.random.Generator(np.random.Philox(0))
    accuracies = []
    for _ in range(_NUM_RESAMPLES):
        chosen = draws.integers(0, len(sizes), len(sizes))
        accuracies.append(hits[chosen].sum() / sizes[chosen].sum())
    low, high = np.percentile(accuracies, _INTERVAL)
    return [float(low), float(high)]


def _articles(table: pa.Table) -> npt.NDArray[np.int64]:
    corpora = table.column("corpus").to_numpy().astype(np.int64)
    keys = (corpora << 32) + table.column("source_id").to_numpy()
    return np.unique(keys, return_inverse=True)[1].astype(np.int64)


def _chance(split: Split, relations: npt.NDArray[np.int8]) -> float:
    """Return the manifest's figure, else the share of the most frequent relation."""
    stated = split.manifest.extra.get("drp_class_accuracy")
    most_frequent = float(np.bincount(relations).max() / len(relations))
    return most_frequent if stated is None else float(stated)
