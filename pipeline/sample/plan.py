"""The phase `plan` of `sample`: for each split and epoch, all pairs in their final order.

    arrays of every corpus ──▶ _state/sample/plan/<split>-EEE-{a,b,relation}.npy

The numbers of segment_a and segment_b are uint32 and run over all corpora, one after the other, so
a plan costs nine bytes per pair.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.engine.outputs import save_array
from pipeline.engine.stage import Record, Records, Task
from pipeline.sample.config import INVERSE, NO_LINKS, SampleConfig
from pipeline.sample.corpus import CorpusArrays, SampleJob, open_corpora
from pipeline.sample.pairs.graph import Int64Array, Links, Segments, join_graphs
from pipeline.sample.pairs.held_out import CLOSED, OPEN, TRAINING
from pipeline.sample.pairs.linked import (
    count_by_reach,
    draw_linked,
    expected_appearances,
    target_weights,
)
from pipeline.sample.pairs.recipe import (
    Draw,
    PairCorpus,
    Pairs,
    Population,
    epoch_order,
    plan_pairs,
)
from pipeline.sample.pairs.relations import Int8Array
from schemas.counter_rng import counter_key
from schemas.errors import ConfigError, GraphError, StageError
from schemas.manifest import Json
from schemas.tables.instances import LINKED, RELATIONS

SPLITS = {"train": TRAINING, "validation": OPEN, "validation_closed": CLOSED}
"""The folders of instances, and the documents whose segments are segment_a in each."""


def plan_name(split: str, epoch: int, column: str) -> str:
    """Return the path under the root of one array of a plan."""
    return f"_state/sample/plan/{split}-{epoch:03d}-{column}.npy"


def tasks_of_plan(job: SampleJob, records: Records) -> list[Task]:
    """Make one task per split and epoch; held-out splits have one epoch, none without documents.

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


def run_plan(job: SampleJob, task: Task) -> Record:
    """Plan the pairs of every corpus, then put them all into one random order."""
    split, epoch = task.args["split"], task.args["epoch"]
    with open_corpora(job) as corpora:
        planned = [plan_corpus(corpus, job.config, split, epoch) for corpus in corpora]
    if split == "train":
        _refuse_unlinked(planned, job.config)
    columns = order_pairs(planned, counter_key(job.config.seed, "order", split, epoch))
    written: dict[str, int] = {}
    for name, column in columns.items():
        written |= save_array(job, plan_name(split, epoch, name), column)
    facts = [each.facts for each in planned]
    counts = {
        "pairs": len(columns["relation"]),
        "tokens": sum(each.num_tokens for each in planned),
        "dropped": sum(row.get("dropped", 0) for of in facts for row in of["by_class"].values()),
    }
    return {"counts": counts, "corpora": facts, "split": split, "epoch": epoch, "files": written}


@dataclass(frozen=True, slots=True)
class PlannedCorpus:
    """The pairs of one corpus.

    Attributes:
        links: the kind of its links.
        num_segments: of the corpus.
        pairs: in the order of segment_a.
        num_tokens: of all segments of the pairs.
        facts: what the manifest tells of them.
    """

    links: str
    num_segments: int
    pairs: Pairs
    num_tokens: int
    facts: dict[str, Json]


def plan_corpus(
    corpus: CorpusArrays, config: SampleConfig, split: str, epoch: int
) -> PlannedCorpus:
    """Plan the pairs of one corpus, split and epoch."""
    segments, sizes = corpus.index.segments, corpus.index.num_tokens
    population = population_of(segments.first, corpus.held_out, split)
    links = links_of(corpus, config, population)
    graph = corpus.graph
    if corpus.similar is not None:
        graph = join_graphs(graph, *corpus.similar)
    rules = config.rules(corpus.source.links)
    draw = Draw(config.seed, split, epoch, corpus.source.index)
    pairs, by_class = plan_pairs(PairCorpus(segments, graph, links), population, rules, draw)
    facts: dict[str, Json] = {"by_class": by_class}
    if split == "train" and epoch == 0 and links is not None:
        segment_a = np.flatnonzero(population.sources[segments.node])
        facts["segments_by_reach"] = count_by_reach(segment_a, segments, links)
        if not rules.is_random_linked:
            facts["gini"] = _measure_weighting(segments, pairs, links, draw)
    num_tokens = int(sizes[pairs.segment_a].sum()) + int(sizes[pairs.segment_b].sum())
    return PlannedCorpus(corpus.source.links, len(sizes), pairs, num_tokens, facts)


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


def links_of(corpus: CorpusArrays, config: SampleConfig, population: Population) -> Links | None:
    """Return where linked pairs of a corpus may lead, None for a corpus without links."""
    if corpus.source.links == NO_LINKS:
        return None
    pool = population.pool
    in_degree: npt.NDArray[Any] = corpus.in_degree
    if corpus.similar is not None:
        in_degree = np.bincount(corpus.similar[1], minlength=len(pool))
    weights = target_weights(pool, in_degree if config.weighting == INVERSE else None)
    if corpus.similar is not None:
        return Links(*corpus.similar, True, weights)
    if config.link_scope == "document":
        return Links(corpus.graph.out_indptr, corpus.graph.out_indices, True, weights)
    return Links(corpus.target_start, corpus.target_ids, False, weights)


def _measure_weighting(
    segments: Segments, pairs: Pairs, links: Links, draw: Draw
) -> dict[str, float]:
    """Return the Gini coefficient of how often documents became linked ones in this epoch.

    It is over all documents that could: `weighted` as they were drawn, `uniform` as the same
    segments would have drawn them without weights.
    """
    is_linked = pairs.relation == LINKED
    linked = pairs.segment_a[is_linked]
    uniform = replace(links, weights=(links.weights > 0).astype(np.float64))
    within_reach = expected_appearances(linked, segments, uniform) > 0
    drawn = {
        "uniform": draw_linked(linked, segments, uniform, draw.key("linked document")),
        "weighted": segments.node[pairs.segment_b[is_linked]],
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


def _refuse_unlinked(planned: list[PlannedCorpus], config: SampleConfig) -> None:
    """Raise when linked training pairs are asked for and there is none."""
    if all(each.links == NO_LINKS for each in planned) or not config.mix[2]:
        return
    if not any((each.pairs.relation == LINKED).any() for each in planned):
        raise GraphError(
            "expected linked pairs, found no segment with a usable link in the training "
            "documents: use --links none to train without links, --link-scope document, or a "
            "smaller --validation-fraction"
        )


def order_pairs(planned: list[PlannedCorpus], key: np.uint64) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of a plan: the pairs of all corpora in one random order.

    Args:
        planned: the corpora; their segments are numbered one corpus after the other.
        key: of the order.
    """
    bases = np.cumsum([0, *(each.num_segments for each in planned)])
    if bases[-1] >= 1 << 32:
        raise StageError(
            f"expected fewer than {1 << 32:,} segments in all corpora, found {bases[-1]:,}: "
            "sample fewer at a time, or cut longer ones (segment --max-tokens)"
        )
    based = list(zip(planned, bases[:-1], strict=True))
    segment_a = np.concatenate([each.pairs.segment_a + base for each, base in based])
    segment_b = np.concatenate([each.pairs.segment_b + base for each, base in based])
    relation = np.concatenate([each.pairs.relation for each in planned])
    order = epoch_order(segment_a, key)
    return {
        "a": segment_a[order].astype(np.uint32),
        "b": segment_b[order].astype(np.uint32),
        "relation": relation[order],
    }


def relation_counts(by_class: dict[str, dict[str, int]]) -> dict[str, int]:
    """Add up relations over the classes of segment_a.

    >>> relation_counts({"both": {"linked": 2}, "successor": {"random": 1, "dropped": 1}})
    {'contiguous': 0, 'random': 1, 'linked': 2}
    """
    return {
        relation: sum(row.get(relation, 0) for row in by_class.values()) for relation in RELATIONS
    }
