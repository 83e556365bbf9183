"""edges: one row per distinct edge, sorted (LinkBERT, arXiv:2203.15827, section 4.1)."""

import pyarrow as pa

SCHEMA = pa.schema(
    [
        pa.field("source_id", pa.int32(), nullable=False),
        pa.field("target_id", pa.int32(), nullable=False),
        pa.field("num_mentions", pa.int32(), nullable=False),
    ]
)
