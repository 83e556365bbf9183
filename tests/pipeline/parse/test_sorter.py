"""Every page of a range is counted once, as what became of it."""

from contextlib import closing
from io import BytesIO

from pipeline.parse.guards import CpuLimit
from pipeline.parse.sorter import PageSorter, made_page_id
from pipeline.parse.splitter import RawPage
from pipeline.wiki.site_info import SiteInfo
from schemas.parquet import TableWriter

SITE = SiteInfo("twiki", "en", namespace_names={0: "", 14: "Category"})
PAGE = (
    "<page><title>{title}</title><ns>{ns}</ns>{id}<revision><model>{model}</model>"
    "<text>{text}</text></revision></page>"
)


def sorted_counts(*pages: dict[str, str], crashing: frozenset[int] = frozenset()) -> PageSorter:
    tables = ("pages", "redirects", "rejects")
    writers = {table: TableWriter(BytesIO(), table) for table in tables}
    with CpuLimit(10.0) as limit:
        sorter = PageSorter(SITE, (0, 14), "dump.xml", writers, limit, crashing=crashing)
        for offset, fields in enumerate(pages):
            given = {"title": "A", "ns": "0", "id": "<id>1</id>", "model": "wikitext", "text": "x"}
            sorter.add(RawPage(offset, PAGE.format(**given | fields).encode()))
        sorter.flush()
        for writer in writers.values():
            with closing(writer):
                pass
    return sorter


def test_each_page_is_counted_as_what_became_of_it() -> None:
    counts = sorted_counts(
        {"text": "An [[Apple]]."},
        {"text": "#REDIRECT [[B]]", "id": ""},
        {"ns": "10"},
        {"model": "json"},
        {"model": "\x85"},
        {"ns": "9" * 12},
        {"title": "x" * 300},
        {"title": "Category:" + "x" * 255, "ns": "14"},
    ).counts
    assert (counts.pages_read, counts.pages, counts.redirects, counts.without_id) == (8, 2, 1, 1)
    assert (dict(counts.other_namespaces), dict(counts.other_models)) == ({"10": 1}, {"json": 1})
    assert dict(counts.rejected) == {"bad_model": 1, "bad_number": 1, "title_too_long": 1}
    assert dict(counts.links) == {"body": 1}


def test_page_that_crashes_is_rejected_before_its_text_is_touched() -> None:
    counts = sorted_counts({}, {}, crashing=frozenset({1})).counts
    assert (counts.pages, dict(counts.rejected)) == (1, {"crashed": 1})


def test_made_ids_are_negative_and_follow_from_the_title_alone() -> None:
    assert made_page_id("Cat") == made_page_id("Cat") != made_page_id("Dog")
    assert -(1 << 56) - 1 <= made_page_id("Cat") < 0
