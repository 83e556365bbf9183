"""Real articles: links against an independent parser, and no markup left in the text."""

from __future__ import annotations

import bz2
import html
import json
import lzma
import re
from collections import Counter
from collections.abc import Iterator
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path

import pytest

from pipeline.wiki.languages import language_of
from pipeline.wiki.site_info import SiteInfo, default_site
from pipeline.wiki.titles import InvalidTitle, normalise_title
from pipeline.wikitext.extract import Extraction, extract

ENWIKI = "dumps/enwiki/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
LEFTOVERS = ("{{", "}}", "[[", "]]", "{|", "|}", "''", "<ref", "thumb|", "Category:")
LOCAL_WORDS = {
    "dumps/truncated/elwiki-20230501-truncated-100k-lines.xml.xz": ("Κατηγορία:", "Αρχείο:"),
    "dumps/truncated/mrwiki-20230501-truncated-100k-lines.xml.xz": ("वर्ग:", "चित्र:"),
    "dumps/truncated/viwiki-20230501-truncated-100k-lines.xml.xz": ("Thể loại:", "Tập tin:"),
}


@cache
def _articles(path: Path, limit: int) -> tuple[SiteInfo, dict[str, str]]:
    """Read the first articles of a dump: title and wikitext, without a parser of ours."""
    text = (bz2 if path.suffix == ".bz2" else lzma).open(path, "rt", encoding="utf-8").read()
    names = re.findall(r'<namespace key="(-?\d+)"[^>]*>([^<]*)</namespace>', text[:20_000])
    dbname = re.search(r"<dbname>([^<]*)", text[:5_000])
    language = language_of(dbname.group(1) if dbname else "")
    namespaces = {int(key): html.unescape(name) for key, name in names}
    site = SiteInfo(dbname.group(1) if dbname else "", language, namespace_names=namespaces)
    found = {}
    for page in re.findall(r"<page>(.*?)</page>", text, re.DOTALL):
        title = html.unescape(page.partition("<title>")[2].partition("</title>")[0])
        body = re.search(r"<text[^>]*>([^<]*)</text>", page)
        if body and "<ns>0</ns>" in page and "<redirect" not in page and len(found) < limit:
            found[title] = html.unescape(body.group(1))
    return site, found


@cache
def _enwiki(shared_data: Path) -> dict[str, Extraction]:
    site, articles = _articles(shared_data / ENWIKI, 1_000)
    return {title: extract(text, title, site) for title, text in articles.items()}


def _title(raw: str) -> str:
    target = normalise_title(raw, default_site())
    return raw if isinstance(target, InvalidTitle) else target.title


def _words(text: str) -> str:
    return " ".join(html.unescape(text).replace("''", "").split())


def _agreeing(reference: list[tuple[str, str]], page: Extraction) -> int:
    """Count the reference links found in order, same target, same anchor up to its trail."""
    ours = [
        (link.target_title, page.text[link.start_char : link.end_char])
        for link in page.links
        if link.start_char is not None
    ]
    matcher = SequenceMatcher(None, [t for t, _ in reference], [t for t, _ in ours], False)
    pairs = (
        (reference[block.a + index][1], ours[block.b + index][1])
        for block in matcher.get_matching_blocks()
        for index in range(block.size)
    )
    return sum(_words(anchor).startswith(_words(theirs)) for theirs, anchor in pairs)


def _references(shared_data: Path) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    path = shared_data / "reference" / "enwiki-206-links.jsonl"
    for line in path.read_text("utf-8").rstrip("\n").split("\n"):
        page = json.loads(line)
        yield page["title"], [(_title(raw), anchor) for raw, anchor in page["links"]]


def test_links_agree_with_an_independent_parser(shared_data: Path) -> None:
    found = total = 0
    for title, reference in _references(shared_data):
        found += _agreeing(reference, _enwiki(shared_data)[title])
        total += len(reference)
    assert total == 22_678
    assert found / total >= 0.999


def test_no_markup_is_left_in_real_articles(shared_data: Path) -> None:
    left = Counter[str]()
    for page in _enwiki(shared_data).values():
        left.update({mark: page.text.count(mark) for mark in LEFTOVERS if mark in page.text})
    assert not left


@pytest.mark.parametrize("dump", LOCAL_WORDS)
def test_no_word_of_the_wiki_itself_leaks_into_its_text(shared_data: Path, dump: str) -> None:
    site, articles = _articles(shared_data / dump, 60)
    for title, wikitext in articles.items():
        page = extract(wikitext, title, site)
        text = page.text
        for link in reversed(page.links):
            # An editor may write the word himself, as the text of a link to such a page.
            if link.target_namespace != 0 and link.start_char is not None:
                text = text[: link.start_char] + text[link.end_char :]
        for word in LOCAL_WORDS[dump]:
            assert word not in text, title
