"""The phase `gather` of `sample`: each shard is a slice of a plan, written as instances.

plan, index, CORPUS/tokens ──▶ <split>/part-EEE-NNNNN.parquet   (epoch, shard)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
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
from pipeline.sample_corpus import open_index, sources_of
from pipeline.sample_draws import Int32Array, Int64Array
from pipeline.sample_plan import plan_name
from pipeline.stage import Job, Json, Record, Records, Task, load_manifest
from schemas.instances import NUM_SPECIAL_TOKENS
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
    """One task a shard: equal slices of each plan, of about the wanted size."""
    itemsize = np.dtype(token_facts(job)["token_dtype"]).itemsize
    tasks: list[Task] = []
    next_ids: dict[str, int] = {}
    for record in records["plan"]:
        split, epoch, num_rows = record["split"], record["epoch"], record["counts"]["pairs"]
        num_tokens = record["counts"]["tokens"] + NUM_SPECIAL_TOKENS * num_rows
        num_shards = max(1, round(num_tokens * itemsize / job.config.shard_bytes))
        bounds = [num_rows * shard // num_shards for shard in range(num_shards + 1)]
        first_id = next_ids.get(split, 0)
        for shard in range(num_shards):
            args = {
                "split": split,
                "epoch": epoch,
                "shard": shard,
                "first": bounds[shard],
                "stop": bounds[shard + 1],
                "first_id": first_id + bounds[shard],
            }
            tasks.append(Task(len(tasks), args, max(1, bounds[shard + 1] - bounds[shard])))
        next_ids[split] = first_id + num_rows
    return tasks


def run_gather(job: Job, task: Task) -> Record:
    """Write one shard by copying its segments from the mapped ids of all corpora."""
    with ExitStack() as stack:
        plan = open_plan(job, task, stack)
        catalogue = Catalogue.open(job, stack)
        facts = token_facts(job)
        store = stack.enter_context(open_store(token_paths(job), np.dtype(facts["token_dtype"])))
        special = SpecialIds(facts["special_ids"]["cls"], facts["special_ids"]["sep"])
        batches = gather_batches(task, plan, catalogue, store, special)
        return write_shard(job, task, batches)


def open_plan(job: Job, task: Task, stack: ExitStack) -> Plan:
    """Return the slice of the plan that is one shard."""
    here = slice(task.args["first"], task.args["stop"])
    split, epoch = task.args["split"], task.args["epoch"]
    paths = [job.path(plan_name(split, epoch, name)) for name in ("a", "b", "relation")]
    segment_a, segment_b, relation = (stack.enter_context(open_array(path))[here] for path in paths)
    return segment_a, segment_b, relation


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """What the index knows of some segments [P]; `runs` say where their tokens lie."""

    corpus: Int32Array
    node: Int32Array
    index: Int64Array
    runs: TokenRuns


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The index of all corpora, memory-mapped.

    Attributes:
        bases: int64 [C + 1], the number of each corpus's first segment, and of all.
        token_bases: int64 [C], where each corpus begins in the store.
        arrays: the index of each corpus.
    """

    bases: Int64Array
    token_bases: Int64Array
    arrays: list[dict[str, AnyArray]]

    @staticmethod
    def open(job: Job, stack: ExitStack) -> Catalogue:
        """Open the index of every corpus until the stack closes."""
        names = ("first", "node", "num_tokens", "token_start")
        arrays = [open_index(job, source.index, names, stack) for source in sources_of(job)]
        num_segments = [int(each["first"][-1]) for each in arrays]
        num_tokens = [num_tokens_of(source.path) for source in sources_of(job)]
        return Catalogue(
            np.cumsum([0, *num_segments], dtype=np.int64),
            np.cumsum([0, *num_tokens[:-1]], dtype=np.int64),
            arrays,
        )

    def look_up(self, numbers: AnyArray) -> SegmentFacts:
        """Return what is known of segments, by their numbers over all corpora [P]."""
        numbers = numbers.astype(np.int64)
        corpus = (np.searchsorted(self.bases, numbers, side="right") - 1).astype(np.int32)
        node = np.empty(len(numbers), np.int32)
        index, starts, sizes = (np.empty(len(numbers), np.int64) for _ in range(3))
        for each, arrays in enumerate(self.arrays):
            here = np.flatnonzero(corpus == each)
            local = numbers[here] - self.bases[each]
            node[here] = arrays["node"][local]
            index[here] = local - arrays["first"][node[here]]
            starts[here] = arrays["token_start"][local] + self.token_bases[each]
            sizes[here] = arrays["num_tokens"][local]
        return SegmentFacts(corpus, node, index, TokenRuns(starts, sizes))


def gather_batches(
    task: Task, plan: Plan, catalogue: Catalogue, store: TokenStore, special: SpecialIds
) -> Iterator[dict[str, Any]]:
    """Yield the columns of each row group of a shard."""
    for start in range(0, len(plan[0]), _ROW_GROUP_ROWS):
        a, b, relation = (column[start : start + _ROW_GROUP_ROWS] for column in plan)
        facts_a, facts_b = catalogue.look_up(a), catalogue.look_up(b)
        joined, sizes = join_pairs(store, facts_a.runs, facts_b.runs, special)
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


def token_facts(job: Job) -> dict[str, Json]:
    """Return what the first corpus says of its token ids; all corpora share the tokenizer."""
    return load_manifest(files.join(sources_of(job)[0].path, "tokens")).extra


def token_paths(job: Job) -> list[str]:
    """Return the files of flat ids of all corpora, in the order the catalogue numbers tokens."""
    return [
        files.join(source.path, "tokens", entry.name)
        for source in sources_of(job)
        for entry in load_manifest(files.join(source.path, "tokens")).files
        if entry.name.endswith(".ids")
    ]


def num_tokens_of(corpus: str) -> int:
    """Return the number of tokens of a corpus."""
    return int(load_manifest(files.join(corpus, "tokens")).extra["counts"]["tokens"])
