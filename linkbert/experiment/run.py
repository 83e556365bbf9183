"""`linkbert experiment`: train every arm with every seed, evaluate each, compare them all.

    warm-up corpus ──sample, pretrain, export──▶ OUT/shards, runs, models/warm-up
    corpus ──sample──▶ OUT/shards/<shards>-seed-S      a plan per arm, the same A in the same order
           ──pretrain▶ OUT/runs/<arm>-seed-S           the same weights at the start: drawn from
                                                       the seed, of `init`, or of the warm-up
           ──export──▶ OUT/models/<arm>-seed-S
           ──score───▶ OUT/scores/<arm>-seed-S.npz, .json    the same held-out pairs and masks
           ──compare─▶ OUT/results.json, report.md, figures/

An arm with scores is never computed again, unless `max_steps` is raised; one that was interrupted
resumes from its last checkpoint. The function that samples is passed in, because sampling belongs
to the pipeline.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
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
)
from linkbert.evaluation.held_out import Ids
from linkbert.evaluation.instances import drp_report, mlm_report
from linkbert.evaluation.link_context import PairScores
from linkbert.evaluation.ranking import RankingScores, rank
from linkbert.experiment.config import ARMS, HELD_OUT_SHARDS, ExperimentConfig
from linkbert.experiment.curve import CurveTask
from linkbert.export.export import export
from linkbert.model.vocabulary import read_tokenizer
from linkbert.training.config import PretrainConfig, differences
from linkbert.training.run_folder import RUN_NAME, open_shards, read_run
from linkbert.training.trainer import PretrainResult, pretrain
from schemas.errors import ConfigError, StageError
from schemas.manifest import MANIFEST_NAME, write_json, write_whole
from schemas.parquet import table_parts

logger = logging.getLogger(__name__)

Sampler = Callable[[str, Path, dict[str, Any]], Sequence[str]]
"""Write a shards folder from a corpus with these options of `sample`, and return its warnings; a
finished folder is left as it is."""

IDENTITY_NAME = "experiment.json"
WARM_UP = "warm-up"
"""The name of the run before all arms."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the files of one arm and seed are."""

    root: Path
    arm: str
    seed: int

    def path(self, folder: str, suffix: str = "") -> Path:
        """Return the path of the arm's file or folder within a folder of the experiment."""
        return self.root / folder / f"{self.arm}-seed-{self.seed}{suffix}"

    def shards(self, name: str) -> Path:
        """Return the path of the shards of this name and seed."""
        return self.root / "shards" / f"{name}-seed-{self.seed}"


def run_arms(
    config: ExperimentConfig, out: Path, sample: Sampler, corpus_fingerprint: str, quiet: bool
) -> list[Place]:
    """Train and score every arm with every seed; return their places, seed by seed.

    Raises:
        ConfigError: the folder holds another experiment, or there are not enough epochs.
        StageError: arms of a seed do not read the same segments A in the same order.
    """
    stages = _stages(config, out, corpus_fingerprint)
    init = _warm_up(config, out, sample, stages[0], quiet)
    places = [Place(out, arm, seed) for seed in config.seeds for arm in config.arms]
    for number, place in enumerate(places, 1):
        if place.path("scores", ".json").is_file():
            continue
        logger.info("arm %d of %d: %s, seed %d", number, len(places), place.arm, place.seed)
        _prepare_shards(config, place, sample)
        _score(config, place, _train(config, place, init, stages, quiet))
    return places


def _stages(config: ExperimentConfig, out: Path, corpus_fingerprint: str) -> list[int]:
    """Check or begin the folder; return how many steps every arm is trained to, stage by stage.

    There are several stages if `max_steps` has been raised: arms that are added later must pass
    through the learning rates of those that were trained before.

    Raises:
        ConfigError: the folder holds another experiment, or there are not enough epochs.
    """
    path = out / IDENTITY_NAME
    wanted = json.loads(json.dumps({"corpus": corpus_fingerprint, **config.identity()}))
    max_steps = wanted["pretraining"]["max_steps"]
    if not path.is_file():
        if out.exists() and any(out.iterdir()):
            raise ConfigError(
                f"expected a new folder or an experiment, found another folder: {out}"
            )
        out.mkdir(parents=True, exist_ok=True)
        write_json(path, wanted)
        return [max_steps]
    found = json.loads(path.read_text())
    stages: list[int] = found.get("stages", [found["pretraining"]["max_steps"]])
    others = wanted.keys() - {"pretraining"}
    different = [key for key in sorted(others) if found.get(key) != wanted[key]]
    different += differences(found["pretraining"], wanted["pretraining"])
    if different:
        raise ConfigError(
            f"expected the experiment that was begun in {out}, found other values of "
            f"{', '.join(different)}: choose another --out or --overwrite"
        )
    if max_steps > stages[-1]:
        stages.append(max_steps)
        for manifest in sorted(out.glob(f"shards/*-seed-*/train/{MANIFEST_NAME}")):
            _check_epochs(config, manifest.parents[1], config.pretraining("linkbert"))
        # These come from fewer steps. The identity is written last, so that after a kill in between
        # they are deleted all the same.
        for name in ("scores", "models"):
            shutil.rmtree(out / name, ignore_errors=True)
        write_json(path, wanted | {"stages": stages})
    return stages


def _warm_up(
    config: ExperimentConfig, out: Path, sample: Sampler, first_steps: int, quiet: bool
) -> Path | None:
    """Return the folder that all arms start from: that of a warm-up, `init`, or none."""
    init = Path(config.init) if config.init else None
    if not config.warm_up_steps:
        return init
    first = Place(out, WARM_UP, config.seeds[0])
    if config.curve_pairs:
        held_out = config.sampling(HELD_OUT_SHARDS, first.seed)
        sample(config.corpus, first.shards(HELD_OUT_SHARDS), held_out)
    shards, run, model = (out / name / WARM_UP for name in ("shards", "runs", "models"))
    pretraining = config.warming_up(first_steps)
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
            f"instances are in {config.warm_up_corpus}"
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
    """Return the task that scores a run whenever it is validated, if a curve is wanted."""
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
            f"expected the arm {place.arm} to read the segments A of {HELD_OUT_SHARDS} in the same "
            "order, found others: some segments were dropped; the arms cannot be compared"
        )
    _check_epochs(config, place.shards(own), config.pretraining(place.arm))


def _check_epochs(config: ExperimentConfig, shards: Path, pretraining: PretrainConfig) -> None:
    available = open_shards(shards).train.num_instances
    needed = pretraining.max_steps * pretraining.batch_size
    if needed > available:
        per_epoch = available // config.epochs
        raise ConfigError(
            f"expected {needed} instances for max_steps, found {available} in epochs = "
            f"{config.epochs}: set epochs = {-(-needed // per_epoch)}, or lower max_steps"
        )


def sequence_digest(folder: Path) -> str:
    """Return a digest of the segments A of a training split, in their order."""
    digest = hashlib.sha256()
    for path in table_parts(folder):
        table = pq.read_table(path, columns=["corpus", "source_id", "source_segment"])
        columns = [column.to_numpy() for column in table.columns]
        # Row by row, so that the digest does not depend on where a shard ends.
        digest.update(np.ascontiguousarray(np.stack(columns, axis=1)).tobytes())
    return digest.hexdigest()


def _train(
    config: ExperimentConfig, place: Place, init: Path | None, stages: Sequence[int], quiet: bool
) -> PretrainResult:
    run = place.path("runs")
    begun = read_run(run)["identity"]["config"]["max_steps"] if (run / RUN_NAME).is_file() else 0
    for max_steps in stages:
        if max_steps < begun:
            continue
        pretraining = replace(config.pretraining(place.arm), max_steps=max_steps)
        result = pretrain(
            place.shards(ARMS[place.arm].shards),
            run,
            pretraining,
            seed=place.seed,
            init=init,
            quiet=quiet,
            downstream=_curve_of(config, place, pretraining),
        )
    export(run, place.path("models"))
    return result


def _score(config: ExperimentConfig, place: Place, trained: PretrainResult) -> None:
    """Write the scores of a trained arm; the JSON file is written last and marks it as finished."""
    place.path("scores").parent.mkdir(exist_ok=True)
    opened = open_shards(place.shards(HELD_OUT_SHARDS))
    model = load_model(place.path("models"), opened)
    # Like training in half precision if there is any: it takes half the time.
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
        found["drp"][name] = drp_report(figures, split.manifest.extra.get("drp_class_accuracy"))
    if not ARMS[place.arm].has_relations:
        del found["drp"]
    _write_arrays(place.path("scores", ".npz"), arrays)
    told = asdict(trained)
    kept = ("step", "tokens", "instances", "first_loss", "last_loss", "relations", "seconds")
    found |= {"training": {key: told[key] for key in kept}, "precision": precision}
    write_json(place.path("scores", ".json"), found)


def _write_arrays(path: Path, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    with write_whole(path) as file:
        file.write(buffer.getvalue())


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
    """Fine-tune a trained arm like every other and rank with it, or read the result of that.

    The file's name holds both amounts, so results of other amounts are never mistaken for it.
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
        )
        _write_arrays(path, {"articles": found.articles, "ranks": found.ranks})
    with np.load(path, allow_pickle=False) as arrays:
        return RankingScores(arrays["articles"], arrays["ranks"])


def load_scores(place: Place) -> tuple[dict[str, PairScores], dict[str, Any]]:
    """Read the scores of a finished arm: those of its pairs by split, and its other figures."""
    with np.load(place.path("scores", ".npz"), allow_pickle=False) as arrays:
        splits = dict.fromkeys(name.split("/")[0] for name in arrays.files)
        scores = {
            split: PairScores(
                **{key: arrays[f"{split}/{key}"] for key in PairScores.__dataclass_fields__}
            )
            for split in splits
        }
    return scores, json.loads(place.path("scores", ".json").read_text())
