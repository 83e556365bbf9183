"""Masked tokens and document relations of held-out instances, as pretraining computes them.

In: the figures of a split's instances (`linkbert.training.validation`). Out: masked token loss and
accuracy by relation; accuracy of document relation prediction with its confusion matrix, to be
compared with the best accuracy possible for a guess from the kind of A alone (LinkBERT,
arXiv:2203.15827, section 4.2).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from linkbert.training.validation import SplitFigures, summarise
from schemas.tables.instances import RELATIONS


def drp_report(figures: SplitFigures, class_accuracy: float | None) -> dict[str, Any]:
    """Return the accuracy, its 95 % interval, baselines for it, and the confusion matrix."""
    found, relations = summarise(figures), figures.relations
    counts = np.bincount(relations, minlength=len(RELATIONS))
    return {
        "num_instances": len(relations),
        "accuracy": found["drp_accuracy"],
        "interval": found["interval"],
        "loss": found["drp_loss"],
        "most_frequent_relation": float(counts.max() / counts.sum()),
        "guess_from_kind_of_a": class_accuracy,
        "confusion": confusion_matrix(relations, figures.predicted),
    }


def confusion_matrix(
    relations: npt.NDArray[np.int8], predicted: npt.NDArray[np.int8]
) -> dict[str, dict[str, int]]:
    """Count instances by their relation and by the predicted one.

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


def mlm_report(figures: SplitFigures) -> dict[str, Any]:
    """Return masked token loss (nats), perplexity and accuracy, overall and by relation."""
    found = summarise(figures)
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
