"""Damaged, cut-off and foreign dumps: what is whole is kept, the rest is named or counted."""

import bz2
import gzip
import json
import lzma
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.run import run_job
from pipeline.engine.stage import Job
from pipeline.parse.config import ParseConfig
from pipeline.parse.stage import PARSE
from schemas.errors import DumpError
from schemas.manifest import MANIFEST_NAME
from tests.pipeline.parse.test_stage import parse_dump, rows


def test_dump_cut_inside_a_page_is_refused_or_keeps_the_rest(
    tmp_path: Path, mini_dump: Path
) -> None:
    xml = mini_dump.read_bytes()
    cut = tmp_path / "cut.xml"
    cut.write_bytes(xml[: xml.index(b"It is a [[pome]]")])
    with pytest.raises(DumpError, match=r"cut\.xml cut off at byte .* --allow-truncated"):
        parse_dump(tmp_path / "out", cut)
    summary = parse_dump(tmp_path / "out2", cut, allow_truncated=True)
    assert (summary["pages"], summary["rejected"]) == (1, {"truncated": 1})
    (reject,) = rows(tmp_path / "out2", "rejects")
    assert (reject["page_id"], reject["title"]) == (2, "Pear")


@pytest.mark.parametrize("packing", [bz2.compress, gzip.compress, lzma.compress])
def test_cut_off_compressed_file_is_an_error_unless_allowed(
    tmp_path: Path, mini_dump: Path, packing: Any
) -> None:
    xml = mini_dump.read_bytes() * 40
    cut = tmp_path / "cut"
    packed = packing(xml, 1) if packing is bz2.compress else packing(xml)
    cut.write_bytes(packed[: len(packed) * 3 // 4])
    with pytest.raises(DumpError, match="--allow-truncated"):
        parse_dump(tmp_path / "out", cut)
    summary = parse_dump(tmp_path / "out2", cut, allow_truncated=True)
    assert 0 < summary["pages_read"] < 18 * 40


def test_damaged_block_is_an_error_that_names_the_file(tmp_path: Path, mini_dump: Path) -> None:
    packed = bytearray(bz2.compress(mini_dump.read_bytes() * 60, 1))
    packed[len(packed) // 2] ^= 0xFF
    path = tmp_path / "damaged.xml.bz2"
    path.write_bytes(packed)
    with pytest.raises(DumpError, match=r"damaged.xml.bz2: .* damaged block at byte [\d,]+"):
        parse_dump(tmp_path / "out", path)


def test_content_between_pages_is_rejected_not_lost(tmp_path: Path, mini_dump: Path) -> None:
    xml = mini_dump.read_bytes()
    broken = tmp_path / "broken.xml"
    broken.write_bytes(xml.replace(b"<page>\n    <title>Pear<", b"<pge>\n    <title>Pear<"))
    summary = parse_dump(tmp_path / "out", broken)
    assert summary["rejected"]["stray_content"] == 1
    assert any("Pear" in row["detail"] for row in rows(tmp_path / "out", "rejects"))


def test_unclosed_page_does_not_take_the_next_one_with_it(tmp_path: Path, mini_dump: Path) -> None:
    xml = mini_dump.read_bytes()
    broken = tmp_path / "broken.xml"
    broken.write_bytes(xml.replace(b"</page>", b"", 1))
    summary = parse_dump(tmp_path / "out", broken)
    assert summary["rejected"]["unclosed"] == 1
    assert summary["pages"] == 6


def test_entity_bomb_is_not_expanded(tmp_path: Path, mini_dump: Path) -> None:
    doctype = b'<!DOCTYPE m [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
    bomb = tmp_path / "bomb.xml"
    bomb.write_bytes(doctype + mini_dump.read_bytes().replace(b"is not an", b"&b; <!-- -->"))
    summary = parse_dump(tmp_path / "out", bomb)
    assert summary["rejected"]["malformed_xml"] == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "a web page"),
        (b"CREATE TABLE page (page_id int);", "an SQL dump"),
        (b"600:1:Apple\n600:2:Pear\n", "the index of a multistream dump"),
        (b'{"title": "Apple"}', "JSON"),
        (b"PK\x03\x04", "a zip file"),
        (bytes(range(128, 256)), "binary data"),
        (b"\n \n", "nothing but white space"),
        pytest.param(
            gzip.compress(gzip.compress(b"hello")), "a file compressed twice", id="gz in gz"
        ),
        (b"Dear reader", "text beginning 'Dear reader'"),
        (b"<?xml version='1.0'?><rss></rss>", "other XML"),
        (b"<mediawiki></mediawiki>", "a dump without any"),
        (gzip.compress(b"hello", mtime=0), "text beginning 'hello'"),
    ],
)
def test_what_is_no_dump_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "given.xml"
    path.write_bytes(content)
    with pytest.raises(DumpError, match=message) as caught:
        parse_dump(tmp_path / "out", path)
    assert "\n" not in str(caught.value)
    assert "given.xml" in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match="found no such file"):
        parse_dump(tmp_path / "out", tmp_path / "nowhere.xml.bz2")


def test_dump_without_articles_says_what_it_holds(tmp_path: Path, mini_dump: Path) -> None:
    with pytest.raises(DumpError, match=r"none among 18 pages .* namespaces 0: 15.* --namespaces"):
        parse_dump(tmp_path / "out", mini_dump, namespaces=(100,))


def test_stub_dump_is_named(tmp_path: Path, mini_dump: Path) -> None:
    stub = tmp_path / "stub.xml"
    stub.write_text(
        re.sub(r"<text [^>]*>[^<]*</text>", '<text bytes="9" />', mini_dump.read_text())
    )
    with pytest.raises(DumpError, match=r"a stub dump without it in stub\.xml"):
        parse_dump(tmp_path / "out", stub, namespaces=(0, 1))


ODD = {
    "odd/zhwiki-cyberzhg/zhwiki-broken-1.xml": {"no_title": 1},
    "odd/zhwiki-cyberzhg/zhwiki-broken-3.xml": {"no_text": 1},
    "truncated/mrwiki-20230501-truncated-100k-lines.xml.xz": {"truncated": 1},
    "enwiki/bgwiki-latest-pages-articles-shortened.xml.bz2": {},
    "enwiki/enwik8-head-2006.xml.bz2": {},
    "odd/whym-wikihadoop-page_sample.xml": {},
    "odd/macbre-fixtures/dump.xml": {},
}


@pytest.mark.parametrize("name", ODD)
def test_real_damaged_dumps_are_kept_as_far_as_they_are_whole(
    tmp_path: Path, shared_data: Path, name: str
) -> None:
    summary = parse_dump(tmp_path, shared_data / "dumps" / name, namespaces=(0, 4))
    assert summary["rejected"] == ODD[name]
    manifest = json.loads((tmp_path / "pages" / MANIFEST_NAME).read_text())
    assert manifest["rows_in"] == summary["pages_read"]


BAD_TEXTS = {
    "Deep": b"= " * 200_000,
    "Long": b"[[apple]] " * 400_000,
    "NUL": b"a\0b",
    "Surrogate": b"a\xed\xa0\x80b",
}


def test_bad_pages_are_rejected_with_their_reason_and_stop_no_other(tmp_path: Path) -> None:
    texts = {"First": b"An [[apple]].", **BAD_TEXTS, "Last": b"A [[pear]]."}
    pages = b"".join(
        b"<page><title>%s</title><ns>0</ns><id>%d</id>" % (title.encode(), number)
        + b"<revision><id>1</id><text>%s</text></revision></page>\n" % text
        for number, (title, text) in enumerate(texts.items())
    )
    dump_path = tmp_path / "bad.xml"
    dump_path.write_bytes(b"<mediawiki>\n" + pages + b"</mediawiki>\n")
    config = ParseConfig(page_cpu_seconds=0.2)
    job = Job(PARSE, str(tmp_path / "out"), config, (str(dump_path),))
    assert run_job(job, workers=2).summary["pages_read"] == len(texts)
    assert [row["title"] for row in rows(tmp_path / "out", "pages")] == ["First", "Last"]
    found = {row["title"]: row["reason"] for row in rows(tmp_path / "out", "rejects")}
    assert found == {
        "Deep": "crashed",
        "Long": "cpu_limit",
        "NUL": "malformed_xml",
        "Surrogate": "invalid_utf8",
    }
