"""Small and random corpora as arrays, for tests of the recipe."""

import numpy as np

from pipeline.sample.pairs.graph import Graph, Links, Segments
from pipeline.sample.pairs.recipe import (
    Draw,
    PairCorpus,
    PairRules,
    Pairs,
    Population,
    plan_pairs,
)

# Six documents, two segments each but for the last, which has one.
#   0 -> 1, 2    1 -> 2    3 -> 2    4 and 5 have no links out; 2 is linked three times, 1 once
EDGES = [(0, 1), (0, 2), (1, 2), (3, 2)]
NUM_NODES = 6
FIRST = np.array([0, 2, 4, 6, 8, 10, 11])


def graph_of(edges: list[tuple[int, int]], num_nodes: int) -> Graph:
    def rows(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
        sizes = np.bincount([pair[0] for pair in pairs], minlength=num_nodes)
        indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return indptr, np.array([pair[1] for pair in sorted(pairs)], np.int32)

    return Graph(*rows(edges), *rows([(target, source) for source, target in edges]))


def segments_of(first: np.ndarray) -> Segments:
    sizes = np.diff(first)
    return Segments(
        first.astype(np.int64), np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    )


def corpus_of(edges: list[tuple[int, int]], first: np.ndarray) -> PairCorpus:
    """Return a corpus whose links are open to all segments of a document."""
    num_nodes = len(first) - 1
    graph = graph_of(edges, num_nodes)
    in_degree = np.diff(graph.in_indptr)
    links = Links(graph.out_indptr, graph.out_indices, True, 1 / np.maximum(in_degree, 1))
    return PairCorpus(segments_of(first), graph, links)


SMALL = corpus_of(EDGES, FIRST)
EVERYONE = Population(np.ones(NUM_NODES, bool), np.ones(NUM_NODES, bool))


def links_of(corpus: PairCorpus) -> Links:
    assert corpus.links is not None
    return corpus.links


def random_corpus(num_nodes: int = 300, seed: int = 0) -> PairCorpus:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, num_nodes)
    first = np.concatenate([[0], np.cumsum(sizes)])
    sources = rng.integers(0, num_nodes, 4 * num_nodes)
    targets = (num_nodes * rng.random(4 * num_nodes) ** 3).astype(int)
    edges = sorted(
        {(s, t) for s, t in zip(sources.tolist(), targets.tolist(), strict=True) if s != t}
    )
    return corpus_of(edges, first)


def plan(
    corpus: PairCorpus, rules: PairRules | None = None, seed: int = 0, epoch: int = 0
) -> Pairs:
    num_nodes = len(corpus.segments.first) - 1
    everyone = Population(np.ones(num_nodes, bool), np.ones(num_nodes, bool))
    return plan_pairs(corpus, everyone, rules or PairRules(), Draw(seed, "train", epoch, 0))[0]
