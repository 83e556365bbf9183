"""One corpus as the recipe sees it: segments, the graph of documents, and the links of segments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]


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


def is_neighbour(graph: Graph, nodes: Int32Array, others: Int32Array) -> BoolArray:
    """Tell, pair by pair, whether there is an edge between two documents in either direction.

    >>> graph = Graph(*(np.array(each) for each in ([0, 1, 1], [1], [0, 0, 1], [0])))
    >>> is_neighbour(graph, np.array([0, 1, 0]), np.array([1, 0, 0])).tolist()
    [True, True, False]
    """
    return _in_rows(graph.out_indptr, graph.out_indices, nodes, others) | _in_rows(
        graph.in_indptr, graph.in_indices, nodes, others
    )


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
