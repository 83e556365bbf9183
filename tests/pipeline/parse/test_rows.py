"""Rows of pages keep their nested columns, and a row group ends with the page that fills it."""

import io
from contextlib import closing
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from pipeline.parse import rows
from pipeline.parse.page_xml import Page
from pipeline.parse.rows import PageRows, parse_timestamp
from pipeline.wiki.site_info import default_site
from pipeline.wikitext.extract import extract
from schemas.parquet import TableWriter


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("2017-09-01T12:00:00Z", 1504267200),
        ("2017-09-01T14:00:00+02:00", 1504267200),
        ("2017-09-01", 1504224000),
        ("", None),
        ("9" * 5000, None),
        ("2017-13-01T00:00:00Z", None),
    ],
)
def test_timestamp_is_seconds_or_none(written: str, seconds: int | None) -> None:
    assert parse_timestamp(written) == seconds


def test_pages_come_back_in_row_groups_of_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "ROW_GROUP_CHARS", 20)
    file = io.BytesIO()
    texts = ["A [[pear]] and an [[apple]].", "", "Short.", "A [[quince]] that is long enough."]
    with closing(TableWriter(file, "pages")) as writer:
        gathered = PageRows(writer)
        for number, text in enumerate(texts):
            page = Page(number, f"P{number}", 0, None, 1, 9, "2017-09-01T00:00:00Z", "", text)
            gathered.add(number, page.title, page, extract(text, page.title, default_site()))
        gathered.flush()
    table = pq.read_table(io.BytesIO(file.getvalue()))
    found = [[link["target_title"] for link in row["links"]] for row in table.to_pylist()]
    assert found == [["Pear", "Apple"], [], [], ["Quince"]]
    assert table.column("timestamp").to_pylist() == [datetime(2017, 9, 1, tzinfo=UTC)] * 4
    metadata = pq.read_metadata(io.BytesIO(file.getvalue()))
    assert [metadata.row_group(group).num_rows for group in range(2)] == [1, 3]
