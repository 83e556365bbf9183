"""pages: one row per kept page, its plain text and every link with its place in that text.

Written by `parse` and `ingest`, read by `graph`, `tokenizer`, `segment` and `show`.
Offsets count Unicode code points: `text[start_char:end_char]` is exactly the visible anchor text.
"""

import pyarrow as pa

BODY = "body"
HATNOTE = "hatnote"
CITATION = "citation"
CAPTION = "caption"
INTERWIKI = "interwiki"

LINK_KINDS = (BODY, HATNOTE, CITATION, CAPTION, INTERWIKI)
EDGE_KINDS = (BODY, HATNOTE, CITATION)
"""The kinds that make edges of the link graph; captions and interwiki links do not."""

SECTION = pa.struct(
    [
        pa.field("title", pa.string(), nullable=False),
        pa.field("level", pa.int32(), nullable=False),
        pa.field("start_char", pa.int32(), nullable=False),
    ]
)

LINK = pa.struct(
    [
        # Null offsets: the link leaves no text (citations, captions, some hatnotes).
        pa.field("start_char", pa.int32()),
        pa.field("end_char", pa.int32()),
        # Normalised, without fragment; with its namespace name where the namespace is not 0, and
        # with its interwiki prefix where the kind is interwiki. Empty: a section of the same page.
        pa.field("target_title", pa.string(), nullable=False),
        pa.field("target_fragment", pa.string()),
        pa.field("target_namespace", pa.int32(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
    ]
)

SCHEMA = pa.schema(
    [
        pa.field("page_id", pa.int64(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("is_disambiguation", pa.bool_(), nullable=False),
        pa.field(
            "sections", pa.list_(pa.field("element", SECTION, nullable=False)), nullable=False
        ),
        pa.field("links", pa.list_(pa.field("element", LINK, nullable=False)), nullable=False),
        pa.field(
            "categories", pa.list_(pa.field("element", pa.string(), nullable=False)), nullable=False
        ),
        pa.field("revision_id", pa.int64()),
        # Parquet has no seconds.
        pa.field("timestamp", pa.timestamp("ms", tz="UTC")),
        # The id an ingested document had in its source, where that was not an integer.
        pa.field("source_key", pa.string()),
    ]
)
