"""Draw a linked segment_b: first one of the documents that segment_a links to.

A document is drawn with probability inversely proportional to its in-degree (LinkBERT,
arXiv:2203.15827, section 4.3). All links of some hundred thousand segments are laid out one after
the other, and their weights summed up, so that one search in the sums draws for all of them:

    weights of links   0.5 0.5 | 1.0 | 0.25 0.5     three segments
    running sums     0 0.5 1.0   2.0   2.25 2.75    a uniform number within a segment's stretch
                                                    falls on the link to take

A draw depends on the key and the id of segment_a alone, never on what was drawn before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.sample.pairs.graph import (
    BoolArray,
    Float64Array,
    Int32Array,
    Int64Array,
    Links,
    Segments,
)
from schemas.counter_rng import counter_uniform
from schemas.errors import GraphError

# Pairs and links in work at once: they bound the memory of a draw to some tens of megabytes.
_CHUNK_PAIRS = 1 << 18
_CHUNK_TARGETS = 1 << 22


def target_weights(pool: BoolArray, in_degree: npt.NDArray[Any] | None = None) -> Float64Array:
    """Return the weight of each document as a linked one: one over its in-degree, or equal ones.

    Args:
        pool: bool [N], documents that may supply segment_b.
        in_degree: int [N]; None for equal weights.

    Returns:
        float64 [N], 0 out of the pool.

    >>> target_weights(np.array([True, True, False]), np.array([0, 4, 1])).tolist()
    [1.0, 0.25, 0.0]
    """
    if in_degree is None:
        return pool.astype(np.float64)
    return np.asarray(pool / np.maximum(in_degree, 1))


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


def count_by_reach(segment_ids: Int64Array, segments: Segments, links: Links) -> dict[str, int]:
    """Count segments by whether they can be linked, and if not, by what is in the way.

    Args:
        segment_ids: int64 [A].
        segments: of the corpus.
        links: of the corpus.

    Returns:
        Counts that add up to A. `usable`: the segment has a usable link. `document_without_links`
        and `none_in_segment`: its document has no link, or has its links in other segments.
        `target_without_segments` and `target_in_other_split`: its links lead only to documents
        without a segment, or only to those that another split holds.
    """
    sizes = np.diff(links.indptr)
    has_segments = np.diff(segments.first) > 0
    usable = has_usable_link(segment_ids, segments, links)
    anywhere = replace(links, weights=target_weights(has_segments))
    reachable = has_usable_link(segment_ids, segments, anywhere)
    is_linking = sizes[links.rows_of(segment_ids, segments)] > 0
    documents = np.zeros(len(has_segments), np.bool_)
    documents[np.flatnonzero(sizes) if links.by_document else segments.node[sizes > 0]] = True
    in_linking_document = documents[segments.node[segment_ids]]
    return {
        "usable": int(usable.sum()),
        "document_without_links": int((~in_linking_document).sum()),
        "none_in_segment": int((in_linking_document & ~is_linking).sum()),
        "target_without_segments": int((is_linking & ~reachable).sum()),
        "target_in_other_split": int((reachable & ~usable).sum()),
    }


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
        if not (total > 0).all():
            raise GraphError(
                "expected only segments with a usable link to be linked, found one without: this "
                "is a fault of the stage, please report it"
            )
        wanted = base + counter_uniform(key, segment_ids[chunk.pairs]) * total
        places = np.searchsorted(sums, wanted, side="right") - 1
        # Rounding can carry the sum to the end of the row: the last target with weight is meant.
        places = np.minimum(places, _last_with_weight(chunk))
        drawn[chunk.pairs] = chunk.targets[places]
    return drawn


def _last_with_weight(chunk: _LinkChunk) -> Int64Array:
    places = np.where(chunk.weights > 0, np.arange(len(chunk.weights)), -1)
    return np.maximum.reduceat(places, chunk.starts)


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
