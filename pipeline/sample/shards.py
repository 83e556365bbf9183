"""The phase `gather` of `sample`: each shard is a slice of a plan, written as instances.

plan, index, CORPUS/tokens ──▶ <split>/part-EEE-NNNNN.parquet   (epoch, shard)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.engine.outputs import open_array
from pipeline.engine.stage import Record, Records, Task
from pipeline.sample.corpus import Catalogue, SampleJob, SegmentFacts, token_facts, token_paths
from pipeline.sample.plan import plan_name
from pipeline.sample.received import put_together, read_sent, read_spilled
from pipeline.sample.spread import shard_bounds, tasks_of_spread
from pipeline.sample.token_store import TokenRuns, TokenStore, open_store
from pipeline.storage import files
from schemas.pair_frame import PairFrame
from schemas.parquet import TableWriter
from schemas.tables.segments import TOKEN_DTYPE_KEY, binary_column

# What the loader reads at once.
_ROW_GROUP_ROWS = 4096

AnyArray = npt.NDArray[Any]
Int64Array = npt.NDArray[np.int64]
Rows = tuple[SegmentFacts, SegmentFacts, AnyArray]
"""What is known of A and of B, and the relation, of some rows [P]."""


def shard_name(split: str, epoch: int, shard: int) -> str:
    """Return the path under the root of one shard.

    >>> shard_name("train", 2, 7)
    'train/part-002-00007.parquet'
    """
    return f"{split}/part-{epoch:03d}-{shard:05d}.parquet"


def tasks_of_gather(job: SampleJob, records: Records) -> list[Task]:
    """Make one task per shard."""
    tasks: list[Task] = []
    next_ids: dict[str, int] = {}
    num_spills = Counter(
        (task.args["split"], task.args["epoch"]) for task in tasks_of_spread(job, records)
    )
    for record in records["plan"]:
        split, bounds = record["split"], shard_bounds(job, record)
        first_id = next_ids.get(split, 0)
        for shard, (first, stop) in enumerate(pairwise(bounds)):
            args = {
                "split": split,
                "epoch": record["epoch"],
                "shard": shard,
                "first": first,
                "stop": stop,
                "first_id": first_id + first,
                "num_spills": num_spills[record["split"], record["epoch"]],
            }
            tasks.append(Task(len(tasks), args, max(1, stop - first)))
        next_ids[split] = first_id + bounds[-1]
    return tasks


def run_gather(job: SampleJob, task: Task) -> Record:
    """Write one shard: copy its segments from the mapped ids, or from what was spilled for it."""
    if task.args["num_spills"]:
        return _write_received(job, task, read_spilled(job, task))
    with ExitStack() as stack:
        segment_a, segment_b, relation = _open_plan(job, task, stack)
        catalogue = Catalogue.open(job, stack)
        dtype = np.dtype(token_facts(job)["token_dtype"])
        store = stack.enter_context(open_store(token_paths(job), dtype))

        def rows_at(here: slice) -> Rows:
            a, b = (catalogue.look_up(numbers[here]) for numbers in (segment_a, segment_b))
            return a, b, relation[here]

        return write_shard(job, task, gather_batches(job, task, store, rows_at))


def run_received(job: SampleJob, task: Task, sent: Iterable[bytes]) -> Record:
    """Write one shard from what was sent to it."""
    return _write_received(job, task, read_sent(sent))


def _write_received(job: SampleJob, task: Task, batches: list[pa.RecordBatch]) -> Record:
    dtype = np.dtype(token_facts(job)["token_dtype"])
    rows = put_together(batches, task.args["stop"] - task.args["first"], dtype)

    def rows_at(here: slice) -> Rows:
        return rows.a.part(here), rows.b.part(here), rows.relation[here]

    return write_shard(job, task, gather_batches(job, task, rows.store, rows_at))


def _open_plan(job: SampleJob, task: Task, stack: ExitStack) -> list[AnyArray]:
    """Return the slice of the plan that is one shard: segment_a, segment_b and relation."""
    here = slice(task.args["first"], task.args["stop"])
    split, epoch = task.args["split"], task.args["epoch"]
    paths = [job.path(plan_name(split, epoch, name)) for name in ("a", "b", "relation")]
    return [stack.enter_context(open_array(path))[here] for path in paths]


def gather_batches(
    job: SampleJob, task: Task, store: TokenStore, rows_at: Callable[[slice], Rows]
) -> Iterator[dict[str, Any]]:
    """Yield the columns of each row group of a shard.

    Args:
        job: the job.
        task: the shard.
        store: where the tokens are.
        rows_at: returns what is known of some of its rows.
    """
    frame = PairFrame.from_facts(token_facts(job))
    num_rows = task.args["stop"] - task.args["first"]
    for start in range(0, num_rows, _ROW_GROUP_ROWS):
        stop = min(start + _ROW_GROUP_ROWS, num_rows)
        a, b, relation = rows_at(slice(start, stop))
        joined, sizes = join_pairs(store, a.runs, b.runs, frame)
        first_id = task.args["first_id"]
        others = {
            "instance_id": np.arange(first_id + start, first_id + stop),
            "epoch": np.full(stop - start, task.args["epoch"], np.int32),
            "corpus": a.corpus,
            "num_tokens_a": a.runs.sizes,
            "relation": relation,
            "source_id": a.node,
            "source_segment": a.index,
            "target_id": b.node,
            "target_segment": b.index,
        }
        ids = {"token_ids": binary_column(joined, sizes), "num_tokens": sizes}
        yield {**others, **ids}


def write_shard(job: SampleJob, task: Task, batches: Iterator[dict[str, Any]]) -> Record:
    """Write one shard, one row group per batch."""
    name = shard_name(task.args["split"], task.args["epoch"], task.args["shard"])
    dtype = np.dtype(token_facts(job)["token_dtype"])
    num_tokens = 0
    with files.write_whole(job.path(name)) as file:
        writer = TableWriter(file, "instances", {TOKEN_DTYPE_KEY: dtype.str.encode()})
        for columns in batches:
            num_tokens += int(columns["num_tokens"].sum())
            writer.write(columns)
        writer.close()
    counts = {"instances": writer.num_rows, "tokens": num_tokens}
    return {"counts": counts, "files": {name: writer.num_rows}}


def join_pairs(
    store: TokenStore, runs_a: TokenRuns, runs_b: TokenRuns, frame: PairFrame
) -> tuple[AnyArray, npt.NDArray[np.int32]]:
    """Return the framed ids of each pair, one after the other, and the sizes [R].

    >>> from pipeline.sample.token_store import store_of
    >>> ids = np.array([7, 8, 9], "<u2")
    >>> store = store_of([memoryview(ids.tobytes())], ids.dtype)
    >>> a, b = TokenRuns(np.array([0]), np.array([2])), TokenRuns(np.array([2]), np.array([1]))
    >>> frame = PairFrame.of_bert({"pad": 0, "unk": 3, "cls": 1, "sep": 2, "mask": 4})
    >>> joined, sizes = join_pairs(store, a, b, frame)
    >>> joined.tolist(), sizes.tolist()
    ([1, 7, 8, 2, 9, 2], [6])
    """
    sizes = runs_a.sizes + runs_b.sizes + frame.num_special
    ends = np.cumsum(sizes)
    joined = np.empty(int(ends[-1]) if len(ends) else 0, store.dtype)
    place = ends - sizes
    for special, runs in ((frame.before, runs_a), (frame.between, runs_b)):
        place = _put(special, place, joined)
        _copy_runs(store, runs, place, joined)
        place = place + runs.sizes
    _put(frame.after, place, joined)
    return joined, sizes.astype(np.int32)


def _put(special: tuple[int, ...], places: Int64Array, into: AnyArray) -> Int64Array:
    """Put the same ids at each place; return the places after them."""
    for offset, token_id in enumerate(special):
        into[places + offset] = token_id
    return places + len(special)


def _copy_runs(store: TokenStore, runs: TokenRuns, places: Int64Array, into: AnyArray) -> None:
    target = into.data.cast("B")
    lows = places * store.dtype.itemsize
    highs = lows + runs.sizes * store.dtype.itemsize
    pieces = store.slices(runs)
    for low, high, piece in zip(lows.tolist(), highs.tolist(), pieces, strict=True):
        target[low:high] = piece
