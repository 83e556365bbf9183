"""segments: contiguous tokens of one document (LinkBERT, arXiv:2203.15827, section 4.2).

`token_ids` holds little-endian ids, uint16 or uint32 as the schema metadata key `token_dtype` says;
no special tokens. `target_ids` are the distinct documents, ascending, that links whose anchor
starts in this segment (and the document's citations) resolve to; never the document itself.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.errors import SchemaError

TOKEN_DTYPE_KEY = b"token_dtype"

SCHEMA = pa.schema(
    [
        pa.field("node_id", pa.int32(), nullable=False),
        pa.field("segment_index", pa.int32(), nullable=False),
        pa.field("start_char", pa.int32(), nullable=False),
        pa.field("end_char", pa.int32(), nullable=False),
        pa.field("num_tokens", pa.int32(), nullable=False),
        pa.field("token_ids", pa.binary(), nullable=False),
        pa.field(
            "target_ids", pa.list_(pa.field("element", pa.int32(), nullable=False)), nullable=False
        ),
    ]
)


def token_dtype(vocab_size: int) -> str:
    """Return the numpy name of the narrowest id type: parquet has no 16-bit integers, bytes do.

    >>> token_dtype(30_522), token_dtype(119_547)
    ('<u2', '<u4')
    """
    return "<u2" if vocab_size <= 1 << 16 else "<u4"


def binary_column(flat: npt.NDArray[Any], sizes: npt.NDArray[np.int32]) -> pa.Array:
    r"""Return consecutive runs of ids as `token_ids`, a binary column: list columns read slowly.

    >>> binary_column(np.array([1, 2, 3], "<u2"), np.array([2, 1], np.int32)).to_pylist()
    [b'\x01\x00\x02\x00', b'\x03\x00']
    """
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, dtype=np.int64, out=offsets[1:])
    offsets *= flat.dtype.itemsize
    if offsets[-1] >= 1 << 31:
        raise SchemaError(f"expected rows of less than 2 GiB in all, found {offsets[-1]:,} bytes")
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(flat)]
    return pa.Array.from_buffers(pa.binary(), len(sizes), buffers)
