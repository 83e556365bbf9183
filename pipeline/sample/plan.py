"""The phase `plan` of `sample`: for each split and epoch, all pairs in their final order.

    arrays of every corpus ──▶ _state/sample/plan/<split>-EEE-{a,b,relation}.npy

The numbers of segment_a and segment_b are uint32 and run over all corpora, one after the other, so
a plan costs nine bytes a pair.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.engine.outputs import save_array
from pipeline.engine.stage import Job, Record, Records, Task
from pipeline.sample.config import NO_LINKS, TFIDF, SampleConfig
from pipeline.sample.corpus import Source, open_graph, open_index, open_segments, sources_of
from pipeline.sample.pairs.held_out import CLOSED, OPEN, TRAINING
from pipeline.sample.pairs.partners import (
    Int64Array,
    Links,
    draw_linked,
    expected_appearances,
    join_graphs,
)
from pipeline.sample.pairs.recipe import Corpus, Draw, Pairs, Population, epoch_order, plan_pairs
from pipeline.sample.pairs.relations import Int8Array
from pipeline.sample.similar import open_similar
from schemas.counter_rng import counter_key
from schemas.errors import ConfigError, GraphError
from schemas.manifest import Json
from schemas.tables.instances import LINKED, RELATIONS

SPLITS = {"train": TRAINING, "validation": OPEN, "validation_closed": CLOSED}
"""The folders of instances, and the documents whose segments are segment_a in each."""

_COLUMNS = ("a", "b", "relation")


def plan_name(split: str, epoch: int, column: str) -> str:
    """Return the path under the root of one array of a plan."""
    return f"_state/sample/plan/{split}-{epoch:03d}-{column}.npy"


def plan_plans(job: Job[SampleConfig], records: Records) -> list[Task]:
    """One task a split and epoch; held-out splits have one epoch, or none without documents.

    Raises:
        ConfigError: no document is left to train on.
    """
    wanted = []
    if not any(record["counts"]["documents_train"] for record in records["split"]):
        num_documents = sum(sum(record["counts"].values()) for record in records["split"])
        raise ConfigError(
            f"expected documents to train on, found all {num_documents} held out: "
            "use a smaller --validation-fraction"
        )
    for split in SPLITS:
        num_documents = sum(record["counts"][f"documents_{split}"] for record in records["split"])
        if num_documents:
            epochs = job.config.epochs if split == "train" else 1
            wanted += [(split, epoch) for epoch in range(epochs)]
    weight = sum(record["counts"]["segments"] for record in records["index"])
    return [
        Task(index, {"split": split, "epoch": epoch}, weight if split == "train" else 1)
        for index, (split, epoch) in enumerate(wanted)
    ]


def run_plan(job: Job[SampleConfig], task: Task) -> Record:
    """Plan the pairs of every corpus, then put them all into one random order."""
    split, epoch = task.args["split"], task.args["epoch"]
    planned: list[Pairs] = []
    facts: list[dict[str, Json]] = []
    base = num_tokens = 0
    for source in sources_of(job):
        with ExitStack() as stack:
            corpus, population = _open_corpus(job, source, split, stack)
            draw = Draw(job.config.seed, split, epoch, source.index)
            rules = job.config.rules(source.links)
            pairs, by_class = plan_pairs(corpus, population, rules, draw)
            sizes = open_index(job, source.index, ("num_tokens",), stack)["num_tokens"]
            num_tokens += int(sizes[pairs.segment_a].sum()) + int(sizes[pairs.segment_b].sum())
            planned.append(
                replace(pairs, segment_a=pairs.segment_a + base, segment_b=pairs.segment_b + base)
            )
            base += int(corpus.segments.first[-1])
            facts.append({"by_class": by_class})
            if split == "train" and epoch == 0 and corpus.links and not rules.is_random_linked:
                facts[-1]["gini"] = _measure_weighting(corpus, pairs, corpus.links, draw)
    if split == "train":
        _refuse_unlinked(job, planned)
    assert base < 1 << 32, f"{base} segments are more than a plan can number"
    written = _write_plan(job, split, epoch, planned)
    num_rows = sum(len(pairs.relation) for pairs in planned)
    counts = {"pairs": num_rows, "tokens": num_tokens, "dropped": _count_dropped(facts)}
    return {"counts": counts, "corpora": facts, "split": split, "epoch": epoch, "files": written}


def _refuse_unlinked(job: Job[SampleConfig], planned: list[Pairs]) -> None:
    """Raise when linked training pairs are asked for and there is none."""
    if not any(source.links != NO_LINKS for source in sources_of(job)) or not job.config.mix[2]:
        return
    if not any((pairs.relation == LINKED).any() for pairs in planned):
        raise GraphError(
            "expected linked pairs, found no segment with a usable link in the training "
            "documents: use --links none to train without links, --link-scope document, or a "
            "smaller --validation-fraction"
        )


def _count_dropped(facts: list[dict[str, Json]]) -> int:
    return sum(row.get("dropped", 0) for fact in facts for row in fact["by_class"].values())


def _write_plan(
    job: Job[SampleConfig], split: str, epoch: int, planned: list[Pairs]
) -> dict[str, int]:
    segment_a = np.concatenate([pairs.segment_a for pairs in planned])
    order = epoch_order(segment_a, counter_key(job.config.seed, "order", split, epoch))
    columns = {
        "a": segment_a.astype(np.uint32),
        "b": np.concatenate([pairs.segment_b for pairs in planned]).astype(np.uint32),
        "relation": np.concatenate([pairs.relation for pairs in planned]),
    }
    written: dict[str, int] = {}
    for name in _COLUMNS:
        written |= save_array(job, plan_name(split, epoch, name), columns[name][order])
    return written


def _open_corpus(
    job: Job[SampleConfig], source: Source, split: str, stack: ExitStack
) -> tuple[Corpus, Population]:
    segments = open_segments(job, source.index, stack)
    graph = open_graph(source.path, stack)
    held_out: Int8Array = open_index(job, source.index, ("split",), stack)["split"]
    population = population_of(segments.first, held_out, split)
    links = _open_links(job, source, population, stack)
    if source.links == TFIDF and links is not None:
        graph = join_graphs(graph, links.indptr, links.targets)
    return Corpus(segments, graph, links), population


def population_of(first: Int64Array, held_out: Int8Array, split: str) -> Population:
    """Return who takes part in a split: see `pipeline.sample.pairs.held_out`.

    >>> first, held_out = np.array([0, 2, 2, 3]), np.array([0, 0, 1], np.int8)
    >>> population_of(first, held_out, "train").pool.tolist()
    [True, False, False]
    >>> population_of(first, held_out, "validation").pool.tolist()
    [True, False, True]
    """
    has_segments = np.diff(first) > 0
    sources = has_segments & (held_out == SPLITS[split])
    return Population(sources, has_segments if SPLITS[split] == OPEN else sources)


def _open_links(
    job: Job[SampleConfig], source: Source, population: Population, stack: ExitStack
) -> Links | None:
    if source.links == NO_LINKS:
        return None
    if source.links == TFIDF:
        indptr, targets = open_similar(job, source.index, len(population.pool))
        in_degree = np.bincount(targets, minlength=len(population.pool))
        return Links(indptr, targets, True, _weights(job, in_degree, population))
    in_degree = open_index(job, source.index, ("in_degree",), stack)["in_degree"]
    weights = _weights(job, in_degree, population)
    if job.config.link_scope == "document":
        graph = open_graph(source.path, stack)
        return Links(graph.out_indptr, graph.out_indices, True, weights)
    names = ("target_start", "target_ids")
    arrays = open_index(job, source.index, names, stack)
    return Links(arrays["target_start"], arrays["target_ids"], False, weights)


def _weights(
    job: Job[SampleConfig], in_degree: npt.NDArray[np.int64], population: Population
) -> npt.NDArray[np.float64]:
    if job.config.weighting == "uniform":
        return population.pool.astype(np.float64)
    return population.pool / np.maximum(in_degree, 1)


def _measure_weighting(corpus: Corpus, pairs: Pairs, links: Links, draw: Draw) -> dict[str, float]:
    """Return the Gini coefficient of how often documents became linked ones in this epoch.

    It is over all documents that could: `weighted` as they were drawn, `uniform` as the same
    segments would have drawn them without weights.
    """
    is_linked = pairs.relation == LINKED
    linked = pairs.segment_a[is_linked]
    uniform = replace(links, weights=(links.weights > 0).astype(np.float64))
    within_reach = expected_appearances(linked, corpus.segments, uniform) > 0
    drawn = {
        "uniform": draw_linked(linked, corpus.segments, uniform, draw.key("linked document")),
        "weighted": corpus.segments.node[pairs.segment_b[is_linked]],
    }
    counts = {
        name: np.bincount(nodes, minlength=len(within_reach)) for name, nodes in drawn.items()
    }
    return {name: round(gini(each[within_reach]), 4) for name, each in counts.items()}


def gini(values: npt.NDArray[Any]) -> float:
    """Return the Gini coefficient: 0 where all values are equal, near 1 where one has all.

    >>> gini(np.array([1.0, 1.0])), gini(np.array([0.0, 0.0, 0.0, 1.0]))
    (0.0, 0.75)
    """
    if not len(values) or not values.any():
        return 0.0
    ordered = np.sort(values)
    ranks = np.arange(1, len(values) + 1)
    share = float((ranks * ordered).sum() / ordered.sum())
    return (2 * share - len(values) - 1) / len(values)


def relation_counts(by_class: dict[str, dict[str, int]]) -> dict[str, int]:
    """Add up relations over the classes of segment_a.

    >>> relation_counts({"both": {"linked": 2}, "successor": {"random": 1, "dropped": 1}})
    {'contiguous': 0, 'random': 1, 'linked': 2}
    """
    return {
        relation: sum(row.get(relation, 0) for row in by_class.values()) for relation in RELATIONS
    }
