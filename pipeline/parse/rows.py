"""Gather extracted pages and write them as row groups of the pages table.

Nested columns are built flat, with offsets: six times faster than from lists of dicts.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import pyarrow as pa

from pipeline.parse.page_xml import Page
from pipeline.wikitext.extract import Extraction
from schemas.parquet import TableWriter
from schemas.tables import pages

ROW_GROUP_ROWS = 2048
ROW_GROUP_CHARS = 1 << 23
"""A row group ends when it reaches either limit, so that it depends only on the pages."""

_SECTIONS_TYPE = pages.SCHEMA.field("sections").type
_LINKS_TYPE = pages.SCHEMA.field("links").type
_TIMESTAMP_TYPE = pages.SCHEMA.field("timestamp").type
_CATEGORIES_TYPE = pages.SCHEMA.field("categories").type


class PageRows:
    """Rows of the pages table on their way into a part.

    Args:
        writer: the part.
    """

    def __init__(self, writer: TableWriter) -> None:
        self._writer = writer
        self._clear()

    def _clear(self) -> None:
        self._num_chars = 0
        self._plain: dict[str, list[Any]] = {
            name: []
            for name in (
                *("page_id", "title", "text", "is_disambiguation"),
                *("revision_id", "timestamp", "source_key"),
            )
        }
        self._sections = _Nested(_SECTIONS_TYPE)
        self._links = _Nested(_LINKS_TYPE)
        self._categories: list[list[str]] = []

    def add(self, page_id: int, title: str, page: Page, extraction: Extraction) -> None:
        """Add one page."""
        text = extraction.text
        plain = self._plain
        plain["page_id"].append(page_id)
        plain["title"].append(title)
        plain["text"].append(text)
        plain["is_disambiguation"].append(extraction.is_disambiguation)
        plain["revision_id"].append(page.revision_id)
        plain["timestamp"].append(parse_timestamp(page.timestamp))
        plain["source_key"].append(None)
        self._sections.add(extraction.sections)
        self._links.add(extraction.links)
        self._categories.append(extraction.categories)
        self._num_chars += len(text)
        if len(plain["page_id"]) >= ROW_GROUP_ROWS or self._num_chars >= ROW_GROUP_CHARS:
            self.flush()

    def flush(self) -> None:
        """Write what is gathered as one row group."""
        seconds = pa.array(self._plain["timestamp"], pa.timestamp("s", tz="UTC"))
        self._writer.write(
            {
                **self._plain,
                "timestamp": seconds.cast(_TIMESTAMP_TYPE),
                "sections": self._sections.array(),
                "links": self._links.array(),
                "categories": pa.array(self._categories, _CATEGORIES_TYPE),
            }
        )
        self._clear()


class _Nested:
    """A column of lists of structs, given as tuples in the order of the struct's fields.

    A Link is such a tuple for the column of links.
    """

    def __init__(self, list_type: pa.ListType) -> None:
        self._type = list_type
        self._offsets = [0]
        self._items: list[tuple[Any, ...]] = []

    def add(self, items: Iterable[tuple[Any, ...]]) -> None:
        self._items.extend(items)
        self._offsets.append(len(self._items))

    def array(self) -> pa.ListArray:
        struct = self._type.value_type
        fields = list(struct)
        # A third of the time of zip(*items), which makes an argument of each item.
        arrays = [
            pa.array(list(map(itemgetter(index), self._items)), field.type)
            for index, field in enumerate(fields)
        ]
        values = pa.StructArray.from_arrays(arrays, fields=fields)
        offsets = pa.array(self._offsets, pa.int32())
        return pa.ListArray.from_arrays(offsets, values, type=self._type)


def parse_timestamp(written: str) -> int | None:
    """Return an export's timestamp as seconds since 1970, None if it is not valid.

    >>> parse_timestamp("2017-09-01T12:00:00Z"), parse_timestamp("")
    (1504267200, None)
    """
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp())
