"""Cut a file that cannot be split into pieces that other tasks read: 60 to 300 MB/s per file.

A piece is some megabytes of XML, compressed with zstd, cut before a page where possible. The next
phase treats pieces like the byte ranges of a file that can be split: a page that spills over is
read to its end from the next piece.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa

from pipeline.parse.sources import DumpFile, range_bytes
from pipeline.parse.splitter import OPEN
from pipeline.storage import files
from pipeline.storage.bz2_ranges import CutOffError
from pipeline.storage.decompress import decompress, to_utf8
from schemas.errors import DumpError

XML_PER_COMPRESSED_BYTE = 4
"""Size of a piece as a multiple of a range of compressed bytes: dumps compress 4 to 6 times."""

_READ_BYTES = 1 << 20
_GATHERED_BYTES = 1 << 16


def read_source(source: DumpFile) -> Iterator[bytes]:
    """Yield the XML of a whole file as UTF-8.

    Raises:
        DumpError: it is damaged or cut off; the message names it.
    """
    with files.open_read(source.path) as file:
        yield from named(
            source.path, to_utf8(decompress(file, source.compression), source.is_utf16)
        )


def named(path: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a file; say which file it was if they raise."""
    try:
        yield from pieces
    except DumpError as error:
        raise type(error)(f"{path}: {error}") from error


def until_cut_off(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a file that may end too early, as if it ended there."""
    try:
        yield from pieces
    except CutOffError:
        return


def gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in larger pieces, for files that come in very many tiny ones.

    >>> list(gathered(iter([b"a", b"b"])))
    [b'ab']
    """
    waiting: list[bytes] = []
    length = 0
    for piece in pieces:
        waiting.append(piece)
        length += len(piece)
        if length >= _GATHERED_BYTES:
            yield b"".join(waiting)
            waiting, length = [], 0
    if waiting:
        yield b"".join(waiting)


def piece_path(folder: str, index: int) -> str:
    """Return where a piece of a file lies.

    >>> piece_path("corpus/_state/parse/pieces/00000", 3)
    'corpus/_state/parse/pieces/00000/00003.xml.zst'
    """
    return files.join(folder, f"{index:05d}.xml.zst")


def split_into_pieces(xml: Iterator[bytes], folder: str, piece_bytes: int) -> list[int]:
    """Write XML as pieces under a folder; return the length of each in bytes of XML.

    A piece ends at the first page in the first chunk after its size is reached, or after that
    chunk where no page begins in it.
    """
    lengths: list[int] = []
    rest = next(xml, b"")
    while rest:
        with (
            files.write_whole(piece_path(folder, len(lengths))) as file,
            pa.CompressedOutputStream(pa.PythonFile(_KeptOpen(file), "w"), "zstd") as sink,
        ):
            length = 0
            while rest and length < piece_bytes:
                sink.write(rest)
                length += len(rest)
                rest = next(xml, b"")
            page = rest.find(OPEN)
            last, rest = (rest, next(xml, b"")) if page < 0 else (rest[:page], rest[page:])
            sink.write(last)
            lengths.append(length + len(last))
    return lengths


class _KeptOpen(io.RawIOBase):
    """A file to write to that stays open when the stream above it closes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._file.write(data)


def read_piece(path: str) -> Iterator[bytes]:
    """Yield the XML of a piece."""
    with (
        files.open_read(path) as file,
        pa.CompressedInputStream(pa.PythonFile(file), "zstd") as xml,
    ):
        while data := xml.read(_READ_BYTES):
            yield data


def piece_bytes(source: DumpFile) -> int:
    """Return how much XML a piece of a file holds."""
    return range_bytes(source.num_bytes) * XML_PER_COMPRESSED_BYTE
