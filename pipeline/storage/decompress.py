"""Decompress what cannot be split, piece by piece: gz, xz, zst and 7z; and UTF-16 to UTF-8.

gz and xz come with Python, zst and 7z with the packages `zstandard` and `py7zr` where installed.
"""

from __future__ import annotations

import codecs
import importlib
import lzma
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Any

from pipeline.storage.bz2_ranges import CutOffError, read_blocks
from pipeline.storage.seven_zip import read_7z
from schemas.errors import DumpError

_MAGIC = {
    b"BZh": "bz2",
    b"\x1f\x8b": "gz",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zst",
    b"7z\xbc\xaf\x27\x1c": "7z",
}
_READ_BYTES = 1 << 20
# A decoder hands the rest of what it got on to the next member of a file, as a copy: the more it
# gets at once, the more often the bytes of many small members are copied.
_COMPRESSED_BYTES = 1 << 16
_MAX_WINDOW_BYTES = 1 << 28
"""What a header may ask for: xz -9 takes 64 MB, zstd --long=28 256 MB; both formats allow GBs."""
_MAX_XZ_BYTES = _MAX_WINDOW_BYTES + (1 << 26)


def sniff_compression(magic: bytes) -> str:
    """Return the compression that the first bytes of a file show, empty for none.

    >>> sniff_compression(b"BZh91AY&SY"), sniff_compression(b"<mediawiki xmlns")
    ('bz2', '')
    """
    return next((name for start, name in _MAGIC.items() if magic.startswith(start)), "")


def decompress(file: IO[bytes], compression: str) -> Iterator[bytes]:
    """Yield the decompressed bytes of an open file, from its start, in pieces of about 1 MB.

    Raises:
        DumpError: the data is damaged or cut off, or a package is missing.
    """
    reader = {
        "": read_plain,
        "bz2": _read_bz2,
        "gz": _read_gz,
        "xz": _read_xz,
        "zst": _read_zst,
        "7z": _read_7z,
    }[compression]
    return reader(file)


def to_utf8(pieces: Iterable[bytes], is_utf16: bool) -> Iterator[bytes]:
    """Yield UTF-8 bytes, from UTF-16 with its byte order mark where that is what comes."""
    if not is_utf16:
        yield from pieces
        return
    decoder = codecs.getincrementaldecoder("utf-16")("replace")
    for piece in pieces:
        yield decoder.decode(piece).encode("utf-8", "replace")
    yield decoder.decode(b"", True).encode("utf-8", "replace")


def read_plain(file: IO[bytes], start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Yield bytes [start, end) of a file in pieces."""
    file.seek(start)
    while end is None or start < end:
        piece = file.read(_READ_BYTES if end is None else min(_READ_BYTES, end - start))
        if not piece:
            return
        start += len(piece)
        yield piece


def _read_bz2(file: IO[bytes]) -> Iterator[bytes]:
    return read_blocks(file, 0)


def _read_gz(file: IO[bytes]) -> Iterator[bytes]:
    # Members may follow each other, as in bgzip files and joined dumps.
    decoder = zlib.decompressobj(wbits=31)
    data = file.read(_COMPRESSED_BYTES)
    while data:
        try:
            piece = decoder.decompress(data, _READ_BYTES)
        except zlib.error as error:
            raise _damaged("gz", file, error) from error
        if piece:
            yield piece
        data = decoder.unused_data or decoder.unconsumed_tail
        if decoder.eof:
            data = (decoder.unused_data or file.read(_COMPRESSED_BYTES)).lstrip(b"\0")
            if data:
                decoder = zlib.decompressobj(wbits=31)
        elif not data:
            data = file.read(_COMPRESSED_BYTES)
    if not decoder.eof:
        raise _cut_off("gz", file)


def _read_xz(file: IO[bytes]) -> Iterator[bytes]:
    decoder = lzma.LZMADecompressor(memlimit=_MAX_XZ_BYTES)
    data = file.read(_COMPRESSED_BYTES)
    while data or not decoder.needs_input:
        try:
            piece = decoder.decompress(data, _READ_BYTES)
        except lzma.LZMAError as error:
            raise _damaged("xz", file, error) from error
        if piece:
            yield piece
        data = b""
        if decoder.eof:
            data = (decoder.unused_data or file.read(_COMPRESSED_BYTES)).lstrip(b"\0")
            if not data:
                return
            decoder = lzma.LZMADecompressor(memlimit=_MAX_XZ_BYTES)
        elif decoder.needs_input:
            data = file.read(_COMPRESSED_BYTES)
    raise _cut_off("xz", file)


def _read_zst(file: IO[bytes]) -> Iterator[bytes]:
    zstandard = _optional("zstandard", "zst")
    decoder = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
    try:
        with decoder.stream_reader(file, read_across_frames=True, closefd=False) as reader:
            while piece := reader.read(_READ_BYTES):
                yield piece
    except zstandard.ZstdError as error:
        raise _damaged("zst", file, error) from error


def _read_7z(file: IO[bytes]) -> Iterator[bytes]:
    return read_7z(_optional("py7zr", "7z"), file)


def _optional(package: str, compression: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise DumpError(
            f"expected the package {package} to read .{compression}, found it not installed: "
            f"pip install {package}, or recompress the dump as bz2"
        ) from error


def _damaged(compression: str, file: IO[bytes], error: Exception) -> DumpError:
    return DumpError(
        f"expected whole {compression} data, found damage near byte {file.tell():,} ({error}): "
        "compare the file's checksum and download it again"
    )


def _cut_off(compression: str, file: IO[bytes]) -> CutOffError:
    return CutOffError(
        f"expected whole {compression} data, found its end at byte {file.tell():,}: "
        "download the rest, or keep what there is with --allow-truncated"
    )
