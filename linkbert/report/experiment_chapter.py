"""The report's chapter on an experiment: a sentence and an interval for each hypothesis."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from linkbert.evaluation.config import REPORTED_MEASURES
from linkbert.report import plots
from linkbert.report.markup import (
    Chapter,
    ReportSection,
    escape,
    facts,
    figure,
    figures,
    heading_of,
    table,
)
from schemas.errors import SchemaError

RESULTS_NAME = "results.json"

_VERDICTS = ("supported", "contradicted", "not shown")
KINDS = ("primary", "guard", "secondary")
"""Of hypotheses, in the order in which they are told."""

Results = dict[str, Any]


def experiment_chapter(folder: Path) -> Chapter:
    """Return the chapter on a finished experiment.

    Raises:
        SchemaError: its results are damaged, or not those of an experiment.
    """
    results = _read(folder / RESULTS_NAME)
    sections = [
        _overview(results),
        ReportSection("hypotheses", "Hypotheses", _hypotheses(results["contrasts"])),
        ReportSection(
            "contrasts", "Differences with their intervals", _contrasts(results["contrasts"])
        ),
        ReportSection("measures", "Measures of each arm", "".join(_measures(results["measures"]))),
    ]
    heading = heading_of("Experiment", folder)
    return Chapter("experiment", heading, sections, _verdict(results["contrasts"]))


def _verdict(contrasts: Sequence[Results]) -> str:
    """Count the primary hypotheses by verdict, and state those that were decided."""
    primary = [each for each in contrasts if each["kind"] == "primary"]
    counts = {name: sum(each["verdict"] == name for each in primary) for name in _VERDICTS}
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    decided = " ".join(each["sentence"] for each in primary if each["verdict"] != "not shown")
    return f"Of {len(primary)} primary hypotheses {told}. {decided}".strip()


def _read(path: Path) -> Results:
    try:
        found: Results = json.loads(path.read_bytes())
        missing = {"config", "contrasts", "measures", "seeds"} - set(found)
    except (OSError, ValueError, TypeError) as error:
        raise SchemaError(
            f"expected the results of an experiment, found {error} at {path}: run it again"
        ) from error
    if missing:
        raise SchemaError(
            f"expected the results of an experiment, found none of {', '.join(sorted(missing))} "
            f"in {path}: name the folder that `linkbert experiment` wrote"
        )
    return found


def _overview(results: Results) -> ReportSection:
    rows: list[tuple[str, object]] = [
        ("arms", ", ".join(results["config"].get("arms", results.get("arms", ())))),
        ("seeds", ", ".join(map(str, results["seeds"]))),
    ]
    for split, found in results["measures"].items():
        rows.append((f"pairs of {split.replace('_', ' ')}", sum(found["num_pairs"])))
    if "tokens_differ" in results:
        rows.append(("tokens read differ by at most", f"{results['tokens_differ']:.2%}"))
    return ReportSection("experiment-overview", "What it is", facts(rows))


def _hypotheses(contrasts: Sequence[Results]) -> str:
    body = ""
    for kind in KINDS:
        chosen = [each for each in contrasts if each["kind"] == kind]
        items = "".join(f"<li>{escape(each['sentence'])}</li>" for each in chosen)
        body += f"<h4>{kind.capitalize()}</h4><ul>{items}</ul>" if chosen else ""
    return body


def _contrasts(contrasts: Sequence[Results]) -> str:
    drawn = [each for each in contrasts if each["difference"] is not None and each["interval"]]
    plot = plots.interval_plot(
        "contrast-intervals",
        [(str(number), each["difference"], each["interval"], each["by_seed"])
         for number, each in enumerate(drawn, start=1)],
        "difference, nat per token",
    )  # fmt: skip
    rows = [
        [
            str(number),
            escape(f"{each['arm']} − {each['against']}"),
            escape(f"{each['measure']}, {each['split'].replace('_', ' ')}"),
            _with_interval(each["difference"], each["interval"]),
            escape(each["verdict"]),
        ]
        for number, each in enumerate(drawn, start=1)
    ]
    caption = "Differences between arms: point, 95 % interval, and each seed as a small mark."
    header = ["", "arms", "measure", "difference, 95 % interval", "verdict"]
    return figures([figure(plot, caption)]) + table(header, rows, "the numbers of the plot")


def _measures(measures: Results) -> Iterator[str]:
    for split, found in measures.items():
        arms = found["arms"]
        shown = [name for name in REPORTED_MEASURES if any(name in each for each in arms.values())]
        rows = [
            [escape(arm), *(value_and_interval(measured.get(name)) for name in shown)]
            for arm, measured in arms.items()
        ]
        caption = f"{split.replace('_', ' ')}, nats per masked token, 95 % interval"
        header = ["arm", *(name.replace("_", " ") for name in shown)]
        yield table(header, rows, caption)


def value_and_interval(measured: Results | None) -> str:
    """Return a measure with its interval, "none" where nothing was measured."""
    if measured is None or measured["value"] is None or measured["interval"] is None:
        return "none"
    return _with_interval(measured["value"], measured["interval"])


def _with_interval(value: float, interval: Sequence[float]) -> str:
    low, high = interval
    return f"{value:.4f} ({low:.4f} to {high:.4f})"
