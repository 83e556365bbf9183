"""The closing table of `run` and `demo`: what was read, kept, paired and learned.

In: the summary of each stage. Out: one table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from linkbert.inspection.terminal import rows_of

Summaries = Mapping[str, Mapping[str, Any]]
Row = tuple[str, object]


def closing_table(results: Summaries) -> str:
    """Return the table for the summaries of the stages from parse to export."""
    rows = [
        *_corpus_rows(results["parse"], results["graph"]),
        *_data_rows(results["segment"], results["sample"]),
        *_training_rows(results["pretrain"]),
        ("model", results["export"]["model"]),
    ]
    return rows_of(rows, indent="")


def _corpus_rows(parsed: Mapping[str, Any], graph: Mapping[str, Any]) -> Iterator[Row]:
    yield "pages", parsed["pages"]
    yield "redirects", parsed["redirects"]
    yield "pages rejected", sum(parsed["rejected"].values())
    fates = graph["mentions_by_fate"]
    resolved = fates["resolved"] + fates["redirect"]
    share = resolved / max(graph["mentions"], 1)
    yield (
        "links resolved",
        f"{resolved:,} of {graph['mentions']:,} ({share:.0%}), {fates['redirect']:,} by redirect",
    )
    by_hatnotes = graph["hatnote_edges"]
    alone = f", {by_hatnotes:,} of them by hatnotes alone" if by_hatnotes else ""
    yield "edges", f"{graph['edges']:,}{alone}"


def _data_rows(segments: Mapping[str, Any], sample: Mapping[str, Any]) -> Iterator[Row]:
    yield "segments", segments["segments"]
    relations = sample["relations"]
    shown = ", ".join(f"{name} {count:,}" for name, count in relations.items())
    yield "instances", f"{sum(relations.values()):,} ({shown})"
    guess = sample["drp_class_accuracy"]
    yield "guess from A alone", f"{guess:.3f} of relations right"
    gini = sample["gini_of_linked_documents"]
    if gini:
        weighted, uniform = gini["weighted"], gini["uniform"]
        yield "Gini of linked documents", f"{weighted:.3f}, without weighting {uniform:.3f}"


def _training_rows(run: Mapping[str, Any]) -> Iterator[Row]:
    yield "loss", f"{run['first_loss']:.2f} at the start, {run['last_loss']:.2f} at the end"
    for split, found in run["validation"].items():
        low, high = found["interval"]
        counts = [of["num_instances"] for of in found["by_relation"].values()]
        num_pairs = found["num_instances"]
        yield (
            f"DRP accuracy, {split.replace('_', ' ')}",
            f"{found['drp_accuracy']:.3f} of {num_pairs:,} pairs, "
            f"95 % interval {low:.3f} to {high:.3f}",
        )
        yield (
            "",
            f"compare with {max(counts) / num_pairs:.3f} for the most frequent relation "
            f"and {found['chance']:.3f} for a guess from A alone",
        )
