"""bz2 by byte ranges: every range of a file decodes alone.

A bz2 file is a row of blocks of at most 900 kB, each opened by a 48-bit magic number at any bit
offset and closed by nothing but the next one; blocks do not know each other. So one reader serves
files of one stream and multistream dumps alike, without an index; finding the stream starts of the
latter first would save 4 % of the time of decoding.

    file      BZh9 |block|block|  block  | end crc | BZh9 |block| ... end crc
    range                 [start ------------------- end)
    its blocks                  |  block  |                       the magic begins in the range
    those after                                           |block| ...     read for its last page

Format: https://github.com/dsnet/compress/blob/master/doc/bzip2-format.pdf, sections 2.2 and 2.3.
"""

from __future__ import annotations

import bz2
import os
from collections.abc import Iterator
from itertools import chain
from typing import IO

from schemas.errors import DumpError

try:
    from indexed_bzip2 import IndexedBzip2File
except ImportError:
    IndexedBzip2File = None

BLOCK_MAGIC = 0x314159265359
END_MAGIC = 0x177245385090
_MAGIC_BITS = 48
_MAGIC_BYTES = 7
_CRC_BITS = 32
_HEADER_BITS = 32
_SCAN_BYTES = 1 << 17
"""How far to look ahead at once: a block or two, because every range looks beyond its end."""
_BLOCK_BOUND_BYTES = 1_200_000
"""No block is longer: 900,000 symbols and the tables, when nothing compresses."""


# Below this Python's own module is faster: the package needs 9 ms to begin a stream.
_SMALL_STREAM_BYTES = 1 << 15


class CutOffError(DumpError):
    """A compressed file ends before its data does."""


def is_complete(file: IO[bytes], num_bytes: int) -> bool:
    """Tell whether a bz2 file of so many bytes ends with the end of a stream."""
    length = (_MAGIC_BITS + _CRC_BITS) // 8 + 1
    file.seek(max(0, num_bytes - length))
    tail = file.read(length)
    return _trailing_end_bits(int.from_bytes(tail, "big"), len(tail) * 8) is not None


def read_blocks(file: IO[bytes], start: int, end: int | None = None) -> Iterator[bytes]:
    """Decode the blocks whose magic begins in bytes [start, end) of a file, each as one piece.

    A magic number that turns up inside a block (chance 2^-48 per bit) shows as a block that does
    not decode; it is joined with the next one, or skipped when it was the first of the range.

    Raises:
        DumpError: a block is damaged or cut off.
    """
    starts = block_offsets(file, start)
    is_first = True
    begin = next(starts, None)
    while begin is not None and (end is None or begin < end * 8):
        following = next(starts, None)
        data = decode_block(file, begin, following)
        if data is None and following is not None:
            beyond = next(starts, None)
            data = decode_block(file, begin, beyond)
            if data is None:
                starts = chain([] if beyond is None else [beyond], starts)
            else:
                following = beyond
        if data is not None:
            yield data
        elif not (is_first and _is_inside_a_block(file, begin, following)):
            raise _cut_off(begin // 8) if following is None else _damaged(begin // 8)
        begin, is_first = following, False


def _is_inside_a_block(file: IO[bytes], begin: int, following: int | None) -> bool:
    """Tell whether the magic at bit `begin` is a chance find inside the block before it."""
    lowest = max(0, begin // 8 - _BLOCK_BOUND_BYTES)
    before = [bit for bit in block_offsets(file, lowest, begin // 8 + 1) if bit < begin]
    return bool(before) and decode_block(file, before[-1], following) is not None


def block_offsets(file: IO[bytes], start: int, end: int | None = None) -> Iterator[int]:
    """Yield the bit offsets of the block magics that begin in bytes [start, end), in order."""
    window, base = b"", start
    position = start
    while end is None or base < end:
        file.seek(position)
        chunk = file.read(_SCAN_BYTES)
        position += len(chunk)
        window += chunk
        # A magic that begins in the last bytes is whole only with the next chunk.
        usable = len(window) if not chunk else max(0, len(window) - _MAGIC_BYTES + 1)
        limit = (base + usable) * 8 if end is None else min(base + usable, end) * 8
        for bit in _magics_in(window):
            if base * 8 + bit < limit:
                yield base * 8 + bit
        if not chunk:
            return
        base += usable
        window = window[usable:]


def _magics_in(data: bytes) -> list[int]:
    """Return the bit offsets of the block magic in `data`, sorted.

    At bit shift s the magic covers five bytes whole; those are found with a byte search, the bits
    around them are then compared.
    """
    found = []
    for shift in range(8):
        shifted = (BLOCK_MAGIC << (8 - shift)).to_bytes(_MAGIC_BYTES, "big")
        whole = shifted[1:6]
        position = data.find(whole, 1)
        while position > 0:
            word = int.from_bytes(data[position - 1 : position + 6].ljust(7, b"\0"), "big")
            if (word >> (8 - shift)) & ((1 << _MAGIC_BITS) - 1) == BLOCK_MAGIC:
                found.append((position - 1) * 8 + shift)
            position = data.find(whole, position + 1)
    return sorted(found)


def decode_block(file: IO[bytes], begin: int, following: int | None) -> bytes | None:
    """Decode the block from bit `begin` to the next block's magic; None if it is not a block.

    The block's bits are put into a stream of their own: header, block, end magic, checksum. The
    checksum of a stream of one block is the block's own, which follows its magic.
    """
    first_byte = begin // 8
    file.seek(first_byte)
    length = _BLOCK_BOUND_BYTES if following is None else (following + 7) // 8 - first_byte
    data = file.read(length)
    num_bits = min(len(data) * 8, length * 8 if following is None else following - first_byte * 8)
    bits = int.from_bytes(data, "big") >> (len(data) * 8 - num_bits)
    has_header = following is not None
    # More than once where empty streams lie between.
    while (end_bits := _trailing_end_bits(bits, num_bits, has_header)) is not None:
        bits, num_bits, has_header = bits >> end_bits, num_bits - end_bits, True
    num_bits -= begin % 8
    bits &= (1 << num_bits) - 1
    return _decode_alone(bits, num_bits)


def _trailing_end_bits(bits: int, num_bits: int, has_header: bool = False) -> int | None:
    """Return how many of the last bits are the end of a stream, None if it does not end there.

    The end is the end magic, the checksum, zero to seven bits of padding, and the header of the
    next stream where one follows.
    """
    fixed = _MAGIC_BITS + _CRC_BITS + (_HEADER_BITS if has_header else 0)
    low = bits & ((1 << min(num_bits, fixed + 8)) - 1)
    for padding in range(8):
        length = fixed + padding
        if (
            length <= num_bits
            and (low >> (length - _MAGIC_BITS)) & ((1 << _MAGIC_BITS) - 1) == END_MAGIC
        ):
            return length
    return None


def _decode_alone(bits: int, num_bits: int) -> bytes | None:
    if num_bits <= _MAGIC_BITS + _CRC_BITS:
        return None
    crc = (bits >> (num_bits - _MAGIC_BITS - _CRC_BITS)) & ((1 << _CRC_BITS) - 1)
    header = int.from_bytes(b"BZh9", "big")
    stream = (header << num_bits) | bits
    stream = (stream << _MAGIC_BITS + _CRC_BITS) | (END_MAGIC << _CRC_BITS) | crc
    stream_bits = _HEADER_BITS + num_bits + _MAGIC_BITS + _CRC_BITS
    padding = -stream_bits % 8
    try:
        return _decompress((stream << padding).to_bytes((stream_bits + padding) // 8, "big"))
    except (OSError, ValueError, RuntimeError):
        return None


def _decompress(stream: bytes) -> bytes:
    """Decode a whole stream: by indexed_bzip2, a fifth faster, where it is installed.

    It gets the stream as a file in memory, which only Linux has: a Python object that it
    reads from is never released (1.7.0), and with it the whole dump.

    Raises:
        OSError, ValueError, RuntimeError: it is damaged; both compare the checksums.
    """
    if (
        IndexedBzip2File is None
        or len(stream) < _SMALL_STREAM_BYTES
        or not hasattr(os, "memfd_create")
    ):
        return bz2.decompress(stream)
    descriptor = os.memfd_create("stream.bz2")
    try:
        with open(descriptor, "wb", closefd=False) as memory:
            memory.write(stream)
        os.lseek(descriptor, 0, os.SEEK_SET)
        with IndexedBzip2File(descriptor, parallelization=1) as file:
            data: bytes = file.read()
        return data
    finally:
        os.close(descriptor)


def _damaged(offset: int) -> DumpError:
    return DumpError(
        f"expected whole bz2 data, found a damaged block at byte {offset:,}: "
        "compare the file's checksum and download it again"
    )


def _cut_off(offset: int) -> CutOffError:
    return CutOffError(
        f"expected whole bz2 data, found its end inside the block at byte {offset:,}: "
        "download the rest, or keep what there is with --allow-truncated"
    )
