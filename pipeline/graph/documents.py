"""The first phase of `graph`: number the documents, index all titles, follow the redirects.

    pages, redirects ──▶ index/title_hashes.npy     uint64 [T], sorted
                         index/title_values.npy     int32 [T]: a node_id, or -1 - redirect
                         index/row_nodes.npy        int32 [P]: a row's node, -1 if dropped
                         index/node_rows.npy        int64 [N]: the row of pages of a node
                         index/redirect_page_ids.npy  int64 [R]
                         index/redirect_targets.npy   int32 [R]: the node at the end, or -1
                         index/redirect_fates.npy     int8 [R]: code in FATES of a link through it

Rows of pages count through all parts. Redirects are numbered by page_id. A page wins over a
redirect of the same title, and among equals the lower page_id; a page_id that a dump repeats keeps
its last row. MediaWiki stops at a redirect to a redirect; a graph wants its end
(https://www.mediawiki.org/wiki/Help:Redirects), so chains are followed, and those that never end
are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.outputs import (
    load_manifest,
    part_paths,
    read_batches,
    save_array,
    verify_folder,
)
from pipeline.engine.stage import Job, Record, Records, Task
from pipeline.graph.config import GraphConfig
from pipeline.wiki.title_index import (
    MISSING,
    Int32Array,
    Int64Array,
    TitleIndex,
    UInt64Array,
    hash_titles,
    sort_index,
)
from schemas.errors import GraphError
from schemas.tables.mentions import FATES, INTERWIKI, INVALID, OTHER_NAMESPACE, RED, REDIRECT

Int8Array = npt.NDArray[np.int8]

_MAX_SALTS = 8
_LOOPED = -2
_DEAD_END = -1
_BATCH_ROWS = 1 << 16


@dataclass(frozen=True, slots=True)
class _Pages:
    """All rows of pages: ids int64 [P], hashes uint64 [P]."""

    ids: Int64Array
    hashes: UInt64Array


@dataclass(frozen=True, slots=True)
class _Redirects:
    """All rows of redirects; `fates` int8 [R] is the fate if the target is not a known title."""

    ids: Int64Array
    hashes: UInt64Array
    target_hashes: UInt64Array
    fates: Int8Array
    # Whether the target may be a title of the corpus at all.
    is_local: npt.NDArray[np.bool_]

    def take(self, rows: Int64Array) -> _Redirects:
        return _Redirects(
            self.ids[rows],
            self.hashes[rows],
            self.target_hashes[rows],
            self.fates[rows],
            self.is_local[rows],
        )


def tasks_of_index(job: Job[GraphConfig], records: Records) -> list[Task]:
    """One task: the index is small, and everything else waits for it."""
    return [Task(0, {}, load_manifest(job.path("pages")).rows_out)]


def run_index(job: Job[GraphConfig], task: Task) -> Record:
    """Build the index files; the record also holds the number of nodes and the salt.

    Raises:
        GraphError: distinct titles collide under every salt.
    """
    # The parts of pages are verified by the tasks of the next phase, each its own.
    verify_folder(job.path("redirects"))
    for salt in range(_MAX_SALTS):
        pages, redirects = _read_pages(job, salt), _read_redirects(job, salt)
        node_rows = last_of_each(pages.ids)
        redirect_rows = last_of_each(redirects.ids)
        num_nodes = len(node_rows)
        index, losers, winners = sort_index(
            np.concatenate([pages.hashes[node_rows], redirects.hashes[redirect_rows]]),
            np.concatenate(
                [np.arange(num_nodes), -1 - np.arange(len(redirect_rows), dtype=np.int64)]
            ).astype(np.int32),
            salt,
        )
        rows = np.concatenate([node_rows, redirect_rows])
        if _titles_are_equal(job, num_nodes, rows, losers, winners):
            counts = {
                "duplicate_page": len(pages.ids) - num_nodes,
                "duplicate_title": int((losers < num_nodes).sum()),
                "duplicate_redirect": len(redirects.ids)
                - len(redirect_rows)
                + int((winners >= num_nodes).sum()),
                "redirect_under_page": int(((winners < num_nodes) & (losers >= num_nodes)).sum()),
            }
            return _write_index(
                job, index, len(pages.ids), node_rows, redirects.take(redirect_rows), counts=counts
            )
    raise GraphError(
        f"expected distinct hashes of distinct titles, found a collision under {_MAX_SALTS} salts "
        f"in {job.root}: are the titles made to collide? Report it with the corpus"
    )


def last_of_each(ids: Int64Array) -> Int64Array:
    """Return the rows that hold the last occurrence of each id, in the order of the ids.

    >>> last_of_each(np.array([5, 3, 5])).tolist()
    [1, 2]
    """
    order = np.argsort(ids, kind="stable")
    is_last = np.ones(len(ids), bool)
    np.not_equal(ids[order][1:], ids[order][:-1], out=is_last[:-1])
    return np.asarray(order[is_last], np.int64)


def follow_redirects(next_redirects: Int32Array, ends: Int32Array) -> Int32Array:
    """Follow every redirect to its end by pointer doubling.

    Args:
        next_redirects: int32 [R], the redirect that one leads to, -1 where it leads to none.
        ends: int32 [R], the node that one leads to, -1 where it leads to none.

    Returns:
        int32 [R]: the node at the end, -1 for a dead end, -2 for a chain that never ends.

    >>> chain_loop_dead = np.array([1, -1, 3, 2, -1]), np.array([-1, 7, -1, -1, -1])
    >>> follow_redirects(*chain_loop_dead).tolist()
    [7, 7, -2, -2, -1]
    """
    following, ends = next_redirects.copy(), ends.astype(np.int32, copy=True)
    active = np.flatnonzero(following >= 0)
    # After k rounds every pointer spans 2^k steps, so no finite chain outlasts log2 R + 1 rounds.
    for _ in range(len(following).bit_length() + 1):
        through = following[active]
        ends[active] = ends[through]
        following[active] = following[through]
        active = active[following[active] >= 0]
    ends[active] = _LOOPED
    return ends


def _read_pages(job: Job[GraphConfig], salt: int) -> _Pages:
    ids, hashes = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
    for batch in _batches(job, "pages", ["page_id", "title"]):
        ids.append(batch.column(0).to_numpy())
        hashes.append(hash_titles(batch.column(1), salt))
    return _Pages(np.concatenate(ids), np.concatenate(hashes))


def _read_redirects(job: Job[GraphConfig], salt: int) -> _Redirects:
    names = ["page_id", "title", "target_title", "target_namespace", "is_interwiki"]
    columns: list[list[npt.NDArray[np.generic]]] = [[], [], [], [], []]
    for batch in _batches(job, "redirects", names):
        ids, titles, targets, namespaces, is_interwiki = batch.columns
        fates, is_local = _fates_beyond(targets, namespaces, is_interwiki)
        hashed = hash_titles(titles, salt), hash_titles(targets, salt)
        for column, values in zip(columns, (ids.to_numpy(), *hashed, fates, is_local), strict=True):
            column.append(values)
    dtypes = (np.int64, np.uint64, np.uint64, np.int8, np.bool_)
    joined = [
        np.concatenate([np.zeros(0, dtype), *column])
        for dtype, column in zip(dtypes, columns, strict=True)
    ]
    return _Redirects(*joined)


def _fates_beyond(
    targets: pa.Array, namespaces: pa.Array, is_interwiki: pa.Array
) -> tuple[Int8Array, npt.NDArray[np.bool_]]:
    """Return what becomes of a link through redirects whose target is not a title."""
    interwiki = is_interwiki.to_numpy(zero_copy_only=False)
    invalid = pc.binary_length(targets).to_numpy() == 0
    fates = np.select(
        [interwiki, invalid, namespaces.to_numpy() != 0],
        [FATES.index(INTERWIKI), FATES.index(INVALID), FATES.index(OTHER_NAMESPACE)],
        FATES.index(RED),
    )
    return fates.astype(np.int8), ~(interwiki | invalid)


def _batches(job: Job[GraphConfig], table: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    for path in part_paths(job.path(table)):
        yield from read_batches(path, columns, _BATCH_ROWS)


def _titles_are_equal(
    job: Job[GraphConfig], num_nodes: int, rows: Int64Array, losers: Int64Array, winners: Int64Array
) -> bool:
    """Tell whether titles of one hash are one title, reading just those titles again."""
    places = np.concatenate([losers, winners])
    titles = np.empty(len(places), object)
    for table, chosen in (("pages", places < num_nodes), ("redirects", places >= num_nodes)):
        titles[chosen] = _titles_at(job, table, rows[places[chosen]])
    return bool((titles[: len(losers)] == titles[len(losers) :]).all())


def _titles_at(job: Job[GraphConfig], table: str, rows: Int64Array) -> npt.NDArray[np.object_]:
    titles = np.empty(len(rows), object)
    first = 0
    if len(rows):
        for batch in _batches(job, table, ["title"]):
            here = np.flatnonzero((rows >= first) & (rows < first + len(batch)))
            titles[here] = batch.column(0).take(pa.array(rows[here] - first)).to_pylist()
            first += len(batch)
    return titles


def _write_index(
    job: Job[GraphConfig],
    index: TitleIndex,
    num_rows: int,
    node_rows: Int64Array,
    redirects: _Redirects,
    *,
    counts: dict[str, int],
) -> Record:
    values = index.look_up_hashes(redirects.target_hashes)
    values[~redirects.is_local] = MISSING
    is_chained = (values < 0) & (values != MISSING)
    next_redirects = np.where(is_chained, -1 - values, -1).astype(np.int32)
    ends = follow_redirects(next_redirects, np.where(values >= 0, values, _DEAD_END))
    fates = _fates_at_ends(next_redirects, ends, redirects.fates)
    row_nodes = np.full(num_rows, -1, np.int32)
    row_nodes[node_rows] = np.arange(len(node_rows), dtype=np.int32)
    arrays: dict[str, npt.NDArray[Any]] = {
        "title_hashes": index.hashes,
        "title_values": index.values,
        "row_nodes": row_nodes,
        "node_rows": node_rows,
        "redirect_page_ids": redirects.ids,
        "redirect_targets": np.maximum(ends, -1),
        "redirect_fates": fates,
    }
    written: dict[str, int] = {}
    for name, array in arrays.items():
        written |= save_array(job, f"index/{name}.npy", array)
    counts |= {
        "redirects_resolved": int((ends >= 0).sum()),
        "redirects_double": int(is_chained.sum()),
        "redirects_looped": int((ends == _LOOPED).sum()),
        **{
            f"redirects_{fate}": int(((ends == _DEAD_END) & (fates == code)).sum())
            for code, fate in enumerate(FATES)
            if fate in _DEAD_FATES
        },
    }
    return {
        "counts": counts,
        "files": written,
        "salt": index.salt,
        "num_nodes": len(node_rows),
        "num_titles": len(index.hashes),
        "num_redirects": len(redirects.ids),
    }


_DEAD_FATES = (RED, OTHER_NAMESPACE, INTERWIKI, INVALID)


def _fates_at_ends(next_redirects: Int32Array, ends: Int32Array, fates: Int8Array) -> Int8Array:
    """Give every redirect the fate of a link through it; a chain has that of its last redirect."""
    # The last redirect of a chain is found like its end: number the last ones themselves.
    own = np.where(next_redirects < 0, np.arange(len(ends)), -1)
    last = follow_redirects(next_redirects, own)
    found = fates[np.maximum(last, 0)] if len(fates) else fates
    found = np.where(ends == _LOOPED, FATES.index(RED), found)
    return np.where(ends >= 0, FATES.index(REDIRECT), found).astype(np.int8)
