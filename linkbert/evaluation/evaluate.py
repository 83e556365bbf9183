"""`linkbert evaluate`: a model folder on the held-out splits of a shards folder.

link-context   how much a linked partner helps to guess A's masked tokens (`link_context`)
drp            accuracy of document relation prediction, confusion matrix (`instances`)
mlm            masked token loss by relation (`instances`)
ranking        the linked segment among 31 hard negatives, after fine-tuning (`ranking`)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from linkbert.evaluation.config import EvaluationOptions
from linkbert.evaluation.held_out import Ids, held_out_pairs
from linkbert.evaluation.instances import drp_report, mlm_report
from linkbert.evaluation.link_context import PairScores, score_pairs, summarise_scores
from linkbert.evaluation.ranking import rank, ranking_report
from linkbert.loader.dataset import Split
from linkbert.loader.masking import MaskingRule, masking_rule
from linkbert.model.families import Network
from linkbert.model.pretrained import load_network
from linkbert.model.vocabulary import check_same_vocabulary, ordinary_ids
from linkbert.model.weights import RELATION_HEAD_NAME
from linkbert.training.distributed import Ranks
from linkbert.training.optimizer import Precision, choose_precision
from linkbert.training.run_folder import Shards, open_shards
from linkbert.training.validation import SplitFigures, Validator
from schemas.errors import CheckpointError, ConfigError, SchemaError
from schemas.pair_frame import PairFrame

KINDS = ("link-context", "drp", "mlm", "ranking")

BERT_MASKING = (0.15, 0.8, 0.1)
"""BERT's share of masked tokens, and the shares of [MASK] and of random tokens among them."""


def evaluate(
    kind: str, model_folder: Path, shards_folder: Path, options: EvaluationOptions
) -> dict[str, Any]:
    """Evaluate a model on every held-out split that has instances.

    Args:
        kind: link-context, drp, mlm or ranking.
        model_folder: a Hugging Face folder; drp needs the relation head that `export` writes.
        shards_folder: a folder that `sample` wrote, with the model's vocabulary.
        options: how much to evaluate.

    Returns:
        {split: figures} for validation and validation_closed.

    Raises:
        CheckpointError: the model cannot be read, or lacks the relation head that drp needs.
        ConfigError: there is no such kind, or the vocabularies differ.
        SchemaError: nothing is held out.
    """
    if kind not in KINDS:
        raise ConfigError(f"expected kind to be one of {', '.join(KINDS)}, found {kind!r}")
    opened = open_shards(Path(shards_folder))
    model = load_model(Path(model_folder), opened)
    if kind == "drp" and not (Path(model_folder) / RELATION_HEAD_NAME).is_file():
        raise CheckpointError(
            f"expected {RELATION_HEAD_NAME}, the relation head, found none in {model_folder}: "
            "evaluate a folder that `linkbert export` wrote"
        )

    def report(split: Split) -> dict[str, Any]:
        if kind == "ranking":
            return _ranking(Path(model_folder), split, opened, options)
        if kind == "link-context":
            scores = link_context_scores(model, split, opened, options)
            return summarise_scores(scores, options.num_resamples, options.seed)
        figures = figures_of(model, split, opened, options)
        if kind == "mlm":
            return mlm_report(figures)
        return drp_report(figures, split.manifest.extra.get("drp_class_accuracy"))

    held_out = held_out_splits(opened, options.splits)
    return {name: report(split) for name, split in held_out.items()}


def held_out_splits(shards: Shards, names: Sequence[str] = ()) -> dict[str, Split]:
    """Return the held-out splits that have instances; only the named ones if names are given.

    Raises:
        SchemaError: there is none.
    """
    found = {
        name: split
        for name, split in shards.validation.items()
        if split.num_instances and (not names or name in names)
    }
    if not found:
        wanted = " or ".join(names) or "any split"
        raise SchemaError(
            f"expected held-out instances in {wanted}, found none in {shards.train.folder.parent}: "
            "sample with a larger --validation-fraction"
        )
    return found


def load_model(folder: Path, shards: Shards) -> Network:
    """Load a model onto the best device at hand, if its vocabulary is that of the shards.

    Raises:
        CheckpointError: the folder does not hold an encoder, or is damaged.
        ConfigError: the vocabularies differ.
    """
    check_same_vocabulary(shards.tokenizer, folder)
    network = load_network(folder, shards.facts)
    return network.to(best_device()).eval()


def best_device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def evaluation_rule(shards: Shards, seed: int) -> MaskingRule:
    """Return BERT's masking rule for the vocabulary and the pair frame of the shards."""
    frame = PairFrame.from_facts(shards.facts)
    return masking_rule(seed, ordinary_ids(shards.tokenizer), frame, BERT_MASKING)


def link_context_scores(
    model: Network,
    split: Split,
    shards: Shards,
    options: EvaluationOptions,
    focus_ids: Ids | None = None,
) -> PairScores:
    """Score the masked tokens of a split's held-out segments A beside each kind of partner."""
    pairs = held_out_pairs(split, shards.facts, options.max_pairs, options.seed)
    return score_pairs(
        model,
        pairs,
        evaluation_rule(shards, options.seed),
        passes=options.passes,
        precision=precision_on(model, options.precision),
        focus_ids=np.zeros(0, np.int32) if focus_ids is None else focus_ids,
    )


def precision_on(model: Network, name: str) -> Precision:
    """Return the number format of this name for the device of a model."""
    return choose_precision(name, next(model.parameters()).device)


def figures_of(
    model: Network, split: Split, shards: Shards, options: EvaluationOptions
) -> SplitFigures:
    """Predict the masked tokens and the relations of a split's first instances."""
    device = next(model.parameters()).device
    validator = Validator(
        splits={},
        rule=evaluation_rule(shards, options.seed),
        token_dtype=shards.facts["token_dtype"],
        micro_batch_size=options.batch_size,
        max_instances=options.max_pairs,
        precision=precision_on(model, options.precision),
        ranks=Ranks(0, 1, device),
    )
    return validator.figures(model, split)


def _ranking(
    model_folder: Path, split: Split, shards: Shards, options: EvaluationOptions
) -> dict[str, Any]:
    scores = rank(
        model_folder,
        shards.train,
        split,
        shards.facts,
        train_pairs=options.train_pairs,
        max_queries=options.max_pairs,
        seed=options.seed,
    )
    return ranking_report(scores, options.num_resamples, options.seed)
