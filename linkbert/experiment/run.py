"""`linkbert experiment`: train every arm with every seed, evaluate each, compare them all.

    warm-up corpus ──sample, pretrain, export──▶ OUT/shards, runs, models/warm-up
    corpus ──sample──▶ OUT/shards/<shards>-seed-S      a plan per arm, the same A in the same order
           ──pretrain▶ OUT/runs/<arm>-seed-S           the same weights at the start: drawn from
                                                       the seed, of `init`, or of the warm-up
           ──export──▶ OUT/models/<arm>-seed-S
           ──score───▶ OUT/scores/<arm>-seed-S.npz, .json    the same held-out pairs and masks
           ──compare─▶ OUT/results.json, report.md, figures/

An arm whose scores lie there is never computed again; one that was cut off goes on from its last
checkpoint. Sampling is done by a function that is passed in, because it belongs to the pipeline.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from linkbert.evaluation.config import EvaluationOptions
from linkbert.evaluation.evaluate import (
    figures_of,
    held_out_splits,
    link_context_scores,
    load_model,
    precision_on,
    relation_report,
)
from linkbert.evaluation.held_out import Ids
from linkbert.evaluation.instances import mlm_report
from linkbert.evaluation.link_context import PairScores
from linkbert.evaluation.ranking import RankingScores, rank
from linkbert.experiment.config import ARMS, HELD_OUT_SHARDS, ExperimentConfig
from linkbert.experiment.curve import CurveTask
from linkbert.export.export import export
from linkbert.model.vocabulary import read_tokenizer
from linkbert.training.config import PretrainConfig
from linkbert.training.run_folder import open_shards
from linkbert.training.trainer import PretrainResult, pretrain
from schemas.errors import ConfigError, StageError
from schemas.manifest import write_json, write_whole
from schemas.parquet import table_parts

logger = logging.getLogger(__name__)

Sampler = Callable[[str, Path, dict[str, Any]], Sequence[str]]
"""Write a shards folder from a corpus with these options of `sample`, and return its warnings; a
finished folder is left as it is."""

IDENTITY_NAME = "experiment.json"
WARM_UP = "warm-up"
"""What the run before all arms is called."""


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
    init = _warm_up(config, out, sample, quiet)
    places = [Place(out, arm, seed) for seed in config.seeds for arm in config.arms]
    for number, place in enumerate(places, 1):
        if place.path("scores", ".json").is_file():
            continue
        logger.info("arm %d of %d: %s, seed %d", number, len(places), place.arm, place.seed)
        _prepare_shards(config, place, sample)
        _score(config, place, _train(config, place, init, quiet))
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


def _warm_up(config: ExperimentConfig, out: Path, sample: Sampler, quiet: bool) -> Path | None:
    """Return the folder that all arms start from: that of a warm-up, `init`, or none."""
    init = Path(config.init) if config.init else None
    if not config.warm_up_steps:
        return init
    first = Place(out, WARM_UP, config.seeds[0])
    if config.curve_pairs:
        held_out = config.sampling(HELD_OUT_SHARDS, first.seed)
        sample(config.corpus, first.shards(HELD_OUT_SHARDS), held_out)
    shards, run, model = (out / name / WARM_UP for name in ("shards", "runs", "models"))
    pretraining = config.warming_up()
    options = {
        "seed": first.seed,
        "links": "none",
        "validation_fraction": config.validation_fraction,
    }
    sample(config.warm_up_corpus, shards, options | {"epochs": 1})
    available = open_shards(shards).train.num_instances
    needed = pretraining.max_steps * pretraining.batch_size
    if needed > available:
        raise ConfigError(
            f"expected at most {available // pretraining.batch_size} warm_up_steps of "
            f"{pretraining.batch_size} instances, found {pretraining.max_steps}: {available} "
            f"instances lie in {config.warm_up_corpus}"
        )
    logger.info("warming up on %s: %d steps", config.warm_up_corpus, pretraining.max_steps)
    pretrain(
        shards, run, pretraining, seed=first.seed, init=init, quiet=quiet,
        downstream=_curve_of(config, first, pretraining),
    )  # fmt: skip
    export(run, model)
    return model


def _curve_of(
    config: ExperimentConfig, place: Place, pretraining: PretrainConfig
) -> CurveTask | None:
    """Return what scores a run whenever it is validated, where that is asked for."""
    if not config.curve_pairs:
        return None
    options = EvaluationOptions(
        seed=place.seed, passes=config.passes, max_pairs=config.curve_pairs,
        precision=pretraining.precision,
    )  # fmt: skip
    return CurveTask(place.shards(HELD_OUT_SHARDS), pretraining.validate_every, options)


def _prepare_shards(config: ExperimentConfig, place: Place, sample: Sampler) -> None:
    own = ARMS[place.arm].shards
    for name in dict.fromkeys((HELD_OUT_SHARDS, own)):
        options = config.sampling(name, place.seed)
        for warning in sample(config.corpus, place.shards(name), options):
            logger.warning("warning: %s", warning)
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


def _train(
    config: ExperimentConfig, place: Place, init: Path | None, quiet: bool
) -> PretrainResult:
    pretraining = config.pretraining(place.arm)
    result = pretrain(
        place.shards(ARMS[place.arm].shards),
        place.path("runs"),
        pretraining,
        seed=place.seed,
        init=init,
        quiet=quiet,
        downstream=_curve_of(config, place, pretraining),
    )
    export(place.path("runs"), place.path("models"))
    return result


def _score(config: ExperimentConfig, place: Place, trained: PretrainResult) -> None:
    """Write the scores of a trained arm; the JSON file comes last and marks it as finished."""
    place.path("scores").parent.mkdir(exist_ok=True)
    opened = open_shards(place.shards(HELD_OUT_SHARDS))
    model = load_model(place.path("models"), opened)
    # In the number format of training: half precision takes half the time.
    precision = precision_on(model, config.pretraining(place.arm).precision).name
    options = EvaluationOptions(
        seed=place.seed, passes=config.passes, max_pairs=config.max_pairs, precision=precision,
        splits=config.splits,
    )  # fmt: skip
    focus_ids = _focus_ids(opened.tokenizer, config.focus_words)
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    found: dict[str, Any] = {"mlm": {}, "drp": {}}
    for name, split in held_out_splits(opened, config.splits).items():
        scores = link_context_scores(model, split, opened, options, focus_ids)
        for key in PairScores.__dataclass_fields__:
            arrays[f"{name}/{key}"] = getattr(scores, key)
        figures = figures_of(model, split, opened, options)
        found["mlm"][name] = mlm_report(figures)
        found["drp"][name] = relation_report(split, figures)
    if not ARMS[place.arm].has_relations:
        del found["drp"]
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    with write_whole(place.path("scores", ".npz")) as file:
        file.write(buffer.getvalue())
    told = asdict(trained)
    kept = ("step", "tokens", "instances", "first_loss", "last_loss", "relations", "seconds")
    found |= {"training": {key: told[key] for key in kept}, "precision": precision}
    write_json(place.path("scores", ".json"), found)


def _focus_ids(tokenizer_path: Path, words: Sequence[str]) -> Ids:
    """Return the token of each word.

    Raises:
        ConfigError: a word is not a single token of the vocabulary.
    """
    tokenizer = read_tokenizer(tokenizer_path)
    ids = [tokenizer.token_to_id(word) for word in words]
    if None in ids:
        raise ConfigError(
            f"expected focus_words that are tokens of {tokenizer_path}, found "
            f"{words[ids.index(None)]!r}: leave it out, or train a larger vocabulary"
        )
    return np.array(ids, np.int32)


def ranking_scores(config: ExperimentConfig, place: Place) -> RankingScores:
    """Rank with a trained arm, fine-tuned like every other, or read the result.

    The file's name holds the amounts, so a result of other amounts is never taken for this one.
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
