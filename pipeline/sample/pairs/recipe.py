"""The plan of one epoch: which segment_b for which segment_a, by the recipe of the paper.

LinkBERT (arXiv:2203.15827), sections 4.2 and 4.3. Every segment of a split is segment_a exactly
once per epoch. Pure functions on arrays; `pipeline/sample/stage.py` runs them as a stage.

    segment_a ── class: has a next segment? a usable link? ──▶ relation
                                                    contiguous: the next segment
                                                    linked:     of a document segment_a links to
                                                    random:     of any other, unlinked document
    then one permutation over all pairs of the epoch

All randomness is keyed by (seed, purpose, split, epoch, corpus) and the number of segment_a, so an
arm that differs in its links shares segment_a and its order with the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.sample.pairs.graph import (
    BoolArray,
    Graph,
    Int32Array,
    Int64Array,
    Links,
    Segments,
)
from pipeline.sample.pairs.linked import draw_linked, has_usable_link
from pipeline.sample.pairs.partners import draw_random, draw_segment, has_partner
from pipeline.sample.pairs.relations import (
    CLASS_NAMES,
    DROPPED,
    LINK,
    SUCCESSOR,
    Int8Array,
    assign_exact,
    assign_independently,
)
from schemas.counter_rng import counter_bits, counter_key, counter_uniform, unique_words
from schemas.tables.instances import LINKED, RANDOM, RELATIONS


@dataclass(frozen=True, slots=True)
class PairRules:
    """How pairs are made.

    Attributes:
        shares: wanted parts of contiguous, random and linked.
        is_exact: totals as near to the shares as possible, or each segment on its own.
        is_random_linked: linked pairs lead to a random unlinked document: the ablation whose
            segment_a, relations and order equal those with real links.
        is_lead_only: segment_b of a linked document is its first one.
    """

    shares: tuple[float, float, float] = (1.0, 1.0, 1.0)
    is_exact: bool = True
    is_random_linked: bool = False
    is_lead_only: bool = False


@dataclass(frozen=True, slots=True)
class Population:
    """Who takes part in a split.

    Attributes:
        sources: bool [N], documents whose segments are segment_a.
        pool: bool [N], documents that may supply segment_b; all have segments.
    """

    sources: BoolArray
    pool: BoolArray


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of segments, by their numbers within the corpus, and the relation of b to a [P]."""

    segment_a: Int64Array
    segment_b: Int64Array
    relation: Int8Array


@dataclass(frozen=True, slots=True)
class Draw:
    """What identifies one epoch's randomness."""

    seed: int
    split: str
    epoch: int
    corpus: int

    def key(self, purpose: str) -> np.uint64:
        """Return the key of one kind of draw."""
        return counter_key(self.seed, purpose, self.split, self.epoch, self.corpus)


@dataclass(frozen=True, slots=True)
class PairCorpus:
    """One corpus as arrays.

    Attributes:
        segments: all of them.
        graph: its links, which no random pair may join.
        links: where linked pairs lead; None for contiguous and random pairs alone. Documents that
            may not supply segment_b have weight 0.
    """

    segments: Segments
    graph: Graph
    links: Links | None


def plan_pairs(
    corpus: PairCorpus, population: Population, rules: PairRules, draw: Draw
) -> tuple[Pairs, dict[str, dict[str, int]]]:
    """Return the pairs of one corpus and epoch, in the order of segment_a.

    Args:
        corpus: the segments and links.
        population: of the split.
        rules: how pairs are made.
        draw: the randomness.

    Returns:
        The pairs; and for each class of segment_a how many had each relation or were dropped.
    """
    segments = corpus.segments
    pool = np.flatnonzero(population.pool).astype(np.int32)
    segment_a = np.flatnonzero(population.sources[segments.node])
    classes = classify(segment_a, segments, corpus.links)
    partner = has_partner(corpus.graph, pool)[segments.node[segment_a]]
    relations = _relations(classes, partner, segment_a, rules, draw)
    by_class = count_by_class(classes, relations)
    kept = relations != DROPPED
    segment_a, relations = segment_a[kept], relations[kept]
    segment_b = segment_a + 1
    for relation in (RANDOM, LINKED):
        chosen = np.flatnonzero(relations == relation)
        if len(chosen):
            here = segment_a[chosen]
            nodes = _draw_documents(here, relation, corpus, pool, rules=rules, draw=draw)
            segment_b[chosen] = _draw_segments(
                here, nodes, relation, segments, rules=rules, draw=draw
            )
    return Pairs(segment_a, segment_b, relations), by_class


def classify(segment_a: Int64Array, segments: Segments, links: Links | None) -> Int8Array:
    """Return the class of each segment: whether it has a next segment and a usable link.

    >>> segments = Segments(np.array([0, 2, 3]), np.array([0, 0, 1]))
    >>> classify(np.arange(3), segments, None).tolist()
    [1, 0, 0]
    """
    has_successor = segment_a + 1 < segments.first[segments.node[segment_a].astype(np.int64) + 1]
    classes = has_successor.astype(np.int8) * np.int8(SUCCESSOR)
    if links is not None:
        classes += has_usable_link(segment_a, segments, links).astype(np.int8) * np.int8(LINK)
    return classes


def _relations(
    classes: Int8Array, partner: BoolArray, segment_a: Int64Array, rules: PairRules, draw: Draw
) -> Int8Array:
    assign = assign_exact if rules.is_exact else assign_independently
    purpose = f"relations/{draw.split}/{draw.epoch}/{draw.corpus}"
    return assign(classes, partner, segment_a, rules.shares, (draw.seed, purpose))


def _draw_documents(
    segment_a: Int64Array,
    relation: int,
    corpus: PairCorpus,
    pool: Int32Array,
    *,
    rules: PairRules,
    draw: Draw,
) -> Int32Array:
    key = draw.key(f"{RELATIONS[relation]} document")
    if relation == RANDOM or rules.is_random_linked:
        return draw_random(segment_a, corpus.segments, corpus.graph, pool, key)
    assert corpus.links is not None, "no segment has a usable link without links"
    return draw_linked(segment_a, corpus.segments, corpus.links, key)


def _draw_segments(
    segment_a: Int64Array,
    nodes: Int32Array,
    relation: int,
    segments: Segments,
    *,
    rules: PairRules,
    draw: Draw,
) -> Int64Array:
    if relation == LINKED and rules.is_lead_only:
        return segments.first[nodes]
    key = draw.key(f"{RELATIONS[relation]} segment")
    return draw_segment(nodes, segments, counter_uniform(key, segment_a))


def count_by_class(classes: Int8Array, relations: Int8Array) -> dict[str, dict[str, int]]:
    """Count relations within each class of segment_a; absent ones are left out.

    >>> count_by_class(np.array([1, 1, 0], np.int8), np.array([0, 1, -1], np.int8))
    {'neither': {'dropped': 1}, 'successor': {'contiguous': 1, 'random': 1}}
    """
    names = ("dropped", *RELATIONS)
    width = len(names)
    table = np.bincount(
        classes.astype(np.int64) * width + relations - DROPPED, minlength=len(CLASS_NAMES) * width
    ).reshape(-1, width)
    counted = {
        class_name: {name: int(count) for name, count in zip(names, row, strict=True) if count}
        for class_name, row in zip(CLASS_NAMES, table, strict=True)
    }
    return {class_name: row for class_name, row in counted.items() if row}


def epoch_order(segment_ids: npt.NDArray[np.integer[npt.NBitBase]], key: np.uint64) -> Int64Array:
    """Return a uniformly random permutation of pairs, keyed by their segment_a.

    Args:
        segment_ids: [P], distinct: the number of segment_a over all corpora.
        key: of the order.

    Returns:
        int64 [P]: the pair at each place.

    >>> epoch_order(np.arange(5), counter_key(0, "doc")).tolist()
    [3, 2, 0, 1, 4]
    """
    return np.argsort(unique_words(counter_bits(key, segment_ids)))
