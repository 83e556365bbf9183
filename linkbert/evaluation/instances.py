"""Masked tokens and document relations of held-out instances, as pretraining computes them.

In: a model and an instances table. Out: masked token loss and accuracy by relation; accuracy of
document relation prediction with its confusion matrix, to be held against the best accuracy that a
guess from the kind of A alone can have (LinkBERT, arXiv:2203.15827, section 4.2).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from linkbert.loader.batches import Share, share_out, to_batch
from linkbert.loader.dataset import InstanceReader, Split
from linkbert.loader.masking import MaskingRule
from linkbert.model.network import LinkBert
from linkbert.training.validation import instance_figures, summarise
from schemas.errors import SchemaError
from schemas.tables.instances import RELATIONS

_INSTANCES_AT_ONCE = 1024
_PREDICTED = 4
"""Column of the figures of an instance that holds the predicted relation."""

Figures = npt.NDArray[np.float64]


def split_figures(
    model: LinkBert,
    split: Split,
    rule: MaskingRule,
    token_dtype: str,
    *,
    max_instances: int,
    batch_size: int,
    device: torch.device,
) -> tuple[Figures, npt.NDArray[np.int8], npt.NDArray[np.int64]]:
    """Compute the figures of the first instances of a split.

    Returns:
        float64 [instances, 5] as `linkbert.training.validation.instance_figures` has them, the
        relations int8 [instances], and the article of each A, int64 [instances], dense from 0.

    Raises:
        SchemaError: the split is empty.
    """
    stop_at = min(split.num_instances, max_instances)
    if not stop_at:
        raise SchemaError(
            f"expected held-out instances, found none in {split.folder}: sample with a larger "
            "--validation-fraction"
        )
    reader, dtype, share = (
        InstanceReader(split, seed=0),
        np.dtype(token_dtype),
        Share(0, 1, batch_size),
    )
    figures, tables = np.zeros((stop_at, 5)), []
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for start in range(0, stop_at, _INSTANCES_AT_ONCE):
            table = reader.read(start, min(start + _INSTANCES_AT_ONCE, stop_at))
            for rows in share_out(table.column("num_tokens").to_numpy(), share):
                batch = to_batch(table.take(pa.array(rows)), rule, dtype).to(device)
                figures[start + rows] = instance_figures(model, batch).cpu().numpy()
            tables.append(table.select(["corpus", "source_id", "relation"]))
    model.train(was_training)
    table = pa.concat_tables(tables)
    corpora = table.column("corpus").to_numpy().astype(np.int64)
    keys = (corpora << 32) + table.column("source_id").to_numpy()
    articles = np.unique(keys, return_inverse=True)[1].astype(np.int64)
    return figures, table.column("relation").to_numpy(), articles


def drp_report(
    figures: Figures,
    relations: npt.NDArray[np.int8],
    articles: npt.NDArray[np.int64],
    class_accuracy: float | None,
) -> dict[str, Any]:
    """Return accuracy, its 95 % interval, what to hold it against, and the confusion matrix."""
    found = summarise(figures, relations, articles)
    counts = np.bincount(relations, minlength=len(RELATIONS))
    return {
        "num_instances": len(relations),
        "accuracy": found["drp_accuracy"],
        "interval": found["interval"],
        "loss": found["drp_loss"],
        "most_frequent_relation": float(counts.max() / counts.sum()),
        "guess_from_kind_of_a": class_accuracy,
        "confusion": confusion_matrix(relations, figures[:, _PREDICTED].astype(np.int8)),
    }


def confusion_matrix(
    relations: npt.NDArray[np.int8], predicted: npt.NDArray[np.int8]
) -> dict[str, dict[str, int]]:
    """Count instances by their relation, then by the predicted one.

    >>> found = confusion_matrix(np.array([0, 0, 2], np.int8), np.array([0, 1, 2], np.int8))
    >>> found["contiguous"]
    {'contiguous': 1, 'random': 1, 'linked': 0}
    """
    size = len(RELATIONS)
    table = np.bincount(relations.astype(np.int64) * size + predicted, minlength=size * size)
    return {
        name: dict(zip(RELATIONS, row.tolist(), strict=True))
        for name, row in zip(RELATIONS, table.reshape(size, size), strict=True)
    }


def mlm_report(
    figures: Figures, relations: npt.NDArray[np.int8], articles: npt.NDArray[np.int64]
) -> dict[str, Any]:
    """Return masked token loss (nats), perplexity and accuracy, in all and by relation."""
    found = summarise(figures, relations, articles)
    told = {"all": found, **found["by_relation"]}
    return {
        name: {
            "num_instances": each["num_instances"],
            "loss": each["mlm_loss"],
            "perplexity": float(np.exp(each["mlm_loss"])),
            "accuracy": each["mlm_accuracy"],
        }
        for name, each in told.items()
    }
