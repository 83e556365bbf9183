"""Every byte range of a bz2 file decodes alone, whatever its streams."""

import bz2
import io
import random
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import pytest

from pipeline.storage import bz2_ranges
from pipeline.storage.bz2_ranges import CutOffError, block_offsets, is_complete, read_blocks
from schemas.errors import DumpError

WORDS = random.Random(1).choices([f"word{n} " for n in range(9999)], k=70_000)
TEXT = "".join(WORDS).encode()


@pytest.fixture(autouse=True, params=["indexed_bzip2", "standard library"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Try everything with the fast decoder and without it."""
    if request.param == "standard library":
        monkeypatch.setattr(bz2_ranges, "IndexedBzip2File", None)
    else:
        assert bz2_ranges.IndexedBzip2File is not None


def packed(streams: int, level: int = 1) -> bytes:
    size = -(-len(TEXT) // streams)
    return b"".join(bz2.compress(TEXT[i : i + size], level) for i in range(0, len(TEXT), size))


def read_in_ranges(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield from read_blocks(io.BytesIO(data), start, min(start + size, len(data)))


@pytest.mark.parametrize("streams", [1, 2, 13])
@pytest.mark.parametrize("size", [1_000, 33_333, 1 << 20])
def test_ranges_together_hold_every_byte_once(streams: int, size: int) -> None:
    assert b"".join(read_in_ranges(packed(streams), size)) == TEXT


def test_range_without_a_block_is_empty() -> None:
    data = packed(1)
    first, second = list(block_offsets(io.BytesIO(data), 0))[:2]
    between = first // 8 + 1, second // 8
    assert list(read_blocks(io.BytesIO(data), *between)) == []


def test_empty_streams_between_others_are_passed_over() -> None:
    data = bz2.compress(TEXT[:500]) + bz2.compress(b"") * 2 + bz2.compress(TEXT[500:])
    assert b"".join(read_in_ranges(data + bz2.compress(b""), 100)) == TEXT


def test_scan_finds_blocks_across_its_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed(1)
    expected = list(block_offsets(io.BytesIO(data), 0))
    assert len(expected) > 4
    for window in (7, 64, 1001):
        monkeypatch.setattr(bz2_ranges, "_SCAN_BYTES", window)
        assert list(block_offsets(io.BytesIO(data), 0)) == expected


@pytest.mark.parametrize("size", [1_000, 20_000, 1 << 20])
def test_magic_number_inside_a_block_by_chance_is_no_block(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    data = packed(2)
    true_offsets = list(block_offsets(io.BytesIO(data), 0))
    chance = [(a + b) // 2 for a, b in pairwise(true_offsets)][::2]

    def with_chance(file: object, start: int, end: int | None = None) -> Iterator[int]:
        for bit in sorted(true_offsets + chance):
            if bit >= start * 8 and (end is None or bit < end * 8):
                yield bit

    monkeypatch.setattr(bz2_ranges, "block_offsets", with_chance)
    assert b"".join(read_in_ranges(data, size)) == TEXT


def test_flipped_bit_is_an_error_with_its_place() -> None:
    data = bytearray(packed(1))
    data[len(data) // 2] ^= 1
    with pytest.raises(DumpError, match=r"damaged block at byte [\d,]+"):
        list(read_in_ranges(bytes(data), 10_000))


def test_flipped_bit_in_a_magic_number_is_an_error() -> None:
    data = bytearray(packed(1))
    third = list(block_offsets(io.BytesIO(bytes(data)), 0))[2]
    data[third // 8 + 1] ^= 0x10
    with pytest.raises(DumpError, match="damaged block"):
        list(read_in_ranges(bytes(data), 10_000))


@pytest.mark.parametrize("share", [0.3, 0.9, 0.9999])
def test_cut_off_file_is_told_from_a_damaged_one(share: float) -> None:
    data = packed(1)
    cut = data[: int(len(data) * share)]
    with pytest.raises(CutOffError):
        list(read_in_ranges(cut, 10_000))
    assert not is_complete(io.BytesIO(cut), len(cut))


@pytest.mark.parametrize("streams", [1, 3, 7])
def test_whole_file_is_complete(streams: int) -> None:
    data = packed(streams)
    assert is_complete(io.BytesIO(data), len(data))


def test_all_levels_and_paddings_decode() -> None:
    for level in range(1, 10):
        for length in range(20_000, 20_012):
            data = bz2.compress(TEXT[:length], level)
            assert b"".join(read_blocks(io.BytesIO(data), 0)) == TEXT[:length]


def test_decoding_keeps_nothing_of_what_it_has_read() -> None:
    file = io.BytesIO(packed(5))
    tracemalloc.start()
    try:
        for _ in range(30):
            sum(map(len, read_blocks(file, 0)))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 3 * len(file.getvalue())


def test_small_streams_do_not_pay_for_the_start_of_the_fast_decoder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it takes 9 ms to begin with a stream")

    monkeypatch.setattr(bz2_ranges, "IndexedBzip2File", refuse)
    streams = bz2.compress(b"word ") * 100
    assert b"".join(read_blocks(io.BytesIO(streams), 0)) == b"word " * 100
