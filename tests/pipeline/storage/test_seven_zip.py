"""A 7z archive is read as a stream, and read on no further than is asked for."""

import random
import threading
from pathlib import Path

import py7zr
import pytest

from pipeline.storage.decompress import decompress
from schemas.errors import DumpError

XML = b"<mediawiki>" + b"".join(b"<page>%d</page>" % (n * n) for n in range(2_000))
LONG = random.Random(0).randbytes(12 << 20)


def packed(path: Path, *contents: bytes, method: int = py7zr.FILTER_LZMA2) -> Path:
    with py7zr.SevenZipFile(path, "w", filters=[{"id": method}]) as archive:
        for index, content in enumerate(contents):
            archive.writestr(content, f"{index}.xml")
    return path


def test_holds_every_byte(tmp_path: Path) -> None:
    with open(packed(tmp_path / "dump.7z", XML), "rb") as file:
        assert b"".join(decompress(file, "7z")) == XML
    assert [path.name for path in tmp_path.iterdir()] == ["dump.7z"]


def test_stops_when_nobody_reads_on(tmp_path: Path) -> None:
    num_threads = threading.active_count()
    path = packed(tmp_path / "dump.7z", LONG, method=py7zr.FILTER_COPY)
    with open(path, "rb") as file:
        pieces = decompress(file, "7z")
        assert LONG.startswith(next(pieces))
        assert threading.active_count() == num_threads + 1
        pieces.close()  # type: ignore[attr-defined]
    assert threading.active_count() == num_threads


@pytest.mark.parametrize("contents", [(), (XML, b"")])
def test_expects_one_file(tmp_path: Path, contents: tuple[bytes, ...]) -> None:
    path = packed(tmp_path / "dump.7z", *contents)
    found = f"expected one file in the 7z archive, found {len(contents)}"
    with open(path, "rb") as file, pytest.raises(DumpError, match=found):
        list(decompress(file, "7z"))


@pytest.mark.parametrize("damage", ["cut off", "changed"])
def test_damage_is_said(tmp_path: Path, damage: str) -> None:
    path = packed(tmp_path / "dump.7z", XML)
    data = bytearray(path.read_bytes())
    if damage == "cut off":
        del data[-100:]
    else:
        data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with open(path, "rb") as file, pytest.raises(DumpError, match="expected a whole 7z archive"):
        list(decompress(file, "7z"))
