"""The curve of an experiment: the measures of each run over its tokens.

They are taken before the first step, after each validation, and at the end. The curve shows after
how many tokens a model begins to use its partner at all. It is a task on which a run tries its
weights (`linkbert.training.downstream`), so its points are in RUN/downstream.jsonl while the run
goes on, and a run that is interrupted keeps those it has reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from linkbert.evaluation.config import EvaluationOptions
from linkbert.evaluation.evaluate import held_out_splits, link_context_scores, precision_on
from linkbert.evaluation.link_context import summarise_scores
from linkbert.experiment.compare import PRIMARY_SPLIT
from linkbert.model.families import Network
from linkbert.report.run_chapter import read_lines
from linkbert.training.distributed import Ranks
from linkbert.training.metrics import DOWNSTREAM_NAME, METRICS_NAME
from linkbert.training.run_folder import open_shards

MEASURES = (
    "nll_alone", "gain", "alone_minus_linked", "alone_minus_random", "alone_minus_contiguous",
)  # fmt: skip
"""The measures of each point, in nats per masked token, with the ends of their intervals."""

Point = dict[str, float]


@dataclass(frozen=True, slots=True)
class CurveTask:
    """What is scored, and how often (see `linkbert.training.downstream.Downstream`).

    Attributes:
        shards: the shards whose held-out pairs are scored, those with both articles unseen.
        every: steps between two points.
        options: how many pairs to score, and how; the precision is that of training.
    """

    shards: Path
    every: int
    options: EvaluationOptions

    @property
    def name(self) -> str:
        """What is scored."""
        return "held-out pairs"

    def score(self, run: Path, model: Network, ranks: Ranks) -> Point:
        """Return the measures and the ends of their intervals."""
        opened = open_shards(self.shards)
        split = held_out_splits(opened, (PRIMARY_SPLIT,))[PRIMARY_SPLIT]
        options = replace(self.options, precision=precision_on(model, self.options.precision).name)
        scores = link_context_scores(model, split, opened, options)
        found = summarise_scores(scores, options.num_resamples, seed=0)
        point = {"pairs": float(found["num_pairs"])}
        for name in MEASURES:
            # None if no pair counts: no A of a small split may have a contiguous B.
            if interval := found[name]["interval"]:
                low, high = interval
                point |= {name: found[name]["value"], f"{name}_low": low, f"{name}_high": high}
        return point


def read_curve(run: Path) -> list[Point]:
    """Return the points of a run with their steps and tokens, in order."""
    tokens = {0: 0} | {each["step"]: each["tokens"] for each in read_lines(run / METRICS_NAME)}
    return [
        {"step": each["step"], "tokens": tokens[each["step"]], **each["scores"]}
        for each in read_lines(run / DOWNSTREAM_NAME)
    ]


def curve_lines(curve: dict[str, list[Point]]) -> Iterator[str]:
    """Yield the lines of the report about the points of each run."""
    if not curve:
        return
    yield ""
    yield "## Over tokens (pairs whose articles are both unseen)"
    yield ""
    yield f"| run | steps | tokens | pairs | {' | '.join(MEASURES)} |"
    yield f"|---|---|---|---|{'---|' * len(MEASURES)}"
    for run, points in curve.items():
        for point in points:
            cells = " | ".join(_cell(point, name) for name in MEASURES)
            counts = f"{point['step']:,} | {point['tokens']:,} | {point['pairs']:,.0f}"
            yield f"| {run} | {counts} | {cells} |"


def _cell(point: dict[str, Any], name: str) -> str:
    if name not in point:
        return "none"
    return f"{point[name]:.4f} ({point[f'{name}_low']:.4f} to {point[f'{name}_high']:.4f})"
