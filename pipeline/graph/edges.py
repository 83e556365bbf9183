"""The last phases of `graph`: edges in order, nodes with their degrees, and the CSR arrays.

    merge   spills of edges ──▶ edges part r (sources of range r), and a spill of the same edges
            turned round: target first
    nodes   turned spills   ──▶ nodes part r, and a spill of the in-neighbours of range r
    csr     edges, spills   ──▶ csr/{out_indptr, out_indices, out_mentions, in_indptr, in_indices}

Range r is nodes r * N up to (r + 1) * N. All spills are sorted, so a task cuts its range out of
each by binary search and holds only that range in memory.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.outputs import (
    open_array,
    open_part,
    page_parts,
    part_name,
    part_writer,
    read_batches,
    save_array,
    save_chunks,
    spill_name,
)
from pipeline.engine.stage import Job, Record, Records, Task
from pipeline.graph.config import GraphConfig
from pipeline.graph.resolve import edge_keys
from pipeline.wiki.title_index import Int32Array, Int64Array
from schemas.errors import GraphError

_ROWS_PER_GROUP = 1 << 17
_LOW_BITS = (1 << 32) - 1


def tasks_of_merge(job: Job[GraphConfig], records: Records) -> list[Task]:
    """Make one task per range of source nodes, with the spills that hold edges from it."""
    [index] = records["index"]
    tasks = []
    for number, (first, stop) in enumerate(_ranges(job, index["num_nodes"])):
        spills = [
            spill
            for spill, record in enumerate(records["resolve"])
            if record["sources"][0] < stop and record["sources"][1] >= first
        ]
        tasks.append(Task(number, {"first": first, "stop": stop, "spills": spills}, stop - first))
    return tasks


def run_merge(job: Job[GraphConfig], task: Task) -> Record:
    """Write edges part r and the spills that the next phase reads."""
    first, stop = task.args["first"], task.args["stop"]
    sources, targets, weights = _read_range(job, task)
    with part_writer(job, "edges", task.index) as writer:
        for start in range(0, len(sources), _ROWS_PER_GROUP):
            rows = slice(start, start + _ROWS_PER_GROUP)
            columns = (sources[rows], targets[rows], weights[rows])
            writer.write({n: pa.array(c) for n, c in zip(_EDGE_COLUMNS, columns, strict=True)})
    turned = edge_keys(targets, sources)
    turned.sort()
    degrees = np.bincount(sources - first, minlength=stop - first).astype(np.int32)
    written = {f"edges/{part_name(task.index)}": len(sources)}
    written |= save_array(job, spill_name(job, "turned_keys", task.index), turned)
    written |= save_array(job, spill_name(job, "out_degrees", task.index), degrees)
    return {"counts": {"edges": len(sources)}, "files": written}


def _read_range(job: Job[GraphConfig], task: Task) -> tuple[Int32Array, Int32Array, Int32Array]:
    """Return sources, targets and mentions of the edges from a range of nodes, in order.

    Intermediate arrays are freed when this returns: at 44 bytes per edge they set the peak.
    """
    keys, weights = [np.zeros(0, np.int64)], [np.zeros(0, np.int32)]
    for spill in task.args["spills"]:
        with (
            open_array(job.path(spill_name(job, "edge_keys", spill))) as spilled_keys,
            open_array(job.path(spill_name(job, "edge_mentions", spill))) as spilled_weights,
        ):
            chosen = _slice_of(spilled_keys, task.args["first"], task.args["stop"])
            keys.append(np.array(spilled_keys[chosen]))
            weights.append(np.array(spilled_weights[chosen]))
    all_keys, all_weights = np.concatenate(keys), np.concatenate(weights)
    del keys, weights
    # No key stands twice, so any order that sorts is the same.
    order = np.argsort(all_keys)
    return *unpack_keys(all_keys[order]), all_weights[order]


_EDGE_COLUMNS = ("source_id", "target_id", "num_mentions")


def unpack_keys(keys: Int64Array) -> tuple[Int32Array, Int32Array]:
    """Return both ids of packed edges, the inverse of `edge_keys`.

    >>> [ids.tolist() for ids in unpack_keys(np.array([4294967298]))]
    [[1], [2]]
    """
    return (keys >> 32).astype(np.int32), (keys & _LOW_BITS).astype(np.int32)


def tasks_of_nodes(job: Job[GraphConfig], records: Records) -> list[Task]:
    """Make one task per range of nodes."""
    [index] = records["index"]
    args = {"num_ranges": len(records["merge"])}
    return [
        Task(number, {"first": first, "stop": stop, **args}, stop - first)
        for number, (first, stop) in enumerate(_ranges(job, index["num_nodes"]))
    ]


def run_nodes(job: Job[GraphConfig], task: Task) -> Record:
    """Write nodes part r and the spill of its in-neighbours."""
    first, stop = task.args["first"], task.args["stop"]
    pieces = [np.zeros(0, np.int64)]
    for spill in range(task.args["num_ranges"]):
        with open_array(job.path(spill_name(job, "turned_keys", spill))) as turned:
            pieces.append(np.array(turned[_slice_of(turned, first, stop)]))
    # The spills follow each other by source, so sorting gives (target, source).
    turned_keys = np.concatenate(pieces)
    del pieces
    turned_keys.sort()
    targets, sources = unpack_keys(turned_keys)
    in_degrees = np.bincount(targets - first, minlength=stop - first).astype(np.int32)
    with open_array(job.path(spill_name(job, "out_degrees", task.index))) as out_degrees:
        columns = _node_columns(job, first, stop)
        columns |= {"in_degree": pa.array(in_degrees), "out_degree": pa.array(out_degrees)}
    with part_writer(job, "nodes", task.index) as writer:
        table = pa.table(columns)
        for start in range(0, table.num_rows, _ROWS_PER_GROUP):
            writer.write(table.slice(start, _ROWS_PER_GROUP))
    counts = {
        "isolated": int(((in_degrees == 0) & (np.asarray(columns["out_degree"]) == 0)).sum()),
        "disambiguation": pc.sum(columns["is_disambiguation"]).as_py() or 0,
    }
    written = {f"nodes/{part_name(task.index)}": stop - first}
    written |= save_array(job, spill_name(job, "in_neighbours", task.index), sources)
    return {"counts": counts, "files": written, "num_in": len(sources)}


def _node_columns(job: Job[GraphConfig], first: int, stop: int) -> dict[str, pa.Array]:
    """Fetch what pages says of a range of nodes; only the parts that hold any are read."""
    with open_array(job.path("index", "node_rows.npy")) as node_rows:
        rows = np.array(node_rows[first:stop])
    if not len(rows):
        return {name: pa.array([], kind) for name, kind in _EMPTY_NODE_COLUMNS.items()}
    parts = page_parts(job)
    ends = np.cumsum([num_rows for _, num_rows in parts])
    part_of_row = np.searchsorted(ends, rows, side="right")
    rows -= np.concatenate([[0], ends])[part_of_row]
    tables, places = [], []
    for number in np.unique(part_of_row).tolist():
        here = np.flatnonzero(part_of_row == number)
        with open_part(job.path(parts[number][0])) as part:
            table = part.read(columns=["page_id", "title", "is_disambiguation"])
        tables.append(table.take(pa.array(rows[here])))
        places.append(here)
    order = np.argsort(np.concatenate(places))
    table = pa.concat_tables(tables).take(pa.array(order)).combine_chunks()
    return {
        "node_id": pa.array(np.arange(first, stop, dtype=np.int32)),
        **{name: table.column(name) for name in table.column_names},
        "part": pa.array(part_of_row.astype(np.int32)),
        "row": pa.array(rows.astype(np.int32)),
    }


_EMPTY_NODE_COLUMNS = {
    "node_id": pa.int32(),
    "page_id": pa.int64(),
    "title": pa.string(),
    "is_disambiguation": pa.bool_(),
    "part": pa.int32(),
    "row": pa.int32(),
}


def tasks_of_csr(job: Job[GraphConfig], records: Records) -> list[Task]:
    """One task: it copies, piece by piece."""
    num_edges = sum(record["counts"]["edges"] for record in records["merge"])
    num_in = sum(record["num_in"] for record in records["nodes"])
    if num_in != num_edges:
        raise GraphError(
            f"expected as many links in as out, found {num_in:,} and {num_edges:,} in {job.root}: "
            "this is a fault of the stage, please report it"
        )
    [index] = records["index"]
    args = {
        "num_ranges": len(records["nodes"]),
        "num_nodes": index["num_nodes"],
        "num_edges": num_edges,
    }
    return [Task(0, args, num_edges)]


def run_csr(job: Job[GraphConfig], task: Task) -> Record:
    """Write the five arrays of `csr`, indptr int64 [N + 1], the others int32 [E]."""
    num_ranges, num_edges = task.args["num_ranges"], task.args["num_edges"]
    length = task.args["num_nodes"] + 1
    written: dict[str, int] = {}
    for direction in ("out", "in"):
        pointers = _pointers(_column_pieces(job, "nodes", f"{direction}_degree", num_ranges))
        written |= save_chunks(job, f"csr/{direction}_indptr.npy", np.int64, length, pointers)
    for name, column in (("out_indices", "target_id"), ("out_mentions", "num_mentions")):
        pieces = _column_pieces(job, "edges", column, num_ranges)
        written |= save_chunks(job, f"csr/{name}.npy", np.int32, num_edges, pieces)
    written |= save_chunks(
        job, "csr/in_indices.npy", np.int32, num_edges, _in_neighbours(job, num_ranges)
    )
    return {"counts": {}, "files": written}


def _pointers(degree_pieces: Iterator[Int32Array]) -> Iterator[Int64Array]:
    total = 0
    yield np.zeros(1, np.int64)
    for degrees in degree_pieces:
        pointers = np.cumsum(degrees, dtype=np.int64) + total
        yield pointers
        total = int(pointers[-1]) if len(pointers) else total


def _column_pieces(
    job: Job[GraphConfig], table: str, column: str, num_parts: int
) -> Iterator[Int32Array]:
    for number in range(num_parts):
        for batch in read_batches(job.path(table, part_name(number)), [column], _ROWS_PER_GROUP):
            yield batch.column(0).to_numpy()


def _in_neighbours(job: Job[GraphConfig], num_ranges: int) -> Iterator[npt.NDArray[np.int32]]:
    for number in range(num_ranges):
        with open_array(job.path(spill_name(job, "in_neighbours", number))) as sources:
            yield sources


def _ranges(job: Job[GraphConfig], num_nodes: int) -> list[tuple[int, int]]:
    size = job.config.nodes_per_part
    # A corpus without pages still has one (empty) part of every table.
    return [(first, min(first + size, num_nodes)) for first in range(0, max(num_nodes, 1), size)]


def _slice_of(keys: Int64Array, first: int, stop: int) -> slice:
    bounds = np.searchsorted(keys, np.array([first << 32, stop << 32], np.int64))
    return slice(int(bounds[0]), int(bounds[1]))
