"""Token ids travel as binary runs, of the narrowest type that holds the vocabulary."""

import numpy as np
import pytest

from schemas.errors import SchemaError
from schemas.tables.segments import binary_column, token_dtype


@pytest.mark.parametrize(("vocab_size", "dtype"), [(1 << 16, "<u2"), ((1 << 16) + 1, "<u4")])
def test_ids_take_four_bytes_only_where_two_do_not_hold_them(vocab_size: int, dtype: str) -> None:
    assert token_dtype(vocab_size) == dtype
    assert np.dtype(dtype).type(vocab_size - 1) == vocab_size - 1


def test_runs_come_back_as_they_went_in_and_an_empty_one_is_a_row() -> None:
    ids = np.array([1, 70_000, 3], "<u4")
    rows = binary_column(ids, np.array([2, 0, 1], np.int32)).to_pylist()
    assert [np.frombuffer(row, "<u4").tolist() for row in rows] == [[1, 70_000], [], [3]]


def test_rows_that_offsets_of_32_bits_cannot_reach_are_refused() -> None:
    sizes = np.array([1 << 29], np.int32)
    with pytest.raises(SchemaError, match="less than 2 GiB in all, found 2,147,483,648"):
        binary_column(np.zeros(1, "<u4"), sizes)
