"""Real pages of several languages: no words, rows or empty brackets that their source has not."""

from __future__ import annotations

import html
import os
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path

import pytest

from pipeline.parse.header import parse_siteinfo
from pipeline.parse.page_xml import PageError, parse_page
from pipeline.parse.pieces import read_source, until_cut_off
from pipeline.parse.sources import inspect_source
from pipeline.parse.splitter import PageSplitter
from pipeline.wiki.site_info import default_site
from pipeline.wikitext.extract import extract
from pipeline.wikitext.templates.tables import shipped_tables

FOREIGN = (
    "dumps/truncated/elwiki-20230501-truncated-100k-lines.xml.xz",
    "dumps/truncated/mrwiki-20230501-truncated-100k-lines.xml.xz",
    "dumps/truncated/viwiki-20230501-truncated-100k-lines.xml.xz",
    "dumps/ltgwiki/ltgwiki-2017-pages-articles.xml.bz2",
)
ENGLISH = (
    "dumps/enwiki/enwiki-2016-even.xml.bz2",
    "dumps/whonixwiki/whonixwiki-20260618-pages-articles-wrapped.xml.bz2",
)
# "(" and ")" with nothing but a blank or a stop between, in both widths; quotes around nothing.
EMPTY = re.compile(r"\([ ,;:]*\)|（[ 、，；：]*）|「」|『』|“”|«»")
STOP_BEFORE_BRACKET = re.compile(r"[,;:] ?\)|[、，；：]）")
MARKUP = re.compile(r"<[^<>]*>|''+|\[\[(?:[^\[\]|]*\|)?|\]\]|__[A-Z]+__")
# A row of a table, not a pipe of a command: "|| true" of shells and "a | b" of grammars are prose.
ROW = re.compile(
    r"^[|!](?!\|).*(?:\|\||!!|(?:col|row)span *=|style *=|align *=)|^\|[-}+]", re.MULTILINE
)
EVERY = int(os.environ.get("LINKBERT_TEST_EVERY", "5"))
"""Of the pages of a dump one in so many is looked at; 1 for all, a minute."""


def _pages(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield title, wikitext and text of one in `EVERY` articles of a dump."""
    source = inspect_source(str(path), True)
    site = parse_siteinfo(source.head, None) or default_site()
    splitter = PageSplitter(until_cut_off(read_source(source)), iter(()), 1 << 24)
    for raw in islice(splitter.pages(), 0, None, EVERY):
        try:
            page = parse_page(raw.data)
        except PageError:
            continue
        if page.namespace == 0 and page.redirect_title is None:
            yield page.title, page.text, extract(page.text, page.title, site).text


def _labels() -> re.Pattern[str]:
    """Return the words that English rules write: names of languages, circa and the like."""
    names = {
        name
        for table in shipped_tables()
        for name in table.record.get("languages_of", {}).get("en", {}).values()
    }
    assert len(names) > 80
    # Vietnamese speaks of "tiếng Khmer" itself.
    named = rf"(?<!tiếng )(?<!Người )\b(?:{'|'.join(sorted(names))}): "
    return re.compile(rf"{named}|\bc\. \d|\blit\. '|\bAs of \d|-class ")


def _beyond_source(pattern: re.Pattern[str], plain: str, text: str) -> int:
    """Count what a text holds more often than its source."""
    more = Counter(pattern.findall(text)) - Counter(pattern.findall(plain))
    return more.total()


@cache
def _faults(path: Path) -> dict[str, Counter[str]]:
    """Return by kind how many faults the text of each page has: both tests need all pages."""
    faults = {kind: Counter[str]() for kind in ("labels", "rows", "holes")}
    labels, is_foreign = _labels(), path.as_posix().endswith(FOREIGN)
    for title, wikitext, text in _pages(path):
        plain = html.unescape(MARKUP.sub("", wikitext)).replace("\xa0", " ")
        if is_foreign:
            faults["labels"][title] = _beyond_source(labels, plain, text)
        faults["rows"][title] = len(ROW.findall(text))
        faults["holes"][title] = _beyond_source(EMPTY, plain, text)
        faults["holes"][title] += _beyond_source(STOP_BEFORE_BRACKET, plain, text)
    return faults


@pytest.mark.parametrize("dump", FOREIGN)
def test_no_english_label_stands_in_another_language(shared_data: Path, dump: str) -> None:
    assert not +_faults(shared_data / dump)["labels"]


@pytest.mark.parametrize("dump", [*FOREIGN, *ENGLISH])
def test_nothing_is_left_of_tables_and_holes(shared_data: Path, dump: str) -> None:
    faults = _faults(shared_data / dump)
    assert len(faults["rows"]) > 30
    assert not +faults["rows"]
    # The Vietnamese page on PHP has [address phpinfo(]), whose brackets MARKUP does not undo.
    assert set(+faults["holes"]) <= {"PHP"}
