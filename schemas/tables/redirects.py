"""redirects: one row per redirect page, from `parse` or `ingest`, followed by `graph`."""

import pyarrow as pa

SCHEMA = pa.schema(
    [
        pa.field("page_id", pa.int64(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        # Normalised as in pages.links; empty where the redirect names no valid title.
        pa.field("target_title", pa.string(), nullable=False),
        pa.field("target_fragment", pa.string()),
        pa.field("target_namespace", pa.int32(), nullable=False),
        pa.field("is_interwiki", pa.bool_(), nullable=False),
    ]
)
