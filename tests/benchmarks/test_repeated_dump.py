"""A repeated dump holds the pages of its source, then copies under new names, and reads in full."""

import bz2
import re
from pathlib import Path

import pytest

from pipeline.engine.stage import Job
from pipeline.parse.config import ParseConfig
from pipeline.parse.stage import PARSE
from tests.benchmarks.repeated_dump import ID_STEP, write_repeated
from tests.running import run_inline

SOURCE = """<mediawiki xml:lang="en">
  <siteinfo><dbname>w</dbname></siteinfo>
  <page><title>A</title><ns>0</ns><id>1</id><revision><id>1</id><text>[[B]]</text></revision></page>
  <page><title>B</title><ns>0</ns><id>2</id><redirect title="A" /><revision><id>1</id>
    <text>#REDIRECT [[A]]</text></revision></page>
  <page><title>Talk:A</title><ns>1</ns><id>3</id><revision><id>1</id><text>t</text></revision></page>
</mediawiki>
"""


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "source.xml"
    path.write_text(SOURCE)
    return str(path)


def test_copies_have_titles_and_ids_of_their_own(source: str, tmp_path: Path) -> None:
    path = tmp_path / "big.xml.bz2"
    size = write_repeated(source, str(path), num_copies=3)
    assert (size.num_pages, size.num_articles) == (9, 3)
    xml = bz2.decompress(path.read_bytes())
    assert size.xml_bytes == len(xml)
    titles = re.findall(rb"<title>(.*?)</title>", xml)
    assert titles[:4] == [b"A", b"B", b"Talk:A", b"A (copy 1)"]
    assert len(set(titles)) == 9
    summary = run_inline(Job(PARSE, str(tmp_path / "corpus"), ParseConfig(), (str(path),)))
    assert summary["rejected"] == {}
    assert (summary["pages"], summary["redirects"]) == (3, 3)


def test_the_index_names_the_stream_of_each_page(source: str, tmp_path: Path) -> None:
    path = tmp_path / "big.xml.bz2"
    write_repeated(source, str(path), num_copies=40)
    rows = (tmp_path / "big-index.txt").read_text().splitlines()
    assert len(rows) == 120
    for row in (rows[0], rows[99], rows[100]):
        offset, page_id, title = row.split(":", 2)
        stream = bz2.BZ2Decompressor().decompress(path.read_bytes()[int(offset) :]).decode()
        assert f"<title>{title}</title>" in stream
        assert f"<id>{page_id}</id>" in stream
    assert rows[99].split(":")[0] != rows[100].split(":")[0]
    assert int(rows[3].split(":")[1]) == 1 + ID_STEP


def test_a_dump_grows_to_the_size_asked_for(source: str, tmp_path: Path) -> None:
    path = tmp_path / "big.xml.bz2"
    size = write_repeated(source, str(path), num_bytes=5_000)
    assert 5_000 <= size.xml_bytes == len(bz2.decompress(path.read_bytes())) < 5_300
    assert size.num_copies == 13
