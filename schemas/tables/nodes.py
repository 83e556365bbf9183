"""nodes: one row per document of the graph, `node_id` dense from 0 in the order of `page_id`."""

import pyarrow as pa

SCHEMA = pa.schema(
    [
        pa.field("node_id", pa.int32(), nullable=False),
        pa.field("page_id", pa.int64(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        # Distinct linking and linked documents, after redirects, without self-links.
        pa.field("in_degree", pa.int32(), nullable=False),
        pa.field("out_degree", pa.int32(), nullable=False),
        pa.field("is_disambiguation", pa.bool_(), nullable=False),
        # Where the page lies: the part of the pages table and the row in it.
        pa.field("part", pa.int32(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
    ]
)
