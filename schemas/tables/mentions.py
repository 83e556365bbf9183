"""mentions: one row per link of pages, in their order, with what became of it."""

import pyarrow as pa

RESOLVED = "resolved"
REDIRECT = "redirect"
RED = "red"
SELF = "self"
OTHER_NAMESPACE = "other_namespace"
INTERWIKI = "interwiki"
INVALID = "invalid"

FATES = (RESOLVED, REDIRECT, RED, SELF, OTHER_NAMESPACE, INTERWIKI, INVALID)

SCHEMA = pa.schema(
    [
        pa.field("source_id", pa.int32(), nullable=False),
        pa.field("link_index", pa.int32(), nullable=False),
        # Set for the fates resolved, redirect and self.
        pa.field("target_id", pa.int32()),
        pa.field("fate", pa.string(), nullable=False),
        # The first redirect page the link went through, where there was one.
        pa.field("redirect_page_id", pa.int64()),
    ]
)
