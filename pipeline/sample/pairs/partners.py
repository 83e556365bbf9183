"""Draw segment_b: from a linked document, from a random one; vectorised over millions of pairs.

    linked    a document that segment_a links to, with probability inversely proportional to its
              in-degree (LinkBERT, arXiv:2203.15827, section 4.3), then one of its segments
    random    a document other than segment_a's, neither linked from nor linking to it, uniformly
              (section 4.2), then one of its segments

Every draw depends on a key and the id of segment_a alone, never on what was drawn before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.counter_rng import counter_bits, counter_uniform

Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]

# Pairs in work at once: bounds the memory of a draw to some tens of megabytes.
_CHUNK_PAIRS = 1 << 18
_CHUNK_TARGETS = 1 << 22
# Rejections in a row after which the allowed documents are listed instead.
_MAX_ATTEMPTS = 32


@dataclass(frozen=True, slots=True)
class Segments:
    """The segments of one corpus, in the order of (node_id, segment_index).

    Attributes:
        first: int64 [N + 1], the number of a document's first segment; the last is their count S.
        node: int32 [S], the document of each segment.
    """

    first: Int64Array
    node: Int32Array


@dataclass(frozen=True, slots=True)
class Graph:
    """Neighbours both ways as compressed sparse rows, ascending within a row.

    Attributes:
        out_indptr, in_indptr: int64 [N + 1].
        out_indices, in_indices: int32 [E].
    """

    out_indptr: Int64Array
    out_indices: Int32Array
    in_indptr: Int64Array
    in_indices: Int32Array


@dataclass(frozen=True, slots=True)
class Links:
    """Where a segment_a can be linked to.

    Attributes:
        indptr: int64 [R + 1], rows are segments, or documents where `by_document`.
        targets: int32 [T], distinct documents within a row.
        by_document: whether a row is a document, its links open to all its segments.
        weights: float64 [N], the weight of a document as a target, 0 where it is never one.
    """

    indptr: Int64Array
    targets: Int32Array
    by_document: bool
    weights: Float64Array

    def rows_of(self, segment_ids: Int64Array, segments: Segments) -> Int64Array:
        """Return the row of each segment."""
        if self.by_document:
            return segments.node[segment_ids].astype(np.int64)
        return segment_ids


def has_usable_link(segment_ids: Int64Array, segments: Segments, links: Links) -> BoolArray:
    """Tell which segments link to a document that can supply a segment_b, other than their own.

    Args:
        segment_ids: int64 [A].
        segments: of the corpus.
        links: of the corpus.

    Returns:
        bool [A].
    """
    usable = np.zeros(len(segment_ids), np.bool_)
    for chunk in _link_chunks(segment_ids, segments, links):
        sums = np.concatenate([[0.0], np.cumsum(chunk.weights)])
        usable[chunk.pairs] = sums[chunk.ends] > sums[chunk.starts]
    return usable


def draw_linked(
    segment_ids: Int64Array, segments: Segments, links: Links, key: np.uint64
) -> Int32Array:
    """Draw the linked document of each segment, by weight; each must have a usable link.

    Args:
        segment_ids: int64 [A].
        segments: of the corpus.
        links: of the corpus.
        key: of the draw.

    Returns:
        int32 [A], documents.
    """
    drawn = np.empty(len(segment_ids), np.int32)
    for chunk in _link_chunks(segment_ids, segments, links):
        sums = np.concatenate([[0.0], np.cumsum(chunk.weights)])
        base, total = sums[chunk.starts], sums[chunk.ends] - sums[chunk.starts]
        assert (total > 0).all(), "a segment without a usable link is to be linked"
        wanted = base + counter_uniform(key, segment_ids[chunk.pairs]) * total
        places = np.searchsorted(sums, wanted, side="right") - 1
        # Rounding can carry the sum to the end of the row: the last target with weight is meant.
        places = np.minimum(places, _last_with_weight(chunk))
        drawn[chunk.pairs] = chunk.targets[places]
    return drawn


def expected_appearances(segment_ids: Int64Array, segments: Segments, links: Links) -> Float64Array:
    """Return how often each document is expected as the linked one, were all segments linked.

    Returns:
        float64 [N]; segments without a usable link add nothing.
    """
    expected = np.zeros(len(links.weights))
    for chunk in _link_chunks(segment_ids, segments, links):
        sums = np.concatenate([[0.0], np.cumsum(chunk.weights)])
        totals = np.repeat(sums[chunk.ends] - sums[chunk.starts], chunk.ends - chunk.starts)
        probabilities = np.divide(
            chunk.weights, totals, out=np.zeros(len(totals)), where=totals > 0
        )
        expected += np.bincount(chunk.targets, probabilities, minlength=len(expected))
    return expected


@dataclass(frozen=True, slots=True)
class _LinkChunk:
    """The links of consecutive pairs: `targets` and `weights` [T], cut by starts and ends [A]."""

    pairs: slice
    starts: Int64Array
    ends: Int64Array
    targets: Int32Array
    weights: Float64Array


def _link_chunks(segment_ids: Int64Array, segments: Segments, links: Links) -> Iterator[_LinkChunk]:
    rows = links.rows_of(segment_ids, segments)
    sizes = links.indptr[rows + 1] - links.indptr[rows]
    for pairs in _slices_of_weight(sizes):
        here, size = rows[pairs], sizes[pairs]
        ends = np.cumsum(size)
        starts = ends - size
        flat = np.repeat(links.indptr[here] - starts, size) + np.arange(ends[-1])
        targets = links.targets[flat]
        own = np.repeat(segments.node[segment_ids[pairs]], size)
        weights = np.where(targets == own, 0.0, links.weights[targets])
        yield _LinkChunk(pairs, starts, ends, targets, weights)


def _slices_of_weight(sizes: Int64Array) -> Iterator[slice]:
    """Cut pairs into runs with few links each; a single pair may exceed the bound."""
    reach = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = reach[start - 1] if start else 0
        stop = int(np.searchsorted(reach, before + _CHUNK_TARGETS, side="right"))
        stop = min(max(stop, start + 1), start + _CHUNK_PAIRS, len(sizes))
        yield slice(start, stop)
        start = stop


def _last_with_weight(chunk: _LinkChunk) -> Int64Array:
    places = np.where(chunk.weights > 0, np.arange(len(chunk.weights)), -1)
    return np.maximum.reduceat(places, chunk.starts)


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


def _allowed(graph: Graph, pool: Int32Array, node: int) -> Int32Array:
    linked = graph.out_indices[graph.out_indptr[node] : graph.out_indptr[node + 1]]
    linking = graph.in_indices[graph.in_indptr[node] : graph.in_indptr[node + 1]]
    return np.setdiff1d(pool, np.concatenate([linked, linking, [node]]), assume_unique=False)


def is_neighbour(graph: Graph, nodes: Int32Array, others: Int32Array) -> BoolArray:
    """Tell, pair by pair, whether there is an edge between two documents in either direction.

    >>> graph = Graph(*(np.array(each) for each in ([0, 1, 1], [1], [0, 0, 1], [0])))
    >>> is_neighbour(graph, np.array([0, 1, 0]), np.array([1, 0, 0])).tolist()
    [True, True, False]
    """
    return _in_rows(graph.out_indptr, graph.out_indices, nodes, others) | _in_rows(
        graph.in_indptr, graph.in_indices, nodes, others
    )


def join_graphs(graph: Graph, indptr: Int64Array, targets: Int32Array) -> Graph:
    """Return a graph with the edges of another added.

    Args:
        graph: [N] nodes.
        indptr: int64 [N + 1], rows of the other.
        targets: int32 [E], distinct within a row.

    >>> graph = Graph(*(np.array(each) for each in ([0, 1, 1], [1], [0, 0, 1], [0])))
    >>> joined = join_graphs(graph, np.array([0, 1, 2]), np.array([1, 0]))
    >>> joined.out_indices.tolist(), joined.in_indptr.tolist()
    ([1, 0], [0, 1, 2])
    """
    num_nodes = len(indptr) - 1

    def keys_of(starts: Int64Array, ends: Int32Array) -> Int64Array:
        sources = np.repeat(np.arange(num_nodes, dtype=np.int64), np.diff(starts))
        return (sources << 32) | ends

    def rows_of(keys: Int64Array) -> tuple[Int64Array, Int32Array]:
        starts = np.searchsorted(keys, np.arange(num_nodes + 1, dtype=np.int64) << 32)
        return starts, (keys & 0xFFFFFFFF).astype(np.int32)

    own = keys_of(graph.out_indptr, graph.out_indices)
    keys = np.union1d(own, keys_of(indptr, targets))
    return Graph(*rows_of(keys), *rows_of(np.sort(((keys & 0xFFFFFFFF) << 32) | (keys >> 32))))


def _in_rows(
    indptr: Int64Array, indices: Int32Array, rows: Int32Array, values: Int32Array
) -> BoolArray:
    """Search each value in its row, all rows side by side, halving them at every step."""
    found = np.zeros(len(rows), np.bool_)
    low, high = indptr[rows], indptr[rows.astype(np.int64) + 1]
    pairs = np.flatnonzero(low < high)
    low, high, wanted = low[pairs], high[pairs], values[pairs]
    while len(pairs):
        middle = (low + high) >> 1
        here = indices[middle]
        found[pairs[here == wanted]] = True
        low = np.where(here < wanted, middle + 1, low)
        high = np.where(here < wanted, high, middle)
        going = (low < high) & (here != wanted)
        pairs, low, high, wanted = pairs[going], low[going], high[going], wanted[going]
    return found


def draw_segment(nodes: Int32Array, segments: Segments, uniform: Float64Array) -> Int64Array:
    """Return one of each document's segments; uniform [A] in [0, 1) chooses which.

    >>> segments = Segments(np.array([0, 2, 3]), np.array([0, 0, 1]))
    >>> draw_segment(np.array([0, 0, 1]), segments, np.array([0.4, 0.5, 0.9])).tolist()
    [0, 1, 2]
    """
    first = segments.first[nodes]
    count = segments.first[nodes.astype(np.int64) + 1] - first
    return first + (uniform * count).astype(np.int64)
