"""segments: contiguous tokens of one document (LinkBERT, arXiv:2203.15827, section 4.2).

`token_ids` holds little-endian ids, uint16 or uint32 as the schema metadata key `token_dtype` says;
no special tokens. `target_ids` are the distinct documents, ascending, that links whose anchor
starts in this segment (and the document's citations) resolve to; never the document itself.
"""

import pyarrow as pa

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
