"""Join a plan with tokens that cannot be read at random: each part is read once, in order.

    tokens part k, plan ──spread──▶ one batch a shard: the segments of part k that the shard needs
    all batches of a shard ──gather──▶ its rows, in the order of the plan

`gather` of mapped ids needs a local disk, and a store that fits the page cache or pairs that wait
for the disk. This way needs neither: what travels are Arrow batches (place, token_ids) keyed by
shard, in spill files or through any grouping of batches by their key. Both ways write the same
bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import files
from pipeline.gather import TokenRuns, TokenStore
from pipeline.graph_arrays import open_array
from pipeline.sample_catalogue import Catalogue, token_facts, token_paths
from pipeline.sample_draws import Int64Array
from pipeline.sample_plan import plan_name
from pipeline.stage import Job, Record, Records, Task
from schemas.instances import NUM_SPECIAL_TOKENS

AnyArray = npt.NDArray[Any]

# Places are 2 * row + side, with rows counted from the first of the shard: A before B.
RUNS_SCHEMA = pa.schema([("place", pa.int64()), ("token_ids", pa.binary())])


def shard_bounds(job: Job, plan: Record) -> list[int]:
    """Return where each shard of a plan begins, and the end of the last: equal slices."""
    itemsize = np.dtype(token_facts(job)["token_dtype"]).itemsize
    num_rows = plan["counts"]["pairs"]
    num_tokens = plan["counts"]["tokens"] + NUM_SPECIAL_TOKENS * num_rows
    num_shards = max(1, round(num_tokens * itemsize / job.config.shard_bytes))
    return [num_rows * shard // num_shards for shard in range(num_shards + 1)]


def plan_spread(job: Job, records: Records) -> list[Task]:
    """One task a plan and part of tokens; none where ids are mapped instead."""
    if job.config.join != "shuffle":
        return []
    tasks: list[Task] = []
    for record in records["plan"]:
        plan = {name: record[name] for name in ("split", "epoch")}
        bounds = shard_bounds(job, record)
        for part, path in enumerate(token_paths(job)):
            args = {**plan, "bounds": bounds, "part": part}
            tasks.append(Task(len(tasks), args, max(1, files.size(path))))
    return tasks


def run_spread(job: Job, task: Task) -> Record:
    """Read one part of tokens and write its segments out by shard."""
    name = _spill_name(task.args["split"], task.args["epoch"], task.args["part"])
    num_runs = 0
    with ExitStack() as stack:
        sink = stack.enter_context(files.write_whole(job.path(name)))
        writer = stack.enter_context(pa.ipc.new_file(sink, RUNS_SCHEMA))
        for batch in spread_part(job, task):
            writer.write_batch(batch)
            num_runs += len(batch)
    return {"counts": {"runs": num_runs}, "files": {name: 0}}


def _spill_name(split: str, epoch: int, part: int) -> str:
    return f"_state/sample/spill/{split}-{epoch:03d}-{part:05d}.arrow"


def spread_part(job: Job, task: Task) -> Iterator[pa.RecordBatch]:
    """Yield one batch a shard, empty ones too, of the segments of one part of tokens."""
    path = token_paths(job)[task.args["part"]]
    dtype = np.dtype(token_facts(job)["token_dtype"])
    data = files.read_bytes(path)
    with ExitStack() as stack:
        catalogue = Catalogue.open(job, stack)
        first_token = sum(files.size(each) for each in token_paths(job)[: task.args["part"]])
        here = (first_token // dtype.itemsize, (first_token + len(data)) // dtype.itemsize)
        columns = [
            stack.enter_context(
                open_array(job.path(plan_name(task.args["split"], task.args["epoch"], name)))
            )
            for name in ("a", "b")
        ]
        for first, stop in pairwise(task.args["bounds"]):
            numbers = np.stack([column[first:stop] for column in columns], axis=1).ravel()
            starts, sizes = catalogue.runs_within(numbers, here)
            places = np.flatnonzero(sizes)
            yield _batch_of_runs(data, starts[places], sizes[places], places, dtype)


def _batch_of_runs(
    data: bytes, starts: Int64Array, sizes: Int64Array, places: Int64Array, dtype: np.dtype[Any]
) -> pa.RecordBatch:
    view = memoryview(data)
    lows, highs = starts * dtype.itemsize, (starts + sizes) * dtype.itemsize
    pieces = [view[low:high] for low, high in zip(lows.tolist(), highs.tolist(), strict=True)]
    columns = [pa.array(places), pa.array(pieces, pa.binary())]
    return pa.RecordBatch.from_arrays(columns, schema=RUNS_SCHEMA)


def receive_runs(
    job: Job, task: Task, dtype: np.dtype[Any]
) -> tuple[TokenStore, tuple[TokenRuns, TokenRuns]]:
    """Return the tokens of a shard from what `spread` wrote for it."""
    batches = []
    for part in range(len(token_paths(job))):
        name = _spill_name(task.args["split"], task.args["epoch"], part)
        with files.open_read(job.path(name)) as source, pa.ipc.open_file(source) as reader:
            batches.append(reader.get_batch(task.args["shard"]))
    return collect_runs(batches, task.args["stop"] - task.args["first"], dtype)


def collect_runs(
    batches: Iterable[pa.RecordBatch], num_pairs: int, dtype: np.dtype[Any]
) -> tuple[TokenStore, tuple[TokenRuns, TokenRuns]]:
    """Return a store of all runs sent to a shard, and where those of A and of B lie in it.

    Args:
        batches: in any order; every place of the shard occurs once.
        num_pairs: pairs of the shard.
        dtype: of the ids.
    """
    table = pa.Table.from_batches(batches, RUNS_SCHEMA)
    places = table.column("place").to_numpy()
    assert len(places) == 2 * num_pairs, (len(places), num_pairs)
    sizes = np.empty(len(places), np.int64)
    starts = np.empty(len(places), np.int64)
    stored = pc.binary_length(table.column("token_ids")).to_numpy() // dtype.itemsize
    sizes[places] = stored
    starts[places] = np.cumsum(stored) - stored
    views = [memoryview(_data_of(chunk)).cast("B") for chunk in table.column("token_ids").chunks]
    bases = np.cumsum([0, *(len(view) // dtype.itemsize for view in views)], dtype=np.int64)
    runs = tuple(TokenRuns(starts[side::2], sizes[side::2]) for side in (0, 1))
    return TokenStore(bases, views, dtype), (runs[0], runs[1])


def _data_of(chunk: pa.Array) -> pa.Buffer:
    """Return the bytes of a binary array, one value after the other."""
    offsets = np.frombuffer(chunk.buffers()[1], np.int32)[
        chunk.offset : chunk.offset + len(chunk) + 1
    ]
    if not len(chunk):
        return pa.py_buffer(b"")
    return chunk.buffers()[2].slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
