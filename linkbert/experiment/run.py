"""`linkbert experiment`: train every arm with every seed, evaluate each, compare them all.

    corpus ──sample──▶ OUT/shards/<shards>-seed-S      one plan an arm, the same A in the same order
           ──pretrain▶ OUT/runs/<arm>-seed-S           the same weights at the start
           ──export──▶ OUT/models/<arm>-seed-S
           ──score───▶ OUT/scores/<arm>-seed-S.npz, .json    the same held-out pairs and masks
           ──compare─▶ OUT/results.json, report.md, figures/

An arm whose scores lie there is never computed again; one that was cut off goes on from its last
checkpoint. Sampling is done by a function that is passed in, because it belongs to the other side.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from linkbert.evaluation.config import EvaluationOptions
from linkbert.evaluation.evaluate import (
    best_device,
    evaluate,
    evaluation_rule,
    load_model,
)
from linkbert.evaluation.held_out import held_out_pairs
from linkbert.evaluation.link_context import PairScores, score_pairs
from linkbert.evaluation.ranking import RankingScores, rank
from linkbert.experiment.config import ARMS, HELD_OUT_SHARDS, ExperimentConfig
from linkbert.export.export import export
from linkbert.training.run_folder import Shards, open_shards
from linkbert.training.trainer import pretrain
from schemas.errors import ConfigError, StageError
from schemas.manifest import write_json, write_whole
from schemas.parquet import table_parts

logger = logging.getLogger(__name__)

Sampler = Callable[[Path, dict[str, Any]], None]
"""Write a shards folder with these options of `sample`; a finished folder is left as it is."""

IDENTITY_NAME = "experiment.json"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the parts of one arm and seed lie."""

    root: Path
    arm: str
    seed: int

    def path(self, folder: str, suffix: str = "") -> Path:
        """Return where the arm's part of a folder lies."""
        return self.root / folder / f"{self.arm}-seed-{self.seed}{suffix}"

    def shards(self, name: str) -> Path:
        """Return the shards of a name, of this seed."""
        return self.root / "shards" / f"{name}-seed-{self.seed}"


def run_arms(
    config: ExperimentConfig, out: Path, sample: Sampler, corpus_fingerprint: str, quiet: bool
) -> list[Place]:
    """Train and score every arm with every seed; return their places, seed by seed.

    Raises:
        ConfigError: the folder holds another experiment, or the epochs do not suffice.
        StageError: arms of a seed do not read the same segments A in the same order.
    """
    _check_identity(config, out, corpus_fingerprint)
    places = [Place(out, arm, seed) for seed in config.seeds for arm in config.arms]
    for number, place in enumerate(places, 1):
        if place.path("scores", ".json").is_file():
            continue
        logger.info("arm %d of %d: %s, seed %d", number, len(places), place.arm, place.seed)
        _prepare_shards(config, place, sample)
        _train(config, place, quiet)
        _score(config, place)
    return places


def _check_identity(config: ExperimentConfig, out: Path, corpus_fingerprint: str) -> None:
    path = out / IDENTITY_NAME
    wanted = json.loads(json.dumps({"corpus": corpus_fingerprint, **config.identity()}))
    if path.is_file():
        found = json.loads(path.read_text())
        different = [key for key in wanted if found.get(key) != wanted[key]]
        if different:
            raise ConfigError(
                f"expected the experiment that was begun in {out}, found other values of "
                f"{', '.join(different)}: choose another --out or --overwrite"
            )
    elif out.exists() and any(out.iterdir()):
        raise ConfigError(f"expected a new folder or an experiment, found another folder: {out}")
    else:
        out.mkdir(parents=True, exist_ok=True)
        write_json(path, wanted)


def _prepare_shards(config: ExperimentConfig, place: Place, sample: Sampler) -> None:
    own = ARMS[place.arm].shards
    for name in dict.fromkeys((HELD_OUT_SHARDS, own)):
        sample(place.shards(name), config.sampling(name, place.seed))
    reference, digest = (
        sequence_digest(place.shards(name) / "train") for name in (HELD_OUT_SHARDS, own)
    )
    if reference != digest:
        raise StageError(
            f"expected the arm {place.arm} to read the segments A of {HELD_OUT_SHARDS} in their "
            "order, found others: some segments were dropped; the arms cannot be compared"
        )
    pretraining = config.pretraining(place.arm)
    available = open_shards(place.shards(own)).train.num_instances
    needed = pretraining.max_steps * pretraining.batch_size
    if needed > available:
        per_epoch = available // config.epochs
        raise ConfigError(
            f"expected epochs that hold {needed} instances, found {available} in {config.epochs}: "
            f"set epochs = {-(-needed // per_epoch)}, or fewer max_steps"
        )


def sequence_digest(folder: Path) -> str:
    """Return a digest of the segments A of a training split, in their order."""
    digest = hashlib.sha256()
    for path in table_parts(folder):
        table = pq.read_table(path, columns=["corpus", "source_id", "source_segment"])
        columns = [column.to_numpy() for column in table.columns]
        # By row, so that where one shard ends does not show.
        digest.update(np.ascontiguousarray(np.stack(columns, axis=1)).tobytes())
    return digest.hexdigest()


def _train(config: ExperimentConfig, place: Place, quiet: bool) -> None:
    pretrain(
        place.shards(ARMS[place.arm].shards),
        place.path("runs"),
        config.pretraining(place.arm),
        seed=place.seed,
        quiet=quiet,
    )
    export(place.path("runs"), place.path("models"))


def _score(config: ExperimentConfig, place: Place) -> None:
    """Write the scores of a trained arm; the JSON file comes last and marks it as finished."""
    place.path("scores").parent.mkdir(exist_ok=True)
    held_out = place.shards(HELD_OUT_SHARDS)
    opened = open_shards(held_out)
    arrays = _pair_scores(config, place, opened)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    with write_whole(place.path("scores", ".npz")) as file:
        file.write(buffer.getvalue())
    options = EvaluationOptions(seed=place.seed, max_pairs=config.max_pairs)
    found: dict[str, Any] = {"mlm": evaluate("mlm", place.path("models"), held_out, options)}
    if ARMS[place.arm].has_relations:
        found["drp"] = evaluate("drp", place.path("models"), held_out, options)
    again = pretrain(  # finished: it tells what it came to
        place.shards(ARMS[place.arm].shards),
        place.path("runs"),
        config.pretraining(place.arm),
        seed=place.seed,
        quiet=True,
    )
    told = asdict(again)
    kept = ("step", "tokens", "instances", "first_loss", "last_loss", "relations", "seconds")
    found["training"] = {key: told[key] for key in kept}
    write_json(place.path("scores", ".json"), found)


def _pair_scores(
    config: ExperimentConfig, place: Place, shards: Shards
) -> dict[str, np.ndarray[Any, Any]]:
    model = load_model(place.path("models"), shards)
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for name, split in shards.validation.items():
        pairs = held_out_pairs(split, shards.facts, config.max_pairs, place.seed)
        scores = score_pairs(
            model,
            pairs,
            evaluation_rule(shards, place.seed),
            passes=config.passes,
            device=best_device(),
        )
        for key in PairScores.__dataclass_fields__:
            arrays[f"{name}/{key}"] = getattr(scores, key)
    return arrays


def ranking_scores(config: ExperimentConfig, place: Place) -> RankingScores:
    """Rank with a trained arm, fine-tuned as every other, or read what it came to.

    The file's name tells the amounts, so that other amounts are computed, not mistaken for it.
    """
    amounts = f".ranking-{config.ranking_pairs}-{config.ranking_queries}"
    path = place.path("scores", f"{amounts}.npz")
    if not path.is_file():
        shards = open_shards(place.shards(HELD_OUT_SHARDS))
        found = rank(
            place.path("models"),
            shards.train,
            shards.validation["validation_closed"],
            shards.facts,
            train_pairs=config.ranking_pairs,
            max_queries=config.ranking_queries,
            seed=place.seed,
            scratch=place.root / "scratch",
        )
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, articles=found.articles, ranks=found.ranks)
        with write_whole(path) as file:
            file.write(buffer.getvalue())
    with np.load(path, allow_pickle=False) as arrays:
        return RankingScores(arrays["articles"], arrays["ranks"])


def load_scores(place: Place) -> tuple[dict[str, PairScores], dict[str, Any]]:
    """Read the scores of a finished arm: those of pairs by split, and its other figures."""
    with np.load(place.path("scores", ".npz"), allow_pickle=False) as arrays:
        splits = dict.fromkeys(name.split("/")[0] for name in arrays.files)
        scores = {
            split: PairScores(
                **{key: arrays[f"{split}/{key}"] for key in PairScores.__dataclass_fields__}
            )
            for split in splits
        }
    return scores, json.loads(place.path("scores", ".json").read_text())
