"""Hold documents out: at random, and in clusters that keep their links to each other.

Two sets, because documents held out at random are hardly linked with each other: of all links, a
share f of documents keeps f * f. A cluster grown along links keeps a good part of its own.

    TRAINING    segment_a and segment_b of every training pair
    OPEN        `validation`: segment_a held out, segment_b from any document
    CLOSED      `validation_closed`: both from held-out clusters, unseen alike
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.sample.pairs.graph import BoolArray, Graph, Int64Array
from schemas.counter_rng import counter_bits, counter_key, unique_words

TRAINING, OPEN, CLOSED = range(3)

Int8Array = npt.NDArray[np.int8]

# A cluster ends at this size, so that a set has several subjects; a small set has at least four.
_MAX_CLUSTER = 50
_MIN_CLUSTERS = 4


def hold_out(has_segments: BoolArray, graph: Graph, num_documents: int, seed: int) -> Int8Array:
    """Choose the documents of both sets, each of `num_documents`, where there are so many.

    Args:
        has_segments: bool [N]; a document without segments is in no set and counts as TRAINING.
        graph: the links.
        num_documents: of each set.
        seed: of the choice, which depends on nothing else.

    Returns:
        int8 [N]: TRAINING, OPEN or CLOSED.

    >>> none = np.zeros(5, np.int64), np.zeros(0, np.int32)
    >>> np.bincount(hold_out(np.ones(4, bool), Graph(*none, *none), 1, seed=0)).tolist()
    [3, 1]
    """
    split = np.full(len(has_segments), TRAINING, np.int8)
    order = _random_order(len(split), seed)
    _hold_out_clusters(split, order, has_segments, graph, num_documents)
    free = order[has_segments[order] & (split[order] == TRAINING)]
    split[free[:num_documents]] = OPEN
    return split


def _random_order(num_nodes: int, seed: int) -> Int64Array:
    words = counter_bits(counter_key(seed, "validation"), np.arange(num_nodes))
    return np.argsort(unique_words(words))


def _hold_out_clusters(
    split: Int8Array,
    order: Int64Array,
    has_segments: BoolArray,
    graph: Graph,
    num_documents: int,
) -> None:
    """Grow clusters from random linked documents until the set is full, marking them in `split`."""
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    degrees = np.diff(graph.out_indptr) + np.diff(graph.in_indptr)
    limit = min(_MAX_CLUSTER, max(2, num_documents // _MIN_CLUSTERS))
    is_free = has_segments.copy()
    num_chosen = 0
    for start in order[(degrees[order] > 0) & has_segments[order]]:
        left = num_documents - num_chosen
        # A cluster of one keeps no link.
        if left < 2:
            return
        if is_free[start]:
            members = grow_cluster(int(start), min(limit, left), is_free, graph, ranks)
            if len(members) > 1:
                split[members] = CLOSED
                is_free[members] = False
                num_chosen += len(members)


def grow_cluster(
    start: int, size: int, is_free: BoolArray, graph: Graph, ranks: Int64Array
) -> list[int]:
    """Grow a cluster: always add the document with the largest share of its links inside.

    Adding by share, not by number, leaves the hubs, which nearly every cluster touches, outside.

    Args:
        start: the first document.
        size: documents at most.
        is_free: bool [N], who may join.
        graph: the links.
        ranks: int64 [N], distinct; the lowest wins among equals.

    Returns:
        The members in the order in which they joined; fewer than `size` where no neighbour is left.
    """
    members = [start]
    touched = _neighbours(graph, start)
    while len(members) < size:
        candidates, inside = np.unique(touched, return_counts=True)
        allowed = is_free[candidates] & ~np.isin(candidates, members)
        candidates, inside = candidates[allowed], inside[allowed]
        if not len(candidates):
            break
        degrees = _row_sizes(graph.out_indptr, candidates) + _row_sizes(graph.in_indptr, candidates)
        best = int(candidates[np.lexsort((ranks[candidates], -inside / degrees))[0]])
        members.append(best)
        touched = np.concatenate([touched, _neighbours(graph, best)])
    return members


def _neighbours(graph: Graph, node: int) -> npt.NDArray[np.int32]:
    linked = graph.out_indices[graph.out_indptr[node] : graph.out_indptr[node + 1]]
    linking = graph.in_indices[graph.in_indptr[node] : graph.in_indptr[node + 1]]
    return np.concatenate([linked, linking])


def _row_sizes(indptr: Int64Array, rows: npt.NDArray[np.int32]) -> Int64Array:
    return indptr[rows.astype(np.int64) + 1] - indptr[rows]
