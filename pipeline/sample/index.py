"""The first phases of `sample`: each corpus as arrays, and which documents are held out.

index   CORPUS/segments, tokens, nodes ──▶ arrays of every segment in canonical order:
first         int64 [N + 1]  a document's first segment; the last is their count S
node          int32 [S]      the document of each segment
num_tokens    int32 [S]
token_start   int64 [S]      in the corpus's flat ids, all parts one after the other
target_start  int64 [S + 1], target_ids int32 [T]   the documents it links to
in_degree     int32 [N]
split   the arrays and the graph       ──▶ split int8 [N], see `pipeline.sample.pairs.held_out`
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.engine.outputs import load_manifest, open_part, part_paths, read_batches, save_array
from pipeline.engine.stage import Record, Records, Task
from pipeline.sample.corpus import SampleJob, array_name, open_graph, open_segments, sources_of
from pipeline.sample.pairs.graph import Int64Array
from pipeline.sample.pairs.held_out import hold_out
from pipeline.storage import files

AnyArray = npt.NDArray[Any]


def tasks_of_index(job: SampleJob, records: Records) -> list[Task]:
    """Make one task per corpus."""
    return [
        Task(
            source.index,
            {"path": source.path},
            load_manifest(files.join(source.path, "segments")).rows_out,
        )
        for source in sources_of(job)
    ]


def run_index(job: SampleJob, task: Task) -> Record:
    """Write the arrays of one corpus; the first task also copies the tokenizer."""
    corpus = task.args["path"]
    num_nodes = load_manifest(files.join(corpus, "nodes")).rows_out
    arrays = read_segments(corpus, num_nodes)
    arrays["in_degree"] = _read_column(corpus, "nodes", "in_degree")
    written: dict[str, int] = {}
    for name, array in arrays.items():
        written |= save_array(job, array_name(task.index, name), array)
    if task.index == 0:
        for entry in load_manifest(files.join(corpus, "tokenizer")).files:
            name = f"tokenizer/{entry.name}"
            with files.write_whole(job.path(name)) as file:
                file.write(files.read_bytes(files.join(corpus, name)))
            written[name] = 0
    counts = {"segments": len(arrays["node"]), "documents": num_nodes}
    return {"counts": counts, "files": written}


def read_segments(corpus: str, num_nodes: int) -> dict[str, AnyArray]:
    """Return the arrays of the index except the in-degrees, in canonical order."""
    columns = ["node_id", "segment_index", "num_tokens", "target_ids"]
    found: dict[str, list[AnyArray]] = {
        name: [] for name in ("node", "segment_index", "num_tokens", "num_targets", "target_ids")
    }
    for path in part_paths(files.join(corpus, "segments")):
        for batch in read_batches(path, columns, 1 << 17):
            lists = batch.column("target_ids")
            found["node"].append(batch.column("node_id").to_numpy())
            found["segment_index"].append(batch.column("segment_index").to_numpy())
            found["num_tokens"].append(batch.column("num_tokens").to_numpy())
            found["num_targets"].append(np.diff(lists.offsets.to_numpy()))
            found["target_ids"].append(lists.flatten().to_numpy())
    arrays = {
        name: np.concatenate([np.zeros(0, np.int32), *pieces]) for name, pieces in found.items()
    }
    # Tokens lie in stored order, all parts one after the other, as their sizes say.
    arrays["token_start"] = _starts(arrays["num_tokens"])[:-1]
    arrays["target_start"] = _starts(arrays.pop("num_targets"))
    arrays = _in_canonical_order(arrays)
    arrays["first"] = np.searchsorted(arrays["node"], np.arange(num_nodes + 1)).astype(np.int64)
    del arrays["segment_index"]
    return arrays


def _starts(sizes: AnyArray) -> Int64Array:
    starts = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, dtype=np.int64, out=starts[1:])
    return starts


def _in_canonical_order(arrays: dict[str, AnyArray]) -> dict[str, AnyArray]:
    """Sort by (node, segment_index); most corpora are stored in that order already."""
    keys = (arrays["node"].astype(np.int64) << 32) | arrays["segment_index"]
    if (np.diff(keys) > 0).all():
        return arrays
    order = np.argsort(keys, kind="stable")
    start, sizes = arrays["target_start"][:-1][order], np.diff(arrays["target_start"])[order]
    ends = _starts(sizes)
    flat = np.repeat(start - ends[:-1], sizes) + np.arange(ends[-1])
    ordered = {
        name: array[order]
        for name, array in arrays.items()
        if name not in ("target_start", "target_ids")
    }
    return {**ordered, "target_start": ends, "target_ids": arrays["target_ids"][flat]}


def _read_column(corpus: str, table: str, column: str) -> AnyArray:
    found = [pa.array([], pa.int32())]
    for path in part_paths(files.join(corpus, table)):
        with open_part(path) as part:
            found += part.read(columns=[column], use_threads=False).column(column).chunks
    return np.asarray(pa.chunked_array(found).to_numpy())


def tasks_of_split(job: SampleJob, records: Records) -> list[Task]:
    """Make one task per corpus."""
    return [
        Task(source.index, {"path": source.path}, record["counts"]["documents"])
        for source, record in zip(sources_of(job), records["index"], strict=True)
    ]


def run_split(job: SampleJob, task: Task) -> Record:
    """Write which documents of one corpus are held out."""
    config = job.config
    with ExitStack() as stack:
        has_segments = np.diff(open_segments(job, task.index, stack).segments.first) > 0
        num_held_out = min(
            round(int(has_segments.sum()) * config.validation_fraction / 2),
            config.validation_documents,
        )
        graph = open_graph(task.args["path"], stack)
        split = hold_out(has_segments, graph, num_held_out, config.seed)
    sizes = np.bincount(split[has_segments], minlength=3).tolist()
    names = ("documents_train", "documents_validation", "documents_validation_closed")
    written = save_array(job, array_name(task.index, "split"), split)
    return {"counts": dict(zip(names, sizes, strict=True)), "files": written}
