"""The phase `gather` of `sample`: each shard is a slice of a plan, written as instances.

plan, index, CORPUS/tokens ──▶ <split>/part-EEE-NNNNN.parquet   (epoch, shard)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import files
from pipeline.gather import (
    SpecialIds,
    TokenRuns,
    TokenStore,
    instance_columns,
    join_pairs,
    open_store,
)
from pipeline.graph_arrays import open_array
from pipeline.sample_catalogue import Catalogue, token_facts, token_paths
from pipeline.sample_plan import plan_name
from pipeline.sample_shuffle import receive_runs, shard_bounds
from pipeline.stage import Job, Record, Records, Task
from schemas.parquet import TableWriter
from schemas.segments import TOKEN_DTYPE_KEY

# What the loader reads at once.
_ROW_GROUP_ROWS = 4096

AnyArray = npt.NDArray[Any]
Plan = tuple[AnyArray, AnyArray, AnyArray]
"""segment_a, segment_b and relation of some pairs [P]."""


def shard_name(split: str, epoch: int, shard: int) -> str:
    """Return the path under the root of one shard.

    >>> shard_name("train", 2, 7)
    'train/part-002-00007.parquet'
    """
    return f"{split}/part-{epoch:03d}-{shard:05d}.parquet"


def plan_shards(job: Job, records: Records) -> list[Task]:
    """One task a shard."""
    tasks: list[Task] = []
    next_ids: dict[str, int] = {}
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
            }
            tasks.append(Task(len(tasks), args, max(1, stop - first)))
        next_ids[split] = first_id + bounds[-1]
    return tasks


def run_gather(job: Job, task: Task) -> Record:
    """Write one shard: copy its segments from the mapped ids, or from what `spread` sent to it."""
    with ExitStack() as stack:
        plan = open_plan(job, task, stack)
        catalogue = Catalogue.open(job, stack)
        dtype = np.dtype(token_facts(job)["token_dtype"])
        if job.config.join == "shuffle":
            store, runs = receive_runs(job, task, dtype)
        else:
            store, runs = stack.enter_context(open_store(token_paths(job), dtype)), None
        return write_shard(job, task, gather_batches(job, task, plan, catalogue, store, runs))


def open_plan(job: Job, task: Task, stack: ExitStack) -> Plan:
    """Return the slice of the plan that is one shard."""
    here = slice(task.args["first"], task.args["stop"])
    split, epoch = task.args["split"], task.args["epoch"]
    paths = [job.path(plan_name(split, epoch, name)) for name in ("a", "b", "relation")]
    segment_a, segment_b, relation = (stack.enter_context(open_array(path))[here] for path in paths)
    return segment_a, segment_b, relation


def gather_batches(
    job: Job,
    task: Task,
    plan: Plan,
    catalogue: Catalogue,
    store: TokenStore,
    runs: tuple[TokenRuns, TokenRuns] | None,
) -> Iterator[dict[str, Any]]:
    """Yield the columns of each row group of a shard.

    Args:
        job: the job.
        task: the shard.
        plan: its pairs.
        catalogue: what is known of every segment.
        store: where the tokens are.
        runs: where in the store those of A and of B lie, pair by pair; None: as the catalogue says.
    """
    ids = token_facts(job)["special_ids"]
    special = SpecialIds(ids["cls"], ids["sep"])
    for start in range(0, len(plan[0]), _ROW_GROUP_ROWS):
        here = slice(start, start + _ROW_GROUP_ROWS)
        a, b, relation = (column[here] for column in plan)
        facts_a, facts_b = catalogue.look_up(a), catalogue.look_up(b)
        if runs is None:
            runs_a, runs_b = facts_a.runs, facts_b.runs
        else:
            runs_a, runs_b = (TokenRuns(each.starts[here], each.sizes[here]) for each in runs)
        joined, sizes = join_pairs(store, runs_a, runs_b, special)
        first_id = task.args["first_id"] + start
        others = {
            "instance_id": np.arange(first_id, first_id + len(a)),
            "epoch": np.full(len(a), task.args["epoch"], np.int32),
            "corpus": facts_a.corpus,
            "num_tokens_a": facts_a.runs.sizes,
            "relation": relation,
            "source_id": facts_a.node,
            "source_segment": facts_a.index,
            "target_id": facts_b.node,
            "target_segment": facts_b.index,
        }
        yield instance_columns(joined, sizes, others)


def write_shard(job: Job, task: Task, batches: Iterator[dict[str, Any]]) -> Record:
    """Write one shard, a batch a row group."""
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
