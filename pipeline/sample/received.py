"""Put the rows of a shard together from batches that were spilled or sent to it.

Each run of token files gives every shard one batch or more (`pipeline.sample.spread`), which name
the place that a segment fills. A batch holds all that its rows need, so nothing else is opened.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.stage import Task
from pipeline.sample.corpus import SampleJob, SegmentFacts
from pipeline.sample.spread import BATCH_SCHEMA, spill_name
from pipeline.sample.token_store import TokenRuns, TokenStore, store_of
from pipeline.storage import files
from schemas.errors import StageError

AnyArray = npt.NDArray[Any]


def read_spilled(job: SampleJob, task: Task) -> list[pa.RecordBatch]:
    """Return what was spilled for a shard."""
    batches = []
    for run in range(task.args["num_spills"]):
        name = spill_name(task.args["split"], task.args["epoch"], run)
        with files.open_read(job.path(name)) as source, pa.ipc.open_file(source) as reader:
            batches.append(reader.get_batch(task.args["shard"]))
    return batches


def read_sent(sent: Iterable[bytes]) -> list[pa.RecordBatch]:
    """Return the batches in what was sent."""
    return [batch for data in sent for batch in pa.ipc.open_stream(data)]


@dataclass(frozen=True, slots=True)
class ReceivedRows:
    """The rows of a shard put together from batches: what is known of A and B, and relations."""

    store: TokenStore
    a: SegmentFacts
    b: SegmentFacts
    relation: AnyArray


def put_together(
    batches: Iterable[pa.RecordBatch], num_pairs: int, dtype: np.dtype[Any]
) -> ReceivedRows:
    """Return the rows of a shard.

    Args:
        batches: in any order; every place of the shard occurs once.
        num_pairs: rows of the shard.
        dtype: of the ids.
    """
    table = pa.Table.from_batches(batches, BATCH_SCHEMA)
    places = table.column("place").to_numpy()
    if len(places) != 2 * num_pairs or len(np.unique(places)) != len(places):
        raise StageError(
            f"expected each of {2 * num_pairs:,} segments of a shard once, found {len(places):,} "
            "received: the engine lost or repeated some; run the same command again"
        )
    order = np.empty(len(places), np.int64)
    order[places] = np.arange(len(places))
    sizes = pc.binary_length(table.column("token_ids")).to_numpy().astype(np.int64)
    sizes //= dtype.itemsize
    starts = np.cumsum(sizes) - sizes
    names = ("corpus", "node_id", "segment_index")
    corpus, node, index = (table.column(name).to_numpy() for name in names)

    def facts_at(side: int) -> SegmentFacts:
        at = order[side::2]
        return SegmentFacts(corpus[at], node[at], index[at], TokenRuns(starts[at], sizes[at]))

    views = [memoryview(_data_of(chunk)).cast("B") for chunk in table.column("token_ids").chunks]
    relation = table.column("relation").to_numpy()[order[::2]]
    return ReceivedRows(store_of(views, dtype), facts_at(0), facts_at(1), relation)


def _data_of(chunk: pa.Array) -> pa.Buffer:
    """Return the bytes of a binary array, one value after the other."""
    if not len(chunk):
        return pa.py_buffer(b"")
    offsets = np.frombuffer(chunk.buffers()[1], np.int32)[
        chunk.offset : chunk.offset + len(chunk) + 1
    ]
    return chunk.buffers()[2].slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
