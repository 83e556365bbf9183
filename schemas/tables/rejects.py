"""rejects: one row per page or record that could not be kept, with its reason and its place."""

import pyarrow as pa

SCHEMA = pa.schema(
    [
        pa.field("source_path", pa.string(), nullable=False),
        # Bytes into the uncompressed task's range (see the task's record), null where unknown.
        pa.field("offset", pa.int64()),
        pa.field("page_id", pa.int64()),
        pa.field("title", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)
