"""`linkbert evaluate`: a model folder against the held-out splits of a shards folder.

link-context   what a linked partner is worth for guessing A's masked tokens (`link_context`)
drp            accuracy of document relation prediction, confusion matrix (`instances`)
mlm            masked token loss by relation (`instances`)
ranking        the linked segment among 31 hard negatives, after fine-tuning (`ranking`)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
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
from schemas.errors import CheckpointError, SchemaError
from schemas.pair_frame import PairFrame

BERT_MASKING = (0.15, 0.8, 0.1)
"""Shares of masked tokens, of [MASK] and of random tokens among them (BERT)."""


def evaluate(
    kind: str, model_folder: Path, shards_folder: Path, options: EvaluationOptions
) -> dict[str, Any]:
    """Evaluate a model on every held-out split that has instances.

    Args:
        kind: link-context, drp, mlm or ranking.
        model_folder: a Hugging Face folder; drp needs the relation head that `export` writes.
        shards_folder: what `sample` wrote; the vocabulary must be the model's.
        options: how much.

    Returns:
        {split: figures}, the splits being validation and validation_closed.

    Raises:
        CheckpointError: the model cannot be read, or has no relation head where one is needed.
        ConfigError: the vocabularies differ.
        SchemaError: nothing is held out.
    """
    opened = open_shards(Path(shards_folder))
    model = load_model(Path(model_folder), opened)
    if kind == "drp" and not (Path(model_folder) / RELATION_HEAD_NAME).is_file():
        raise CheckpointError(
            f"expected {RELATION_HEAD_NAME}, the relation head, found none in {model_folder}: "
            "evaluate a folder that `linkbert export` wrote"
        )
    held_out = held_out_splits(opened, options.splits)
    if kind == "ranking":
        return {
            name: _ranking(Path(model_folder), split, opened, options)
            for name, split in held_out.items()
        }
    run = _KINDS[kind]
    return {name: run(model, split, opened, options) for name, split in held_out.items()}


def held_out_splits(shards: Shards, names: Sequence[str] = ()) -> dict[str, Split]:
    """Return the held-out splits that have instances, or those of them that are named.

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
    """Load a model on the best device at hand, once its vocabulary proves to be the shards'.

    Raises:
        CheckpointError: the folder is not an encoder's, or damaged.
        ConfigError: the vocabularies differ.
    """
    check_same_vocabulary(shards.tokenizer, folder)
    network = load_network(folder, shards.facts)
    return network.to(best_device()).eval()


def best_device() -> torch.device:
    """Return the GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def evaluation_rule(shards: Shards, seed: int) -> MaskingRule:
    """Return BERT's masking rule for the shards' vocabulary and their frame of a pair."""
    frame = PairFrame.from_facts(shards.facts)
    return masking_rule(seed, ordinary_ids(shards.tokenizer), frame, BERT_MASKING)


def link_context_scores(
    model: Network, split: Split, shards: Shards, options: EvaluationOptions, focus_ids: Ids
) -> PairScores:
    """Score the masked tokens of a split's held-out A beside each partner."""
    pairs = held_out_pairs(split, shards.facts, options.max_pairs, options.seed)
    return score_pairs(
        model,
        pairs,
        evaluation_rule(shards, options.seed),
        passes=options.passes,
        precision=precision_on(model, options.precision),
        focus_ids=focus_ids,
    )


def _link_context(
    model: Network, split: Split, shards: Shards, options: EvaluationOptions
) -> dict[str, Any]:
    scores = link_context_scores(model, split, shards, options, np.zeros(0, np.int32))
    return summarise_scores(scores, options.num_resamples, options.seed)


def precision_on(model: Network, name: str) -> Precision:
    """Return a number format on the device of a model."""
    return choose_precision(name, next(model.parameters()).device)


def relation_report(split: Split, figures: SplitFigures) -> dict[str, Any]:
    """Return what the figures of a split tell of document relation prediction."""
    return drp_report(figures, split.manifest.extra.get("drp_class_accuracy"))


def _drp(
    model: Network, split: Split, shards: Shards, options: EvaluationOptions
) -> dict[str, Any]:
    return relation_report(split, figures_of(model, split, shards, options))


def _mlm(
    model: Network, split: Split, shards: Shards, options: EvaluationOptions
) -> dict[str, Any]:
    return mlm_report(figures_of(model, split, shards, options))


def figures_of(
    model: Network, split: Split, shards: Shards, options: EvaluationOptions
) -> SplitFigures:
    """Compute masked tokens and relations of a split's first instances."""
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
    with TemporaryDirectory() as scratch:
        scores = rank(
            model_folder,
            shards.train,
            split,
            shards.facts,
            train_pairs=options.train_pairs,
            max_queries=options.max_pairs,
            seed=options.seed,
            scratch=Path(scratch),
        )
    return ranking_report(scores, options.num_resamples, options.seed)


_KINDS: dict[str, Callable[[Network, Split, Shards, EvaluationOptions], dict[str, Any]]] = {
    "link-context": _link_context,
    "drp": _drp,
    "mlm": _mlm,
}
