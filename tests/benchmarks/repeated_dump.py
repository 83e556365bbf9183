"""Repeat the pages of a real dump up to any size, as multistream bz2: what people download.

    python -m tests.benchmarks.repeated_dump SOURCE DUMP.xml.bz2 --megabytes 2000

The first copy of a page keeps its title and id, so what is known of the source holds for it; later
ones get new ones. Links are left as they are: those of all copies lead to the first, so the graph
of such a dump is no larger than the source's. `synthetic_dump` makes larger ones. A stream holds
100 pages, and DUMP-index.txt says where each lies, as beside Wikimedia's dumps. The source is read
once per copy: memory does not grow with the size.
"""

from __future__ import annotations

import argparse
import bz2
import multiprocessing
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice

from pipeline.parse.page_xml import peek_namespace
from pipeline.parse.sources import inspect_source
from pipeline.parse.splitter import PageSplitter
from pipeline.storage import files
from pipeline.storage.decompress import decompress, to_utf8

PAGES_PER_STREAM = 100
STREAMS_AT_A_TIME = 8
ID_STEP = 100_000_000
"""Between the ids of two copies: English Wikipedia has not reached it."""

_MAX_PAGE_BYTES = 1 << 26
_TITLE = re.compile(rb"<title>([^<]*)</title>")
_ID = re.compile(rb"<id>(\d+)</id>")
_FOOTER = b"</mediawiki>\n"


@dataclass(slots=True)
class Size:
    """How much was written: pages of all namespaces, articles, bytes of XML."""

    num_copies: int = 0
    num_pages: int = 0
    num_articles: int = 0
    xml_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Copied:
    page_id: int
    title: bytes
    data: bytes


def write_repeated(source: str, path: str, num_bytes: int = 0, num_copies: int = 0) -> Size:
    """Write a dump over and over: so many copies, or pages until `num_bytes` of XML are reached.

    Raises:
        DumpError: the source is no dump, or damaged.
    """
    head = inspect_source(source).head
    size = Size()
    header = head[: head.index(b"<page>")].rstrip(b" ")
    pages = _copied_pages(source, size, num_copies, num_bytes - len(header) - len(_FOOTER))
    index_path = path.removesuffix(".xml.bz2") + "-index.txt"
    context = multiprocessing.get_context("spawn")
    with (
        open(path, "wb") as file,
        open(index_path, "wb") as index,
        context.Pool(os.cpu_count()) as pool,
    ):
        file.write(bz2.compress(header))
        while streams := list(islice(_streams(pages), STREAMS_AT_A_TIME)):
            packed = pool.map(bz2.compress, [b"".join(p.data for p in some) for some in streams])
            for some, data in zip(streams, packed, strict=True):
                index.writelines(b"%d:%d:%s\n" % (file.tell(), p.page_id, p.title) for p in some)
                file.write(data)
        file.write(bz2.compress(_FOOTER))
    size.xml_bytes += len(header) + len(_FOOTER)
    return size


def _streams(pages: Iterator[_Copied]) -> Iterator[list[_Copied]]:
    while some := list(islice(pages, PAGES_PER_STREAM)):
        yield some


def _copied_pages(source: str, size: Size, num_copies: int, num_bytes: int) -> Iterator[_Copied]:
    """Yield renamed pages and count them, until the copies or bytes asked for are reached."""
    for copy in range(num_copies) if num_copies else count():
        size.num_copies += 1
        for data in _pages_of(source):
            if not num_copies and size.xml_bytes >= num_bytes:
                return
            page = _renamed(data, copy)
            size.num_pages += 1
            size.xml_bytes += len(page.data)
            is_article = not peek_namespace(data)  # 0, or none in an old dump
            if is_article and b"<redirect " not in data:
                size.num_articles += 1
            yield page


def _pages_of(source: str) -> Iterator[bytes]:
    found = inspect_source(source)
    with files.open_read(source) as file:
        pieces = to_utf8(decompress(file, found.compression), found.is_utf16)
        for raw in PageSplitter(pieces, iter(()), _MAX_PAGE_BYTES).pages():
            if not raw.fault:
                yield raw.data


def _renamed(data: bytes, copy: int) -> _Copied:
    r"""Give a page the title and id of its copy.

    >>> _renamed(b"<title>A</title><id>7</id><id>7</id>", 2).data
    b'  <title>A (copy 2)</title><id>200000007</id><id>7</id>\n'
    """
    title, page_id = _TITLE.search(data), _ID.search(data)
    if title is None or page_id is None:
        raise ValueError(f"expected a page with a title and an id, found {data[:200]!r}")
    new_title = title[1] + (b" (copy %d)" % copy if copy else b"")
    new_id = int(page_id[1]) + copy * ID_STEP
    data = data.replace(page_id[0], b"<id>%d</id>" % new_id, 1)
    data = data.replace(title[0], b"<title>" + new_title + b"</title>", 1)
    return _Copied(new_id, new_title, b"  " + data + b"\n")


def main() -> None:
    """Write a dump and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="a dump of any compression")
    parser.add_argument("path", help="the .xml.bz2 to write")
    amount = parser.add_mutually_exclusive_group(required=True)
    amount.add_argument("--megabytes", type=float, default=0, help="of XML")
    amount.add_argument("--copies", type=int, default=0)
    args = parser.parse_args()
    size = write_repeated(args.source, args.path, int(args.megabytes * 1e6), args.copies)
    print(
        f"{args.path}: {size.xml_bytes / 1e6:,.1f} MB of XML, "
        f"{os.path.getsize(args.path) / 1e6:,.1f} MB on disk, {size.num_articles:,} articles "
        f"among {size.num_pages:,} pages, {size.num_copies} copies begun"
    )


if __name__ == "__main__":
    main()
