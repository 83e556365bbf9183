"""Draw a random segment_b, and which segment of a drawn document.

A random document is one other than segment_a's, neither linked from nor linking to it, uniformly
(LinkBERT, arXiv:2203.15827, section 4.2): drawn until one is allowed, which the first nearly always
is. A draw depends on the key and the id of segment_a alone, never on what was drawn before.
"""

from __future__ import annotations

import numpy as np

from pipeline.sample.pairs.graph import (
    BoolArray,
    Float64Array,
    Graph,
    Int32Array,
    Int64Array,
    Segments,
    is_neighbour,
)
from schemas.counter_rng import counter_bits, counter_uniform

# Pairs in work at once: bounds the memory of a draw to some tens of megabytes.
_CHUNK_PAIRS = 1 << 18
# Refusals in a row after which the allowed documents are listed instead.
_MAX_ATTEMPTS = 32


def has_partner(graph: Graph, pool: Int32Array) -> BoolArray:
    """Tell which documents have another, unlinked one in the pool.

    Only a document with about as many neighbours as the pool has documents can have none.

    Returns:
        bool [N].
    """
    degrees = np.diff(graph.out_indptr) + np.diff(graph.in_indptr)
    found = np.ones(len(degrees), np.bool_)
    for node in np.flatnonzero(degrees + 1 >= len(pool)).tolist():
        found[node] = len(_allowed(graph, pool, node)) > 0
    return found


def draw_random(
    segment_ids: Int64Array, segments: Segments, graph: Graph, pool: Int32Array, key: np.uint64
) -> Int32Array:
    """Draw an unlinked other document for each segment, uniformly from the pool.

    Args:
        segment_ids: int64 [A]; the document of each must have a partner (`has_partner`).
        segments: of the corpus.
        graph: of the corpus.
        pool: int32 [P], ascending: the documents that may supply segment_b.
        key: of the draw.

    Returns:
        int32 [A], documents.
    """
    drawn = np.empty(len(segment_ids), np.int32)
    for start in range(0, len(segment_ids), _CHUNK_PAIRS):
        here = slice(start, start + _CHUNK_PAIRS)
        drawn[here] = _draw_random_chunk(segment_ids[here], segments, graph, pool, key)
    return drawn


def _draw_random_chunk(
    segment_ids: Int64Array, segments: Segments, graph: Graph, pool: Int32Array, key: np.uint64
) -> Int32Array:
    own = segments.node[segment_ids]
    words = counter_bits(key, segment_ids)
    drawn = np.empty(len(segment_ids), np.int32)
    open_pairs = np.arange(len(segment_ids))
    for attempt in range(_MAX_ATTEMPTS):
        uniform = counter_uniform(words[open_pairs], np.uint64(attempt))
        candidates = pool[(uniform * len(pool)).astype(np.int64)]
        drawn[open_pairs] = candidates
        refused = is_neighbour(graph, own[open_pairs], candidates)
        open_pairs = open_pairs[refused | (candidates == own[open_pairs])]
        if not len(open_pairs):
            return drawn
    uniform = counter_uniform(words[open_pairs], np.uint64(_MAX_ATTEMPTS))
    for pair, share in zip(open_pairs.tolist(), uniform.tolist(), strict=True):
        allowed = _allowed(graph, pool, int(own[pair]))
        drawn[pair] = allowed[int(share * len(allowed))]
    return drawn


def _allowed(graph: Graph, pool: Int32Array, node: int) -> Int32Array:
    linked = graph.out_indices[graph.out_indptr[node] : graph.out_indptr[node + 1]]
    linking = graph.in_indices[graph.in_indptr[node] : graph.in_indptr[node + 1]]
    return np.setdiff1d(pool, np.concatenate([linked, linking, [node]]), assume_unique=False)


def draw_segment(nodes: Int32Array, segments: Segments, uniform: Float64Array) -> Int64Array:
    """Return one of each document's segments; uniform [A] in [0, 1) chooses which.

    >>> segments = Segments(np.array([0, 2, 3]), np.array([0, 0, 1]))
    >>> draw_segment(np.array([0, 0, 1]), segments, np.array([0.4, 0.5, 0.9])).tolist()
    [0, 1, 2]
    """
    first = segments.first[nodes]
    count = segments.first[nodes.astype(np.int64) + 1] - first
    return first + (uniform * count).astype(np.int64)
