"""The places of links in pages of every real dump: each cuts the anchor out of the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from pipeline.parse.header import parse_siteinfo
from pipeline.parse.page_xml import PageError, parse_page
from pipeline.parse.pieces import read_source
from pipeline.parse.sources import inspect_source
from pipeline.parse.splitter import PageSplitter
from pipeline.wiki.site_info import default_site
from pipeline.wikitext import extract as wikitext
from pipeline.wikitext import marks
from pipeline.wikitext.layout import Layout, lay_out

DUMPS = (
    *("aawiki/*.bz2", "enwiki/*bz2", "ltgwiki/*.bz2", "odd/**/*.xml", "odd/**/*.xz"),
    *("shintowiki/*multistream.xml.bz2", "truncated/*.xz", "whonixwiki/*.bz2"),
)
PAGES_PER_DUMP = 60
ANCHOR = re.compile(f"{marks.ANCHOR_OPEN}([^{marks.ANCHOR_OPEN}]*){marks.ANCHOR_CLOSE}")


def _pages(path: Path) -> Iterator[tuple[str, str, wikitext.SiteInfo]]:
    """Yield title and wikitext of pages near the beginning of a dump, every second one."""
    source = inspect_source(str(path), True)
    site = parse_siteinfo(source.head, None) or default_site()
    splitter = PageSplitter(read_source(source), iter(()), 1 << 26)
    for raw in islice(splitter.pages(), 0, 2 * PAGES_PER_DUMP, 2):
        try:
            page = parse_page(raw.data)
        except PageError:
            continue
        yield page.title, page.text, site


@pytest.mark.parametrize("pattern", DUMPS)
def test_each_place_cuts_out_the_anchor(
    shared_data: Path, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked: list[str] = []

    def noted(text: str) -> Layout:
        marked.append(text)
        return lay_out(text)

    monkeypatch.setattr(wikitext, "lay_out", noted)
    num_links = 0
    for path in sorted((shared_data / "dumps").glob(pattern)):
        for title, text, site in _pages(path):
            page = wikitext.extract(text, title, site)
            seen = [
                page.text[link.start_char : link.end_char]
                for link in page.links
                if link.start_char is not None
            ]
            anchors = [marks.restore(anchor) for anchor in ANCHOR.findall(marked[-1])]
            assert [_words(anchor) for anchor in seen] == [_words(anchor) for anchor in anchors]
            assert all(anchor == anchor.strip(" ") != "" for anchor in seen), title
            num_links += len(seen)
    assert num_links > 30, pattern


def _words(text: str) -> str:
    """Leave of a text its letters: layout folds blanks and mends what holes leave of brackets."""
    text = text.replace(marks.FORMULA, "[formula]").replace(marks.BAR, "|")
    return re.sub(rf"[\s(),;:]|{marks.BARRIER}", "", text)
