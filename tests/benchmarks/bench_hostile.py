"""Measure what once took the square of its size: each input at 1, 2 and 4 times the size.

    python -m tests.benchmarks.bench_hostile [KIND ...] [--megabytes 16]

A line per kind: CPU seconds at each size. Linear work doubles; the command fails where four times
the size takes more than six times the time. The last lines, the kind `pages`, are pages of the size
of --megabytes, as large as `parse` takes by default, through all stages, with the most memory that
a worker held.
"""

from __future__ import annotations

import argparse
import bz2
import io
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.engine.stage import Job
from pipeline.graph.config import GraphConfig
from pipeline.graph.stage import GRAPH
from pipeline.parse.config import ParseConfig
from pipeline.parse.pieces import gathered
from pipeline.parse.splitter import PageSplitter
from pipeline.parse.stage import PARSE
from pipeline.segment.config import SegmentConfig
from pipeline.segment.stage import SEGMENT
from pipeline.storage.bz2_ranges import read_blocks
from pipeline.storage.decompress import decompress
from pipeline.tokenizer.config import TokenizerConfig
from pipeline.tokenizer.wordpiece import train_wordpiece
from tests.running import run_inline, tokenizer_job

_MAX_GROWTH = 6.0
_PAGE = b"<page><title>A</title><ns>0</ns><id>1</id><revision><text>%s</text></revision></page>"


def gap_between_pages(size: int) -> Callable[[], object]:
    """Open comments between two pages, none of which ends."""
    xml = _PAGE % b"a" + b"<!--" * (size * 1_000_000) + _PAGE % b"b"
    return lambda: list(PageSplitter([xml], [], 1 << 24).pages())


def gaps_between_pages(size: int) -> Callable[[], object]:
    """Many gaps of 100 kB each."""
    xml = (_PAGE % b"a" + b"<siteinfo>" * 10_000) * (size * 100)
    return lambda: list(PageSplitter([xml], [], 1 << 24).pages())


def tiny_bz2_streams(size: int) -> Callable[[], object]:
    """One page in very many streams of one word each."""
    packed = bz2.compress(_PAGE[:-40]) + bz2.compress(b"word ") * (size * 25_000)
    return lambda: list(PageSplitter(gathered(_blocks(packed)), iter(()), 1 << 24).pages())


def _blocks(packed: bytes) -> Iterator[bytes]:
    return read_blocks(io.BytesIO(packed), 0)


def tiny_gz_members(size: int) -> Callable[[], object]:
    """A gz file of very many members of one word each."""
    import gzip

    packed = gzip.compress(b"word ") * (size * 25_000)
    return lambda: sum(map(len, decompress(io.BytesIO(packed), "gz")))


def long_word(size: int) -> Callable[[], object]:
    """Train a tokenizer on one word of a megabyte."""
    texts = ["low lower lowest ", "xyz" * (size * 250_000)]
    return lambda: train_wordpiece(lambda: texts, 100)


def long_title(size: int) -> Callable[[], object]:
    """Take a page with a title of a megabyte through the stages; `parse` rejects it."""
    return lambda: _chain("A word.", title="A" * (size * 1_000_000))


def long_target(size: int) -> Callable[[], object]:
    """Resolve a link to a title of a megabyte."""
    return lambda: _chain(f"A [[{'A' * (size * 1_000_000)}|link]] to nowhere.")


def nested_xml(size: int) -> Callable[[], object]:
    """Read a page whose XML is nested a hundred thousand deep."""
    return lambda: _chain("A word.", namespace="<ns>0</ns>" + "<a>" * (size * 100_000))


def digits(size: int) -> Callable[[], object]:
    """Read a page whose namespace is a number of a hundred thousand digits."""
    return lambda: _chain("A word.", namespace=f"<ns>{'9' * (size * 100_000)}</ns>")


def sentences_without_words(size: int) -> Callable[[], object]:
    """Cut a page of very many sentences of one sign."""
    text = "a.\n" * (size * 50_000)
    return lambda: _chain(text)


def long_page(size: int) -> Callable[[], object]:
    """Take a page of prose with links through all stages."""
    return lambda: _chain("A [[link]] to a word, and more. " * (size * 10_000))


def _chain(text: str, title: str = "A", namespace: str = "<ns>0</ns>") -> None:
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(folder, "dump.xml")
        page = (_PAGE % text.encode()).replace(b">A<", f">{title}<".encode(), 1)
        page = page.replace(b"<ns>0</ns>", namespace.encode(), 1)
        other = (_PAGE % b"A word.").replace(b">A<", b">B<").replace(b"<id>1<", b"<id>2<", 1)
        dump.write_bytes(b"<mediawiki>" + page + other + b"</mediawiki>")
        run_inline(Job(PARSE, folder, ParseConfig(page_cpu_seconds=300.0), (str(dump),)))
        run_inline(Job(GRAPH, folder, GraphConfig()))
        run_inline(tokenizer_job([folder], TokenizerConfig(vocab_size=200)))
        run_inline(Job(SEGMENT, folder, SegmentConfig()))


def peak_of(text: str) -> None:
    """Print what the stages hold at most for a page, in a process of its own."""
    started = time.process_time()
    _chain(text)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{len(text) / 1e6:.1f} MB, {text[:12]!r}: {time.process_time() - started:.0f} CPU seconds,"
        f" {peak:,.0f} MiB at most",
        flush=True,
    )


KINDS = (
    gap_between_pages, gaps_between_pages, tiny_bz2_streams, tiny_gz_members, long_word, long_title,
    long_target, nested_xml, digits, sentences_without_words, long_page,
)  # fmt: skip


def main() -> int:
    """Print a line for each kind; return 1 if one grows faster than its input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    limit = ParseConfig().max_page_bytes
    names = [*(kind.__name__ for kind in KINDS), "pages"]
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(names)}; else all")
    parser.add_argument("--megabytes", type=float, default=limit / 1e6, help="of the last pages")
    args = parser.parse_args()
    chosen = set(args.kinds or names)
    failed = not chosen <= set(names)
    for kind in KINDS:
        if kind.__name__ in chosen:
            failed |= not is_linear(kind)
    if "pages" in chosen:
        failed |= not are_bounded(min(limit, int(args.megabytes * 1e6)) - 1000)
    return int(failed)


def is_linear(kind: Callable[[int], Callable[[], object]]) -> bool:
    """Print the CPU seconds of a kind at each size; tell whether they grow with it."""
    seconds = []
    for size in (1, 2, 4):
        work = kind(size)
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    is_so = seconds[2] <= _MAX_GROWTH * max(seconds[0], 0.01)
    figures = ", ".join(f"{each:.2f}" for each in seconds)
    print(f"{kind.__name__}: {figures} s{'' if is_so else '  GROWS TOO FAST'}", flush=True)
    return is_so


def are_bounded(num_bytes: int) -> bool:
    """Print time and memory of the largest pages; tell whether all went through."""
    is_so = True
    for sentence in ("A [[link]] to a word, and more. ", "a.\n", "word", "\u6c34\u3002"):
        text = sentence * (num_bytes // len(sentence.encode()))
        process = multiprocessing.get_context("spawn").Process(target=peak_of, args=(text,))
        process.start()
        process.join()
        is_so &= process.exitcode == 0
    return is_so


if __name__ == "__main__":
    sys.exit(main())
