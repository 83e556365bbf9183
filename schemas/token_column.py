"""Token ids as a binary column: Parquet has no 16-bit type, and its list columns read slowly."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def binary_column(flat: npt.NDArray[Any], sizes: npt.NDArray[np.int32]) -> pa.Array:
    r"""Return consecutive runs of ids as a binary column.

    >>> binary_column(np.array([1, 2, 3], "<u2"), np.array([2, 1], np.int32)).to_pylist()
    [b'\x01\x00\x02\x00', b'\x03\x00']
    """
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, dtype=np.int64, out=offsets[1:])
    offsets *= flat.dtype.itemsize
    assert offsets[-1] < 1 << 31, "a batch of rows is far below 2 GiB"
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(flat)]
    return pa.Array.from_buffers(pa.binary(), len(sizes), buffers)
