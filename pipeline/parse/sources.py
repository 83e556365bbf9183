"""Find out what the files of a dump are, before their pages are read, and split them into ranges.

    paths, globs ─ source_paths ─ inspect_source ─┬─ plain XML, bz2 ── ranges_of ── tasks
                                                  └─ all else ── pipeline/parse/pieces.py ── tasks

The kind of a file is recognised by its first bytes, never by its name.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from pipeline.storage import files
from pipeline.storage.bz2_ranges import is_complete
from pipeline.storage.decompress import decompress, sniff_compression
from schemas.errors import DumpError

HEAD_BYTES = 1 << 16
"""The header of a dump must lie within so many bytes of XML; the largest is 12 kB."""

TAIL_BYTES = 1 << 16
"""The root must be closed within the last so many bytes of XML; comments may follow it."""

MIN_RANGE_BYTES = 1 << 20
MAX_RANGE_BYTES = 1 << 25
RANGES_PER_DUMP = 128
"""Enough for the cores of one machine; a large dump has more ranges, of 32 MB each."""

_DIGEST_WHOLE_BYTES = 1 << 24
_DIGEST_SAMPLE_BYTES = 1 << 18
_DIGEST_SAMPLES = 64

_INDEX_NAME = re.compile(r"-multistream-index\d*\.txt")
_DATE_IN_NAME = re.compile(r"(?<!\d)((?:19|20)\d\d)(0[1-9]|1[0-2])([0-3]\d)(?!\d)")


@dataclass(frozen=True, slots=True)
class DumpFile:
    """One file of a dump.

    Attributes:
        path: where it lies.
        num_bytes: its size on disk.
        compression: "" for plain XML, else "bz2", "gz", "xz" or "zst".
        is_utf16: whether its text is UTF-16, according to the byte order mark.
        head: the first bytes of its XML, as UTF-8.
    """

    path: str
    num_bytes: int
    compression: str
    is_utf16: bool
    head: bytes

    @property
    def name(self) -> str:
        """The file name without its folder."""
        return file_name(self.path)

    @property
    def is_splittable(self) -> bool:
        """Tell whether ranges of its bytes can be read apart."""
        return self.compression in ("", "bz2") and not self.is_utf16


def source_paths(patterns: tuple[str, ...]) -> list[str]:
    """Return the files that paths and globs name, in the order given, sorted within a glob.

    The index that lies beside a multistream dump is left out where a glob catches it.

    Raises:
        DumpError: one names no file.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        if kind := files.unreadable(pattern):
            advice = (
                "a dump is read at many places at once, and again after a restart, so save it to "
                "a file first"
            )
            if kind == files.FOLDER:
                advice = f"name the files in it, such as {files.join(pattern, '*.bz2')}"
            raise DumpError(f"expected the file of a dump, found {kind} at {pattern}: {advice}")
        paths = files.matching(pattern)
        if len(paths) > 1 or paths != [pattern]:
            paths = [path for path in paths if not _INDEX_NAME.search(file_name(path))]
        if not paths:
            raise DumpError(
                f"expected a dump at {pattern}, found no such file: check the path, or load one "
                "by a wiki's name, such as `linkbert download simplewiki`"
            )
        found.update(dict.fromkeys(paths))
    return list(found)


def file_name(path: str) -> str:
    """Return the last part of a path.

    >>> file_name("gs://bucket/dumps/ltgwiki.xml.bz2")
    'ltgwiki.xml.bz2'
    """
    return PurePosixPath(path.replace(os.sep, "/")).name


def inspect_source(path: str, allow_truncated: bool = False) -> DumpFile:
    """Look at the beginning of a file, and at the end of plain XML or bz2.

    Raises:
        DumpError: it is empty, not a MediaWiki export, or cut off without `allow_truncated`.
    """
    num_bytes = files.size(path)
    with files.open_read(path) as file:
        magic = file.read(16)
        if not magic:
            raise DumpError(
                f"expected a MediaWiki dump, found an empty file at {path}: fetch it again"
            )
        compression = sniff_compression(magic)
        if compression == "bz2" and not allow_truncated and not is_complete(file, num_bytes):
            raise truncated_error(path, num_bytes)
        head, is_utf16 = _as_utf8(_read_head(file, path, compression))
        tail = b"" if compression else _read_tail(file, num_bytes, is_utf16)
    if b"<page>" not in head and b"<mediawiki" not in head:
        raise DumpError(
            f"expected a MediaWiki XML dump, found {describe(magic, head)} at {path}: "
            "use a pages-articles dump (.xml, .bz2, .gz, .xz, .zst) or a page export"
        )
    if not (compression or allow_truncated) and _is_cut_off(head, tail):
        raise truncated_error(path, num_bytes)
    return DumpFile(path, num_bytes, compression, is_utf16, head)


def _read_head(file: IO[bytes], path: str, compression: str) -> bytes:
    file.seek(0)
    head = b""
    try:
        for piece in decompress(file, compression):
            head += piece
            if len(head) >= HEAD_BYTES:
                break
    except DumpError as error:
        if not head:
            raise DumpError(f"{path}: {error}") from error
    return head[:HEAD_BYTES]


def _as_utf8(head: bytes) -> tuple[bytes, bool]:
    """Return the first bytes of XML as UTF-8, and whether they were UTF-16."""
    if head[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        return head, False
    return head[: len(head) // 2 * 2].decode("utf-16", "replace").encode(), True


def _read_tail(file: IO[bytes], num_bytes: int, is_utf16: bool) -> bytes:
    """Return the last bytes of plain XML; of UTF-16 without the zeros between its ASCII."""
    file.seek(max(0, num_bytes - TAIL_BYTES))
    tail = file.read()
    return tail.replace(b"\0", b"") if is_utf16 else tail


def _is_cut_off(head: bytes, tail: bytes) -> bool:
    """Tell whether plain XML opens the root of an export and never closes it.

    >>> _is_cut_off(b"<mediawiki><page>", b"<text>half"), _is_cut_off(b"<page>", b"</page>")
    (True, False)
    """
    return b"<mediawiki" in head and b"</mediawiki" not in tail


def truncated_error(path: str, num_bytes: int) -> DumpError:
    """Return the error of a file that ends too early."""
    return DumpError(
        f"expected a whole dump, found {path} cut off at byte {num_bytes:,}: "
        "download the rest, or keep what there is with --allow-truncated"
    )


def describe(magic: bytes, head: bytes) -> str:
    r"""Say what a file that is not a dump seems to be.

    >>> describe(b"%PDF-1.7", b"%PDF-1.7"), describe(b"", b"<!DOCTYPE html><html>")
    ('a PDF file', 'a web page')
    >>> describe(b"BZh9", b"BZh91AY"), describe(b"\n", b"\n\n")
    ('a file compressed twice', 'nothing but white space')
    >>> describe(b"{", b'{"id": 1, "title": "A"}')
    'JSON (JSON lines are for `linkbert ingest`)'
    """
    known = {b"PK": "a zip file", b"%PDF": "a PDF file", b"PAR1": "a Parquet file"}
    for beginning, name in known.items():
        if magic.startswith(beginning):
            return name
    if head.startswith((b"BZh", b"\x1f\x8b", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        return "a file compressed twice"
    text = head.decode("utf-8", "replace").strip()
    if not text:
        return "nothing but white space"
    lowered = text[:2000].lower()
    if "<html" in lowered or "<!doctype html" in lowered:
        return "a web page"
    if "create table" in lowered or "insert into" in lowered:
        return "an SQL dump"
    if re.match(r"\d+:\d+:", text):
        return "the index of a multistream dump"
    if re.match(r"[\[{]\s*[\"\[{]", text):
        return "JSON (JSON lines are for `linkbert ingest`)"
    if re.match(r"<(\?xml|rss|feed|[a-z])", lowered):
        return f"other XML, beginning {text[:40]!r},"
    return f"text beginning {text[:40]!r}" if text and "\ufffd" not in text[:40] else "binary data"


def ranges_of(num_bytes: int, total_bytes: int) -> list[tuple[int, int]]:
    """Return the byte ranges of a file in a dump of `total_bytes`; never by worker count.

    The last one takes what is left, half a range to one and a half.

    >>> ranges_of(5_400_000, 5_400_000)[3:], len(ranges_of(26 << 30, 26 << 30))
    ([(3145728, 4194304), (4194304, 5400000)], 832)
    """
    size = range_bytes(total_bytes)
    num_ranges = max(1, (num_bytes + size // 2) // size)
    starts = [index * size for index in range(num_ranges)]
    return list(zip(starts, [*starts[1:], num_bytes], strict=True))


def range_bytes(total_bytes: int) -> int:
    """Return the size of a range in a dump of so many bytes.

    >>> range_bytes(1 << 28), range_bytes(26 << 30)
    (2097152, 33554432)
    """
    return min(max(total_bytes // RANGES_PER_DUMP, MIN_RANGE_BYTES), MAX_RANGE_BYTES)


def fingerprint(path: str) -> str:
    """Return a digest of a file: of all of it up to 16 MB, else of its size and 64 samples.

    Digesting all of a 25 GB dump would take minutes, and on an object store a whole download.
    """
    num_bytes = files.size(path)
    state = hashlib.sha256(str(num_bytes).encode())
    with files.open_read(path) as file:
        for start, length in _samples(num_bytes):
            file.seek(start)
            state.update(file.read(length))
    return f"{num_bytes} bytes {state.hexdigest()}"


def _samples(num_bytes: int) -> Iterator[tuple[int, int]]:
    if num_bytes <= _DIGEST_WHOLE_BYTES:
        yield 0, num_bytes
        return
    last = num_bytes - _DIGEST_SAMPLE_BYTES
    for index in range(_DIGEST_SAMPLES):
        yield last * index // (_DIGEST_SAMPLES - 1), _DIGEST_SAMPLE_BYTES


def date_in_name(name: str) -> str | None:
    """Return the date in a dump's file name.

    >>> date_in_name("shintowiki-20260531-pages-articles.xml.bz2"), date_in_name("ltgwiki-2017.xml")
    ('2026-05-31', None)
    """
    found = _DATE_IN_NAME.search(name)
    return "-".join(found.groups()) if found else None
