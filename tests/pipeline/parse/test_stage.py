"""A dump becomes three tables, whole and the same whatever its packing."""

import bz2
import gzip
import io
import lzma
from pathlib import Path
from typing import Any

import py7zr
import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline.engine.outputs import load_manifest
from pipeline.engine.stage import Job
from pipeline.parse import sources as dump
from pipeline.parse import stage as parse
from pipeline.parse.config import ParseConfig
from pipeline.parse.stage import PARSE, TABLES
from schemas.errors import ConfigError, DumpError, StageError
from schemas.manifest import MANIFEST_NAME
from tests.golden import Golden
from tests.running import run_inline


def parse_dump(root: Path, *sources: Path | str, **config: Any) -> dict[str, Any]:
    job = Job(PARSE, str(root), ParseConfig(**config), tuple(map(str, sources)))
    return run_inline(job)


def rows(root: Path, table: str) -> list[dict[str, Any]]:
    return pq.read_table(root / table).to_pylist()


def small_ranges(monkeypatch: pytest.MonkeyPatch, num_bytes: int) -> None:
    monkeypatch.setattr(dump, "MIN_RANGE_BYTES", num_bytes)
    monkeypatch.setattr(dump, "MAX_RANGE_BYTES", num_bytes)


@pytest.mark.parametrize("table", TABLES)
def test_mini_dump_gives_the_golden_tables(
    tmp_path: Path, mini_dump: Path, golden: Golden, table: str
) -> None:
    parse_dump(tmp_path, mini_dump)
    golden.check(tmp_path / table)


def test_counts_of_pages_add_up(tmp_path: Path, mini_dump: Path) -> None:
    summary = parse_dump(tmp_path, mini_dump)
    assert summary["pages_read"] == 18
    assert summary["pages"] == 7
    assert summary["redirects"] == 5
    assert summary["other_namespaces"] == {"1": 1, "10": 1, "14": 1}
    assert summary["other_models"] == {"json": 1}
    assert summary["rejected"] == {"deleted_text": 1, "malformed_xml": 1}
    manifest = load_manifest(str(tmp_path / "pages"))
    assert manifest.rows_in == manifest.rows_out + sum(manifest.drops.values()) == 18


def test_manifest_of_pages_describes_the_dump(tmp_path: Path, mini_dump: Path) -> None:
    parse_dump(tmp_path, mini_dump)
    extra = load_manifest(str(tmp_path / "pages")).extra
    assert extra["siteinfo"]["dbname"] == "orchardwiki"
    assert extra["dumps"] == ["mini.xml"]
    assert extra["dump_date"] == "2024-01-08"
    assert extra["licence"].startswith("unknown")
    assert extra["links"]["hatnote"] == 3
    assert extra["older_revisions"] == 1


def test_every_link_cuts_its_anchor_out_of_the_text(tmp_path: Path, mini_dump: Path) -> None:
    parse_dump(tmp_path, mini_dump)
    apple = rows(tmp_path, "pages")[0]
    anchors = [
        (apple["text"][link["start_char"] : link["end_char"]], link["target_title"])
        for link in apple["links"]
        if link["start_char"] is not None
    ]
    assert ("tree of that name", "Apple tree") in anchors
    assert ("Pears", "Pear") in anchors
    assert ("its soil", "Orchard") in anchors


@pytest.mark.parametrize("range_bytes", [64, 997, 4096])
@pytest.mark.parametrize("packing", ["plain", "bz2", "multistream"])
def test_splitting_changes_no_row(
    tmp_path: Path,
    mini_dump: Path,
    monkeypatch: pytest.MonkeyPatch,
    packing: str,
    range_bytes: int,
) -> None:
    xml = mini_dump.read_bytes()
    packed = {
        "plain": xml,
        "bz2": bz2.compress(xml, 1),
        "multistream": b"".join(bz2.compress(xml[i : i + 1500]) for i in range(0, len(xml), 1500)),
    }[packing]
    path = tmp_path / "mini.xml"
    path.write_bytes(packed)
    whole = parse_dump(tmp_path / "whole", path)
    small_ranges(monkeypatch, range_bytes)
    split = parse_dump(tmp_path / "split", path)
    assert split == whole
    num_parts = len(list((tmp_path / "split" / "pages").glob("part-*")))
    assert num_parts == max(1, round(len(packed) / range_bytes))
    for table in ("pages", "redirects"):
        assert rows(tmp_path / "split", table) == rows(tmp_path / "whole", table)


def seven_zip(xml: bytes) -> bytes:
    packed = io.BytesIO()
    with py7zr.SevenZipFile(packed, "w") as archive:
        archive.writestr(xml, "dump.xml")
    return packed.getvalue()


def packings() -> dict[str, Any]:
    return {
        "bz2": bz2.compress,
        "gz": gzip.compress,
        "xz": lzma.compress,
        "utf-16": lambda xml: xml.decode().encode("utf-16"),
        "utf-16 big endian in xz": lambda xml: lzma.compress(
            b"\xfe\xff" + xml.decode().encode("utf-16-be")
        ),
        "windows line ends": lambda xml: xml.replace(b"\n", b"\r\n"),
        "two gz members": lambda xml: gzip.compress(xml[:999]) + gzip.compress(xml[999:]),
        "zst": zstandard.compress,
        "7z": seven_zip,
        "two xz streams": lambda xml: lzma.compress(xml[:999]) + lzma.compress(xml[999:]),
    }


@pytest.mark.parametrize("packing", packings())
def test_packing_changes_no_row(tmp_path: Path, mini_dump: Path, packing: str) -> None:
    parse_dump(tmp_path / "plain", mini_dump)
    packed = tmp_path / "mini.xml"
    packed.write_bytes(packings()[packing](mini_dump.read_bytes()))
    parse_dump(tmp_path / "packed", packed)
    for table in ("pages", "redirects"):
        assert rows(tmp_path / "packed", table) == rows(tmp_path / "plain", table)


def test_pieces_of_an_unsplittable_file_are_deleted(
    tmp_path: Path, mini_dump: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = tmp_path / "mini.xml.gz"
    packed.write_bytes(gzip.compress(mini_dump.read_bytes()))
    monkeypatch.setattr(parse, "piece_bytes", lambda source: 1000)
    monkeypatch.setattr("pipeline.storage.decompress._READ_BYTES", 700)
    parse_dump(tmp_path / "out", packed)
    assert len(list((tmp_path / "out" / "pages").glob("part-*"))) > 3
    assert not list(tmp_path.rglob("*.zst"))


def test_several_files_and_globs_follow_each_other(tmp_path: Path, mini_dump: Path) -> None:
    xml = mini_dump.read_bytes()
    header_end = xml.index(b"<page>")
    middle = xml.index(b"<page>", len(xml) // 2)
    (tmp_path / "mini1.xml").write_bytes(xml[:middle] + b"</mediawiki>")
    (tmp_path / "mini2.xml.bz2").write_bytes(bz2.compress(xml[:header_end] + xml[middle:]))
    (tmp_path / "mini-multistream-index.txt").write_bytes(b"600:1:Apple")
    summary = parse_dump(tmp_path / "split", tmp_path / "mini*")
    parse_dump(tmp_path / "whole", mini_dump)
    assert summary["dumps"] == ["mini1.xml", "mini2.xml.bz2"]
    assert rows(tmp_path / "split", "pages") == rows(tmp_path / "whole", "pages")


def test_pages_without_header_use_the_header_of_another_file(
    tmp_path: Path, mini_dump: Path
) -> None:
    xml = mini_dump.read_bytes()
    page = xml[xml.index(b"<page>") : xml.index(b"</page>") + 7]
    (tmp_path / "a.xml").write_bytes(page)
    parse_dump(tmp_path / "out", tmp_path / "a.xml", mini_dump)
    assert load_manifest(str(tmp_path / "out" / "pages")).extra["siteinfo"]["language"] == "en"


def test_files_of_two_wikis_are_refused(tmp_path: Path, mini_dump: Path) -> None:
    other = tmp_path / "other.xml"
    other.write_bytes(mini_dump.read_bytes().replace(b"orchardwiki", b"kitchenwiki"))
    with pytest.raises(DumpError, match="one wiki, found files of kitchenwiki, orchardwiki"):
        parse_dump(tmp_path / "out", mini_dump, other)


def test_old_schema_without_ns_and_redirect_tags(tmp_path: Path, mini_dump: Path) -> None:
    xml = mini_dump.read_text()
    for space in (0, 1, 10, 14):
        xml = xml.replace(f"    <ns>{space}</ns>\n", "")
    xml = "".join(line for line in xml.splitlines(True) if "<redirect" not in line)
    xml = xml.replace("      <model>wikitext</model>\n", "").replace("export-0.11", "export-0.3")
    old = tmp_path / "old.xml"
    old.write_text(xml)
    summary = parse_dump(tmp_path / "old", old)
    parse_dump(tmp_path / "new", mini_dump)
    assert summary["other_namespaces"] == {"1": 1, "10": 1, "14": 1}
    assert rows(tmp_path / "old", "redirects") == rows(tmp_path / "new", "redirects")
    assert rows(tmp_path / "old", "pages") == rows(tmp_path / "new", "pages")


def test_chosen_namespaces_are_kept(tmp_path: Path, mini_dump: Path) -> None:
    summary = parse_dump(tmp_path, mini_dump, namespaces=(0, 14))
    assert summary["other_namespaces"] == {"1": 1, "10": 1}
    assert "Category:Fruit" in [row["title"] for row in rows(tmp_path, "pages")]


def test_page_that_never_ends_hits_the_cpu_limit(
    tmp_path: Path, mini_dump: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_away(wikitext: str, title: str, site: Any, *rules: Any) -> Any:
        while title == "Pear":
            pass
        return extract(wikitext, title, site, *rules)

    from pipeline.wikitext.extract import extract

    monkeypatch.setattr("pipeline.parse.sorter.extract", run_away)
    summary = parse_dump(tmp_path, mini_dump, page_cpu_seconds=0.05)
    assert summary["rejected"]["cpu_limit"] == 1
    assert summary["pages"] == 6
    reject = next(row for row in rows(tmp_path, "rejects") if row["reason"] == "cpu_limit")
    assert (reject["page_id"], reject["title"]) == (2, "Pear")


def test_error_in_one_page_rejects_that_page_alone(
    tmp_path: Path, mini_dump: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(wikitext: str, title: str, site: Any, *rules: Any) -> Any:
        if title == "Pear":
            raise RecursionError("too deep")
        return extract(wikitext, title, site, *rules)

    from pipeline.wikitext.extract import extract

    monkeypatch.setattr("pipeline.parse.sorter.extract", fail)
    summary = parse_dump(tmp_path, mini_dump)
    assert summary["rejected"]["extraction_failed"] == 1
    assert "RecursionError: too deep" in [row["detail"] for row in rows(tmp_path, "rejects")]


def test_config_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ConfigError, match="at least one namespace"):
        ParseConfig(namespaces=())
    with pytest.raises(ConfigError, match="page_cpu_seconds above 0"):
        ParseConfig(page_cpu_seconds=0.0)


def test_the_same_dump_gives_the_same_bytes(tmp_path: Path, mini_dump: Path) -> None:
    for name in ("one", "two"):
        parse_dump(tmp_path / name, mini_dump)
    for table in TABLES:
        for file in ("part-00000.parquet", MANIFEST_NAME):
            first, second = (tmp_path / name / table / file for name in ("one", "two"))
            assert first.read_bytes() == second.read_bytes()


def test_changed_dump_is_noticed_on_resume(tmp_path: Path, mini_dump: Path) -> None:
    copy = tmp_path / "mini.xml"
    copy.write_bytes(mini_dump.read_bytes())
    parse_dump(tmp_path / "out", copy)
    copy.write_bytes(mini_dump.read_bytes().replace(b"golden pear", b"silver pear"))
    with pytest.raises(StageError, match=r"inputs.000 mini.xml"):
        parse_dump(tmp_path / "out", copy)


def test_lost_page_between_ranges_stops_the_stage(
    tmp_path: Path, mini_dump: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_ranges(monkeypatch, 5000)
    real = parse.run_parse

    def lose(job: Job, task: Any) -> Any:
        record = real(job, task)
        if task.index == 1:
            record["facts"]["first_page"] += 1
        return record

    from dataclasses import replace

    cut, last = PARSE.phases
    stage = replace(PARSE, phases=(cut, replace(last, run=lose)))
    job = Job(stage, str(tmp_path / "out"), ParseConfig(), (str(mini_dump),))
    with pytest.raises(StageError, match="please report it"):
        run_inline(job)
