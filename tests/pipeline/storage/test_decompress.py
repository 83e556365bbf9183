"""What cannot be split comes whole, or with a line that says where it is damaged or cut off."""

import bz2
import gzip
import io
import lzma
from pathlib import Path

import pytest
import zstandard

from pipeline.storage import decompress as dump_streams
from pipeline.storage.bz2_ranges import CutOffError
from pipeline.storage.decompress import decompress, read_plain, sniff_compression, to_utf8
from schemas.errors import DumpError
from tests.pipeline.storage.test_seven_zip import XML, packed

PACK = {"gz": gzip.compress, "xz": lzma.compress, "zst": zstandard.compress, "bz2": bz2.compress}


@pytest.mark.parametrize("compression", PACK)
def test_members_that_follow_each_other_come_as_one(compression: str) -> None:
    pack = PACK[compression]
    packed = pack(XML) + pack(b"") + pack(b"</mediawiki>")
    assert sniff_compression(packed[:8]) == compression
    assert b"".join(decompress(io.BytesIO(packed), compression)) == XML + b"</mediawiki>"


@pytest.mark.parametrize("compression", ["gz", "xz", "bz2"])
def test_a_file_that_is_cut_off_says_so_after_what_is_whole(compression: str) -> None:
    pack = PACK[compression]
    pieces = decompress(io.BytesIO(pack(XML) + pack(XML)[:-9]), compression)
    assert XML.startswith(next(pieces)[:1000])
    with pytest.raises(CutOffError):
        list(pieces)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_utf_16_becomes_utf_8_wherever_it_is_cut(size: int) -> None:
    text = "a é 東京 \U0001f30d"
    data = text.encode("utf-16")
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert b"".join(to_utf8(pieces, is_utf16=True)).decode() == text
    assert list(to_utf8(pieces, is_utf16=False)) == pieces


def test_a_range_of_bytes_is_read_and_no_more() -> None:
    assert b"".join(read_plain(io.BytesIO(XML), 5, 20)) == XML[5:20]
    assert b"".join(read_plain(io.BytesIO(XML), len(XML) - 3, 10**9)) == XML[-3:]


def test_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(dump_streams.importlib, "import_module", missing)
    with (
        open(packed(tmp_path / "dump.7z", XML), "rb") as file,
        pytest.raises(DumpError, match="pip install py7zr"),
    ):
        list(decompress(file, "7z"))


def test_damaged_stream_says_where(tmp_path: Path) -> None:
    packed = bytearray(lzma.compress(XML * 20))
    packed[len(packed) // 2] ^= 0xFF
    path = tmp_path / "damaged.xz"
    path.write_bytes(packed)
    with open(path, "rb") as file, pytest.raises(DumpError, match="damage near byte"):
        list(decompress(file, "xz"))
