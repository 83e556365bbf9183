"""What the files of a dump are is known before they are read."""

import bz2
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.parse import sources as dump
from pipeline.parse.sources import fingerprint, inspect_source, ranges_of, source_paths
from schemas.errors import DumpError


def test_ranges_cover_a_file_without_gap_or_overlap() -> None:
    for num_bytes in (1, 1 << 20, (1 << 20) + 1, 10_000_000, 3_000_000_000):
        ranges = ranges_of(num_bytes, num_bytes)
        assert ranges[0][0] == 0
        assert ranges[-1][1] == num_bytes
        assert all(a[1] == b[0] for a, b in pairwise(ranges))


def test_range_size_follows_the_whole_dump_not_one_file() -> None:
    assert len(ranges_of(1 << 28, 1 << 28)) == 128
    assert len(ranges_of(1 << 28, 1 << 36)) == 8


def test_kind_shows_in_the_bytes_not_in_the_name(tmp_path: Path, mini_dump: Path) -> None:
    path = tmp_path / "mini.txt"
    path.write_bytes(bz2.compress(mini_dump.read_bytes()))
    source = inspect_source(str(path))
    assert (source.compression, source.is_splittable, source.is_utf16) == ("bz2", True, False)
    assert source.head.startswith(b"<mediawiki")
    path.write_text(mini_dump.read_text(), encoding="utf-16")
    source = inspect_source(str(path))
    assert (source.compression, source.is_splittable, source.is_utf16) == ("", False, True)
    assert b"<dbname>orchardwiki</dbname>" in source.head


def test_index_beside_a_multistream_dump_is_left_out_of_a_glob(tmp_path: Path) -> None:
    for name in ("x-multistream.xml.bz2", "x-multistream-index.txt.bz2"):
        (tmp_path / name).write_bytes(b"x")
    assert source_paths((f"{tmp_path}/x*",)) == [f"{tmp_path}/x-multistream.xml.bz2"]


def test_file_named_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(b"x")
    path = f"{tmp_path}/a.xml"
    assert source_paths((path, f"{tmp_path}/*.xml")) == [path]


def test_fingerprint_follows_the_content_not_the_place(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    first, second = tmp_path / "a.xml", tmp_path / "folder" / "b.xml"
    first.write_bytes(b"same")
    second.write_bytes(b"same")
    assert fingerprint(str(first)) == fingerprint(str(second))
    second.write_bytes(b"else")
    assert fingerprint(str(first)) != fingerprint(str(second))


def test_fingerprint_of_a_large_file_notices_its_size_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump, "_DIGEST_WHOLE_BYTES", 1000)
    monkeypatch.setattr(dump, "_DIGEST_SAMPLE_BYTES", 10)
    path = tmp_path / "large.xml"
    data = bytes(5000)
    found = set()
    for content in (data, data + b"\0", b"1" + data[1:], data[:-1] + b"1"):
        path.write_bytes(content)
        found.add(fingerprint(str(path)))
    assert len(found) == 4


def test_bz2_that_is_cut_off_is_noticed_before_it_is_read(tmp_path: Path, mini_dump: Path) -> None:
    path = tmp_path / "cut.xml.bz2"
    packed = bz2.compress(mini_dump.read_bytes())
    path.write_bytes(packed[:-3])
    with pytest.raises(DumpError, match=rf"cut off at byte {len(packed) - 3:,}"):
        inspect_source(str(path))
