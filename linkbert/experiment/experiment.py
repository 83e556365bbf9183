"""`linkbert experiment`: run the arms, compare them, write the report."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from linkbert.experiment.compare import PRIMARY_SPLIT, Ranking, Scores, compare
from linkbert.experiment.config import ExperimentConfig
from linkbert.experiment.curve import Point, read_curve
from linkbert.experiment.report import write_report
from linkbert.experiment.run import (
    IDENTITY_NAME,
    WARM_UP,
    Place,
    Sampler,
    load_scores,
    ranking_scores,
    run_arms,
)
from linkbert.report.run_chapter import read_lines
from linkbert.training.metrics import METRICS_NAME
from schemas.errors import ConfigError


def experiment(
    config: ExperimentConfig,
    out: Path,
    sample: Sampler,
    *,
    corpus_fingerprint: str,
    overwrite: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Train, evaluate and compare all arms, resuming where an earlier call was interrupted.

    Args:
        config: see `linkbert.experiment.config`.
        out: folder to write.
        sample: writes a shards folder; see `linkbert.experiment.run.Sampler`.
        corpus_fingerprint: the fingerprint of what is sampled.
        overwrite: whether to delete an experiment in the folder.
        quiet: no progress lines.

    Returns:
        What the command prints: findings, and the path of the report.

    Raises:
        ConfigError: the folder holds another experiment, or something else.
        StageError: the arms cannot be compared.
    """
    if overwrite and out.exists():
        if any(out.iterdir()) and not (out / IDENTITY_NAME).is_file():
            raise ConfigError(f"expected an experiment to overwrite, found another folder: {out}")
        shutil.rmtree(out)
    places = run_arms(config, out, sample, corpus_fingerprint, quiet)
    results = collect(config, places, corpus_fingerprint)
    write_report(out, results, _losses(places))
    sentences = [each["sentence"] for each in results["contrasts"] if each["kind"] != "secondary"]
    return {
        "report": str(out / "report.md"),
        "arms": len(config.arms),
        "seeds": len(config.seeds),
        "pairs": sum(results["measures"].get(PRIMARY_SPLIT, {}).get("num_pairs", [])),
        **{f"finding {number}": sentence for number, sentence in enumerate(sentences, 1)},
    }


def collect(
    config: ExperimentConfig, places: list[Place], corpus_fingerprint: str
) -> dict[str, Any]:
    """Return the content of results.json from the scores of all arms."""
    scores: Scores = {arm: {} for arm in config.arms}
    arms: dict[str, dict[str, Any]] = {arm: {} for arm in config.arms}
    for place in places:
        scores[place.arm][place.seed], arms[place.arm][str(place.seed)] = load_scores(place)
    ranking: Ranking = {}
    for place in places if config.ranking_pairs else ():
        ranking.setdefault(place.arm, {})[place.seed] = ranking_scores(config, place)
    return {
        # The path of the corpus is not part of the result.
        "config": {name: value for name, value in asdict(config).items() if name != "corpus"},
        "corpus": corpus_fingerprint,
        "arms": arms,
        "tokens_differ": _tokens_differ(arms),
        "curve": _curve(places),
        **compare(scores, config.num_resamples, ranking),
    }


def _tokens_differ(arms: dict[str, dict[str, Any]]) -> float:
    """Return the largest relative difference of tokens read between two arms of a seed."""
    seeds = next(iter(arms.values()))
    largest = 0.0
    for seed in seeds:
        tokens = [by_seed[seed]["training"]["tokens"] for by_seed in arms.values()]
        largest = max(largest, max(tokens) / min(tokens) - 1)
    return largest


def _curve(places: list[Place]) -> dict[str, list[Point]]:
    """Return the points of the warm-up and of every run, if there are any."""
    folders = [places[0].root / "runs" / WARM_UP, *(each.path("runs") for each in places)]
    found = {folder.name: read_curve(folder) for folder in folders}
    return {name: points for name, points in found.items() if points}


def _losses(places: list[Place]) -> dict[str, list[list[float]]]:
    losses: dict[str, list[list[float]]] = {}
    for place in places:
        lines = read_lines(place.path("runs") / METRICS_NAME)
        losses.setdefault(place.arm, []).append([float(each["loss_mlm"]) for each in lines])
    return losses
