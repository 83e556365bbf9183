"""The report of an experiment: report.md with its figures for people, and results.json.

results.json:

    config        of the experiment, as it took effect
    corpus        fingerprint of the segments
    arms          {arm: {seed: {training, mlm, drp, ranking}}}; training: step, tokens, seconds, ...
    tokens_differ  largest relative difference of tokens read between two arms of a seed
    curve         {run: [{step, tokens, pairs, measure, measure_low, measure_high}]}, if wanted
    seeds         the seeds compared
    measures      {split: {num_pairs, num_articles, arms: {arm: {measure: {value, interval,
                  by_seed}}}}}; losses and gains in nats per masked token, counts by seed
    contrasts     [{kind, split, measure, arm, against, difference, interval, p, p_holm (secondary
                  only), by_seed, verdict, sentence}]
    ranking       {arm: {mrr, recall_at_1: {value, interval, by_seed}}}, if wanted
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linkbert.evaluation.config import REPORTED_MEASURES
from linkbert.experiment.curve import curve_lines
from linkbert.report.experiment_chapter import KINDS, value_and_interval
from linkbert.report.plots import Numbers, curve_plot, interval_plot, write_plot
from schemas.manifest import write_json, write_whole

Figures = npt.NDArray[np.float64]


def write_report(out: Path, results: dict[str, Any], losses: dict[str, list[list[float]]]) -> None:
    """Write results.json, report.md and figures.

    Args:
        out: the folder of the experiment.
        results: see the module.
        losses: {arm: [[loss of each step] of each seed]}.
    """
    write_json(out / "results.json", results)
    _draw(out / "figures", results, losses)
    with write_whole(out / "report.md") as file:
        file.write(("\n".join(_lines(results)) + "\n").encode())


def _draw(folder: Path, results: dict[str, Any], losses: dict[str, list[list[float]]]) -> None:
    """Draw gain, contiguous loss, differences and training."""
    folder.mkdir(exist_ok=True)
    split = "validation_closed" if "validation_closed" in results["measures"] else "validation"
    arms = results["measures"][split]["arms"]
    for name, measure, label in (
        ("gain", "gain", "link-context gain (nat per token)"),
        ("contiguous", "nll_contiguous", "loss beside the next segment (nat per token)"),
    ):
        rows = [
            (arm, found[measure]["value"], found[measure]["interval"], found[measure]["by_seed"])
            for arm, found in arms.items()
            if found[measure]["interval"] is not None
        ]
        write_plot(folder / f"{name}.svg", interval_plot(name, rows, label))
    rows = [
        (
            f"{each['measure']} vs {each['against']} ({each['split']})",
            each["difference"], each["interval"], each["by_seed"],
        )
        for each in results["contrasts"]
        if each["interval"] is not None
    ]  # fmt: skip
    write_plot(
        folder / "contrasts.svg", interval_plot("contrasts", rows, "difference (nat per token)")
    )
    curves = {arm: _smooth(np.mean(np.array(by_seed), axis=0)) for arm, by_seed in losses.items()}
    write_plot(
        folder / "training.svg", curve_plot("training", curves, "masked token loss (nat per token)")
    )


def _smooth(values: Figures) -> tuple[Numbers, Numbers]:
    """Return steps, and running means over a fiftieth of them."""
    width = max(1, len(values) // 50)
    means = np.convolve(values, np.ones(width) / width, "valid")
    return np.arange(len(means)) + (width + 1) / 2, means


def _lines(results: dict[str, Any]) -> Iterator[str]:
    config = results["config"]
    yield "# LinkBERT against BERT on held-out articles"
    yield ""
    yield (
        f"{len(config['arms'])} arms, seeds {', '.join(map(str, results['seeds']))}; every arm of "
        "a seed had the same initial weights, read the same segments A in the same order, and "
        "masked them alike. Tokens read differ between arms of a seed by at most "
        f"{results['tokens_differ']:.2%}, because their segments B differ."
    )
    yield ""
    yield "## Hypotheses"
    yield ""
    for kind in KINDS:
        chosen = [each for each in results["contrasts"] if each["kind"] == kind]
        if chosen:
            yield f"{kind.capitalize()}:"
            yield ""
            yield from (f"- {each['sentence']}" for each in chosen)
            yield ""
    yield (
        "Intervals are 95 % percentiles over replicates of seeds, then articles, then pairs. "
        "The primary hypotheses, named before any run, are decided by their intervals; p-values of "
        "the secondary ones are corrected for their number (Holm)."
    )
    for split, found in results["measures"].items():
        yield from _measure_lines(split, found)
    yield from _training_lines(results)
    yield from curve_lines(results.get("curve", {}))
    yield from _ranking_lines(results)
    yield ""
    yield "![gain](figures/gain.svg) ![contiguous loss](figures/contiguous.svg)"
    yield "![contrasts](figures/contrasts.svg) ![training](figures/training.svg)"
    yield ""
    yield "## What does not follow"
    yield ""
    yield (
        "The gain is about masked tokens of this corpus at this size and training; it says nothing "
        "of question answering or any other task, of larger models or of longer training. With "
        f"{len(results['seeds'])} seeds the spread between seeds is poorly known: if it is about "
        "twice the standard error of a single seed, a 95 % interval from two or three seeds "
        "contains the true value in only 80 to 85 % of simulated cases."
    )


def _measure_lines(split: str, found: dict[str, Any]) -> Iterator[str]:
    pairs, articles = sum(found["num_pairs"]), sum(found["num_articles"])
    yield ""
    yield f"## Measures on {split} ({pairs:,} pairs of {articles:,} articles over all seeds)"
    yield ""
    shown = [name for name in REPORTED_MEASURES if name in next(iter(found["arms"].values()))]
    yield f"| arm | {' | '.join(shown)} |"
    yield f"|---|{'---|' * len(shown)}"
    for arm, measured in found["arms"].items():
        cells = [value_and_interval(measured[name]) for name in shown]
        yield f"| {arm} | {' | '.join(cells)} |"


def _training_lines(results: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield "## Training"
    yield ""
    yield "| arm | seed | steps | tokens | last loss | DRP accuracy, both unseen | guess from A |"
    yield "|---|---|---|---|---|---|---|"
    for arm, by_seed in results["arms"].items():
        for seed, found in by_seed.items():
            training = found["training"]
            drp = found.get("drp", {}).get("validation_closed")
            cells = ("", "") if drp is None else (_accuracy(drp), _share(drp))
            yield (
                f"| {arm} | {seed} | {training['step']:,} | {training['tokens']:,} | "
                f"{training['last_loss']:.3f} | {cells[0]} | {cells[1]} |"
            )


def _accuracy(drp: dict[str, Any]) -> str:
    low, high = drp["interval"]
    return f"{drp['accuracy']:.3f} ({low:.3f} to {high:.3f})"


def _share(drp: dict[str, Any]) -> str:
    guess = drp["guess_from_kind_of_a"]
    return "" if guess is None else f"{guess:.3f}"


def _ranking_lines(results: dict[str, Any]) -> Iterator[str]:
    if not results.get("ranking"):
        return
    yield ""
    yield "## Ranking the linked document among 31 BM25 negatives, fine-tuned alike"
    yield ""
    yield "| arm | MRR | recall at 1 |"
    yield "|---|---|---|"
    for arm, found in results["ranking"].items():
        cells = (value_and_interval(found[name]) for name in ("mrr", "recall_at_1"))
        yield f"| {arm} | {' | '.join(cells)} |"
