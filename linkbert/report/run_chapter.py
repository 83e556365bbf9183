"""The report's chapter on a training run: curves, validation by relation, throughput."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from linkbert.report import plots
from linkbert.report.markup import Chapter, ReportSection, facts, figure, figures, heading_of, table
from schemas.errors import SchemaError

_METRICS, _VALIDATION, _RUN = "metrics.jsonl", "validation.jsonl", "run.json"
_DOWNSTREAM = "downstream.jsonl"
_SMOOTHED_OVER = 50  # curves are smoothed over a 50th of the run

Lines = list[dict[str, Any]]


def run_chapter(run: Path) -> Chapter:
    """Return the chapter on the folder of a run, finished or not.

    Raises:
        SchemaError: the folder has no run, or one of its files is damaged.
    """
    described = _read_json(run / _RUN)
    steps, validations = read_lines(run / _METRICS), read_lines(run / _VALIDATION)
    sections = [_overview(described, steps)]
    if steps:
        sections.append(ReportSection("curves", "Training curves", figures(list(_curves(steps)))))
    if validations:
        sections.append(_validation(validations))
    if trials := read_lines(run / _DOWNSTREAM):
        sections.append(_downstream(trials))
    return Chapter("run", heading_of("Run", run), sections, _verdict(described, steps, validations))


def _verdict(described: dict[str, Any], steps: Lines, validations: Lines) -> str:
    if not steps:
        return "No step has been done yet."
    done, wanted = steps[-1]["step"], described["identity"]["config"].get("max_steps", 0)
    told = f"{'Finished' if done >= wanted else 'Unfinished'}: {done:,} of {wanted:,} steps, "
    told += f"{steps[-1]['tokens'] / 1e6:,.1f} M tokens."
    for split, found in (validations[-1]["splits"] if validations else {}).items():
        low, high = found["interval"]
        answer = (
            "above"
            if low > found["chance"]
            else "below"
            if high < found["chance"]
            else "not apart from"
        )
        told += (
            f" On {split.replace('_', ' ')}: MLM loss {found['mlm_loss']:.2f} nat per token; "
            f"relation right in {found['drp_accuracy']:.0%} ({low:.0%} to {high:.0%}), {answer} "
            f"the {found['chance']:.0%} of a guess from A alone."
        )
    return told


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SchemaError(
            f"expected the folder of a pretraining run, found {error}: run linkbert pretrain"
        ) from error
    return found


def read_lines(path: Path) -> Lines:
    """Return the complete lines of a JSON lines file; a kill may have cut off the last one.

    Raises:
        SchemaError: a line is not JSON.
    """
    if not path.is_file():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    try:
        return [json.loads(line) for line in lines if line.endswith(b"\n")]
    except ValueError as error:
        raise SchemaError(
            f"expected JSON lines, found damage in {path} ({error}): resume the run"
        ) from error


def _overview(described: dict[str, Any], steps: Lines) -> ReportSection:
    config, model = described["identity"]["config"], described["model"]
    rows: list[tuple[str, object]] = [
        ("layers", model.get("num_layers")),
        ("hidden size", model.get("hidden_size")),
        ("vocabulary", model.get("vocab_size")),
        ("batch size", config.get("batch_size")),
        ("peak learning rate", config.get("learning_rate")),
        ("steps", f"{steps[-1]['step'] if steps else 0:,} of {config.get('max_steps', 0):,}"),
        ("seed", described["identity"].get("seed")),
    ]
    if steps:
        seconds = sum(line["seconds"] for line in steps)
        tokens = steps[-1]["tokens"]
        rows += [
            ("tokens", tokens),
            ("seconds in steps", round(seconds, 1)),
            ("tokens per second", int(tokens / seconds) if seconds else 0),
        ]
    return ReportSection(
        "run-overview", "What it is", facts([row for row in rows if row[1] is not None])
    )


def _curves(steps: Lines) -> Iterator[str]:
    at = [line["step"] for line in steps]

    def smoothed(key: str) -> tuple[list[int], list[float]]:
        return at, smooth([line[key] for line in steps], max(1, len(steps) // _SMOOTHED_OVER))

    accuracies = {"MLM": smoothed("mlm_accuracy"), "DRP": smoothed("drp_accuracy")}
    for name, series, label, caption in (
        ("loss-mlm", {"MLM": smoothed("loss_mlm")}, "MLM loss, nat",
         "Masked language modelling loss of training batches."),
        ("loss-drp", {"DRP": smoothed("loss_drp")}, "DRP loss, nat",
         "Document relation prediction loss of training batches."),
        ("accuracies", accuracies, "accuracy", "Accuracy in training batches."),
        ("rate", {"rate": (at, [line["lr"] for line in steps])}, "learning rate", "Learning rate."),
        ("norm", {"norm": smoothed("grad_norm")}, "gradient norm",
         "Norm of the gradient before clipping."),
        ("speed", {"speed": smoothed("tokens_per_second")}, "tokens per second", "Throughput."),
    ):  # fmt: skip
        yield figure(plots.curve_plot(name, series, label), caption)


def smooth(values: list[float], window: int) -> list[float]:
    """Return for each value the mean of it and up to `window` - 1 values before it.

    >>> smooth([1.0, 3.0, 5.0], 2)
    [1.0, 2.0, 4.0]
    """
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    return list(((sums[ends] - sums[starts]) / (ends - starts)).tolist())


def _validation(lines: Lines) -> ReportSection:
    drawn = []
    for split in lines[-1]["splits"]:
        at = [line["step"] for line in lines if split in line["splits"]]
        found = [line["splits"][split] for line in lines if split in line["splits"]]
        relations = found[-1]["by_relation"]
        for key, label in (("drp_accuracy", "DRP accuracy"), ("mlm_loss", "MLM loss")):
            series = {
                name: (at, [each["by_relation"].get(name, {}).get(key, np.nan) for each in found])
                for name in relations
            }
            chance = ("guess from A alone", found[-1]["chance"])
            plot = plots.curve_plot(
                f"{split}-{key}",
                series,
                label,
                markers=True,
                reference=chance if key == "drp_accuracy" else None,
            )
            drawn.append(figure(plot, f"{label} on {split.replace('_', ' ')}, by relation."))
    return ReportSection("validation", "Validation", _validation_table(lines[-1]) + figures(drawn))


def _downstream(lines: Lines) -> ReportSection:
    """Show how the weights of some steps scored on a task after fine-tuning."""
    at, scores = [line["step"] for line in lines], [line["scores"] for line in lines]
    series = {
        name.replace("_", " "): (at, [each.get(name, np.nan) for each in scores])
        for name in scores[-1]
    }
    plot = plots.curve_plot("downstream", series, "percent", markers=True)
    drawn = figure(plot, "Scores on dev after fine-tuning the weights of each step.")
    names = [*scores[-1]]
    rows = [
        [f"{line['step']:,}", *(_score(line["scores"].get(n)) for n in names)] for line in lines
    ]
    header = ["after step", *(name.replace("_", " ") for name in names)]
    return ReportSection("downstream", "Downstream task", table(header, rows) + figures([drawn]))


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _validation_table(line: dict[str, Any]) -> str:
    rows = []
    for split, found in line["splits"].items():
        low, high = found["interval"]
        whole = (
            split.replace("_", " "),
            "all",
            f"{low:.3f} to {high:.3f}",
            f"{found['chance']:.3f}",
        )
        parts = [(("", name, "", ""), each) for name, each in found["by_relation"].items()]
        rows += [
            [
                name,
                relation,
                f"{each['num_instances']:,}",
                f"{each['drp_accuracy']:.3f}",
                interval,
                chance,
                f"{each['mlm_loss']:.3f}",
                f"{each['mlm_accuracy']:.3f}",
            ]
            for (name, relation, interval, chance), each in [(whole, found), *parts]
        ]
    header = ["split", "relation", "pairs", "DRP accuracy", "95 % interval", "guess from A",
              "MLM loss", "MLM accuracy"]  # fmt: skip
    return table(header, rows, f"after step {line['step']:,}")
