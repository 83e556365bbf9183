import numpy as np
import pyarrow as pa
import pytest

from pipeline.sample.received import put_together
from pipeline.sample.spread import BATCH_SCHEMA
from schemas.errors import StageError
from schemas.tables.segments import binary_column


def batch(places: list[int]) -> pa.RecordBatch:
    """Return segments whose document, index and tokens are their place."""
    numbers = np.array(places, np.int64)
    columns = {
        "place": numbers,
        "corpus": numbers.astype(np.int32) % 2,
        "node_id": numbers.astype(np.int32),
        "segment_index": numbers + 100,
        "relation": (numbers >> 1).astype(np.int8),
        "token_ids": binary_column(
            np.repeat(numbers, numbers + 1).astype("<u4"), (numbers + 1).astype(np.int32)
        ),
    }
    return pa.RecordBatch.from_pydict(columns, schema=BATCH_SCHEMA)


@pytest.mark.parametrize(
    "batches", [[[0, 1, 2, 3, 4, 5]], [[4, 1], [], [0, 5], [3, 2]], [[5], [2, 3], [0, 1, 4]]]
)
def test_rows_are_those_of_the_plan_whatever_the_order_of_batches(batches: list[list[int]]) -> None:
    rows = put_together(map(batch, batches), 3, np.dtype("<u4"))
    for side, first in ((rows.a, 0), (rows.b, 1)):
        assert side.node.tolist() == [first, first + 2, first + 4]
        assert side.index.tolist() == [first + 100, first + 102, first + 104]
        tokens = [np.frombuffer(piece, "<u4").tolist() for piece in rows.store.slices(side.runs)]
        assert tokens == [[place] * (place + 1) for place in range(first, 6, 2)]
    assert rows.relation.tolist() == [0, 1, 2]


def test_a_lost_batch_is_noticed() -> None:
    with pytest.raises(StageError, match="4 segments of a shard once, found 3"):
        put_together([batch([0, 1, 2])], 2, np.dtype("<u4"))
