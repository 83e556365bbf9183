"""Bring segments to shards when the store of tokens cannot be read at random.

    plan ──route──▶ which places of the plan each run of token files fills
    token files, one run at a time ──spread──▶ one batch per shard: the segments it needs
    all batches of a shard ──gather──▶ its rows, in the order of the plan

Each token file is read once, in order. Batches go through spill files where the store is local but
larger than the page cache, and through Beam where it lies on an object store (`--join shuffle`).
A batch holds all that its rows need, so a shard opens nothing else. The bytes are those of reading
at random.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.engine.outputs import open_array, save_array
from pipeline.engine.stage import Record, Records, Task
from pipeline.sample.config import AUTO_JOIN, SHUFFLE
from pipeline.sample.corpus import (
    Catalogue,
    SampleJob,
    sources_of,
    token_facts,
    token_paths,
)
from pipeline.sample.pairs.graph import Int64Array
from pipeline.sample.plan import plan_name
from pipeline.sample.token_store import TokenRuns, open_store
from pipeline.storage import files
from schemas.errors import StageError
from schemas.pair_frame import PairFrame
from schemas.tables.segments import binary_column

AnyArray = npt.NDArray[Any]

# Places are 2 * row + side, with rows counted from the first of the shard: A before B.
BATCH_SCHEMA = pa.schema(
    [
        ("place", pa.int64()),
        ("corpus", pa.int32()),
        ("node_id", pa.int32()),
        ("segment_index", pa.int64()),
        ("relation", pa.int8()),
        ("token_ids", pa.binary()),
    ]
)
# A sender reads so many bytes that each shard gets about this much of them; a batch is cut there.
_BATCH_BYTES = 2 << 20
_MAX_BATCH_BYTES = 8 << 20
_CHUNK_PLACES = 1 << 20


def is_shuffled(job: SampleJob) -> bool:
    """Tell whether Beam carries the tokens: when asked to, else when a corpus is not local."""
    if job.config.join == AUTO_JOIN:
        return any(files.is_remote(source.path) for source in sources_of(job))
    return bool(job.config.join == SHUFFLE)


def is_spread(job: SampleJob) -> bool:
    """Tell whether tokens are read in order: through Beam, or because memory cannot hold them."""
    return is_shuffled(job) or not _fits_page_cache(job)


def may_route(job: SampleJob) -> bool:
    """Tell whether tokens may be read in order, as far as the options say."""
    return is_shuffled(job) or may_spill(job)


def may_spill(job: SampleJob) -> bool:
    """Tell whether tokens may go to spill files, as far as the options say."""
    is_remote = any(files.is_remote(source.path) for source in sources_of(job))
    return not is_shuffled(job) and not is_remote


def _fits_page_cache(job: SampleJob) -> bool:
    """Tell whether the store takes at most half of the memory; a remote one becomes a copy."""
    if any(files.is_remote(source.path) for source in sources_of(job)):
        return True
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return sum(map(files.size, token_paths(job))) <= memory // 2


def shard_bounds(job: SampleJob, plan: Record) -> list[int]:
    """Return where each shard of a plan begins, and the end of the last: equal slices."""
    itemsize = np.dtype(token_facts(job)["token_dtype"]).itemsize
    num_rows = plan["counts"]["pairs"]
    frame = PairFrame.from_facts(token_facts(job))
    num_tokens = plan["counts"]["tokens"] + frame.num_special * num_rows
    num_shards = max(1, round(num_tokens * itemsize / job.config.shard_bytes))
    return [num_rows * shard // num_shards for shard in range(num_shards + 1)]


def tasks_of_route(job: SampleJob, records: Records) -> list[Task]:
    """Make one task per plan of pairs; none where ids are mapped instead."""
    if not is_spread(job):
        return []
    sizes = [files.size(path) for path in token_paths(job)]
    tasks: list[Task] = []
    for record in records["plan"]:
        plan = {name: record[name] for name in ("split", "epoch")}
        bounds = shard_bounds(job, record)
        args = {**plan, "bounds": bounds, "runs": file_runs(sizes, len(bounds) * _BATCH_BYTES)}
        tasks.append(Task(len(tasks), args, max(1, bounds[-1])))
    return tasks


def file_runs(sizes: list[int], wanted: int) -> list[int]:
    """Cut files into runs of about `wanted` bytes or more: where each begins, and the end.

    >>> file_runs([3, 3, 3, 9, 1], 6)
    [0, 2, 4, 5]
    """
    bounds, held = [0], 0
    for index, size in enumerate(sizes):
        held += size
        if held >= wanted:
            bounds.append(index + 1)
            held = 0
    return bounds if held == 0 and len(bounds) > 1 else [*bounds, len(sizes)]


def run_route(job: SampleJob, task: Task) -> Record:
    """Sort the places of a plan by the run of files that their segments lie in."""
    sizes = [files.size(path) for path in token_paths(job)]
    itemsize = np.dtype(token_facts(job)["token_dtype"]).itemsize
    first_tokens = np.cumsum([0, *sizes], dtype=np.int64)[task.args["runs"]] // itemsize
    if len(first_tokens) >= 1 << 16:
        raise StageError(
            f"expected fewer than {1 << 16:,} runs of token files, found {len(first_tokens):,} in "
            f"{job.root}: use --join shuffle"
        )
    with ExitStack() as stack:
        catalogue = Catalogue.open(job, stack)
        plan = _open_plan(job, task, stack)
        # Two bytes per key: sorting them is linear.
        runs = np.empty(2 * len(plan[0]), np.uint16)
        for start in range(0, len(runs), _CHUNK_PLACES):
            places = np.arange(start, min(start + _CHUNK_PLACES, len(runs)))
            starts = catalogue.look_up(_numbers_at(plan, places)).runs.starts
            runs[places] = np.searchsorted(first_tokens, starts, side="right") - 1
    order = np.argsort(runs, kind="stable").astype(np.uint32)
    ends = np.cumsum(np.bincount(runs, minlength=len(first_tokens) - 1))
    written = save_array(job, _route_name(task, "places"), order)
    written |= save_array(job, _route_name(task, "starts"), np.concatenate([[0], ends]))
    return {"counts": {"places": len(order)}, "files": written}


def _route_name(task: Task, name: str) -> str:
    return plan_name(task.args["split"], task.args["epoch"], f"route-{name}")


def _open_plan(job: SampleJob, task: Task, stack: ExitStack) -> list[AnyArray]:
    """Return segment_a, segment_b and relation of all pairs of a plan, memory-mapped."""
    split, epoch = task.args["split"], task.args["epoch"]
    return [
        stack.enter_context(open_array(job.path(plan_name(split, epoch, name))))
        for name in ("a", "b", "relation")
    ]


def _numbers_at(plan: list[AnyArray], places: Int64Array) -> AnyArray:
    """Return the numbers of the segments at some places of a plan."""
    rows = places >> 1
    return np.asarray(np.where(places & 1, plan[1][rows], plan[0][rows]))


def tasks_of_spread(job: SampleJob, records: Records) -> list[Task]:
    """Make one task per epoch and run of files; none where ids are mapped or Beam carries them."""
    return [] if is_shuffled(job) else tasks_of_senders(job, records)


def tasks_of_senders(job: SampleJob, records: Records) -> list[Task]:
    """Make one task per epoch and run of files, by the bytes it sends."""
    tasks: list[Task] = []
    routes = tasks_of_route(job, records)
    sizes = [files.size(path) for path in token_paths(job)] if routes else []
    first_task = 0
    for route in routes:
        plan = {name: route.args[name] for name in ("split", "epoch", "bounds")}
        for run, (first, stop) in enumerate(pairwise(route.args["runs"])):
            args = {**plan, "run": run, "files": [first, stop], "first_task": first_task}
            # Each segment is A once and B about once, and its row names it: twice its size.
            tasks.append(Task(len(tasks), args, max(1, 2 * sum(sizes[first:stop]))))
        first_task += len(plan["bounds"]) - 1
    return tasks


def spread(job: SampleJob, task: Task) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield, shard by shard, the segments of one run of token files, in the order of places."""
    first_file, stop_file = task.args["files"]
    dtype = np.dtype(token_facts(job)["token_dtype"])
    before = sum(files.size(path) for path in token_paths(job)[:first_file])
    first_token = before // dtype.itemsize
    with ExitStack() as stack:
        catalogue = Catalogue.open(job, stack)
        plan = _open_plan(job, task, stack)
        store = stack.enter_context(open_store(token_paths(job)[first_file:stop_file], dtype))
        starts = stack.enter_context(open_array(job.path(_route_name(task, "starts"))))
        places = stack.enter_context(open_array(job.path(_route_name(task, "places"))))
        here = places[starts[task.args["run"]] : starts[task.args["run"] + 1]].astype(np.int64)
        bounds = 2 * np.array(task.args["bounds"], np.int64)
        for shard, (low, high) in enumerate(pairwise(np.searchsorted(here, bounds).tolist())):
            facts = catalogue.look_up(_numbers_at(plan, here[low:high]))
            runs = TokenRuns(facts.runs.starts - first_token, facts.runs.sizes)
            flat = np.frombuffer(b"".join(store.slices(runs)), dtype)
            columns = {
                "place": here[low:high] - bounds[shard],
                "corpus": facts.corpus,
                "node_id": facts.node,
                "segment_index": facts.index,
                "relation": plan[2][here[low:high] >> 1],
                "token_ids": binary_column(flat, facts.runs.sizes.astype(np.int32)),
            }
            yield shard, pa.RecordBatch.from_pydict(columns, schema=BATCH_SCHEMA)


def run_spill(job: SampleJob, task: Task) -> Record:
    """Write the batches of one run of files, one per shard, to a spill file."""
    name = spill_name(task.args["split"], task.args["epoch"], task.args["run"])
    num_segments = 0
    with ExitStack() as stack:
        sink = stack.enter_context(files.write_whole(job.path(name)))
        writer = stack.enter_context(pa.ipc.new_file(sink, BATCH_SCHEMA))
        for _, batch in spread(job, task):
            writer.write_batch(batch)
            num_segments += len(batch)
    return {"counts": {"spilled": num_segments}, "files": {name: 0}}


def spill_name(split: str, epoch: int, run: int) -> str:
    """Return the path under the root of what one run of files gives to all shards of a plan."""
    return f"_state/sample/spill/{split}-{epoch:03d}-{run:05d}.arrow"


def send(job: SampleJob, task: Task) -> Iterator[tuple[int, bytes]]:
    """Yield what one run of files gives to each shard, as Arrow streams of about 8 MB at most."""
    for shard, batch in spread(job, task):
        num_pieces = -(-batch.nbytes // _MAX_BATCH_BYTES)
        size = -(-len(batch) // num_pieces) if len(batch) else 1
        for start in range(0, len(batch), size):
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, BATCH_SCHEMA) as writer:
                writer.write_batch(batch.slice(start, size))
            yield task.args["first_task"] + shard, sink.getvalue().to_pybytes()
