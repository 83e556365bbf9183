"""From a dump of gigabytes to shards and a model: time, throughput, memory and disk by stage.

    python -m tests.benchmarks.bench_large DUMP.xml.bz2 --megabytes 100 2000 --folder /big/disk
    python -m tests.benchmarks.bench_large --made --megabytes 10000 --folder /big/disk

The pages of a real dump are repeated up to each size, with new ids and titles, as multistream bz2
(`repeated_dump`). Made pages (`synthetic_dump`) are for link graphs larger than any dump at hand:
they cost two to three times less per byte than real ones, so their figures belong in no table of
`parse` and `segment`, and nothing is computed from them.

Each stage is one command in a session of its own; four times a second all its processes are looked
at. CPU seconds say more than wall ones on a machine that others use. Memory is what a process has
for itself (RssAnon): mapped files are the page cache's and can be taken away. The last table scales
the largest run to English Wikipedia by bytes of XML: computed, not measured. Page length and share
of text stand beside the figures, because a stage costs less where they are lower.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.manifest import read_manifest
from tests.benchmarks.__main__ import hardware
from tests.benchmarks.repeated_dump import write_repeated
from tests.benchmarks.synthetic_dump import PAGES_PER_ROUND, wiki_of, write_dump
from tests.benchmarks.watched import Usage, run_watched

ENWIKI_XML_BYTES = 125e9
ENWIKI_ARTICLES = 7e6

# Training is measured elsewhere; here it shows that the shards are what it takes.
_FEW_STEPS = ("max_steps=5", "batch_size=8", "micro_batch_size=8", "validation_instances=32")


def stages(dump: Path, root: Path, workers: int) -> list[tuple[str, list[str]]]:
    """Return the commands from a dump to a model, each with its name."""
    corpus, shards = str(root / "corpus"), str(root / "shards")
    run, model = str(root / "run"), str(root / "model")
    steps = [f"--set={key}" for key in _FEW_STEPS]
    chain = {
        "parse": ["parse", str(dump), "--out", corpus],
        "graph": ["graph", corpus],
        "tokenizer": ["tokenizer", corpus],
        "segment": ["segment", corpus],
        "sample": ["sample", corpus, "--out", shards],
        "pretrain, 5 steps": ["pretrain", shards, "--out", run, "--config", "tiny", *steps],
        "export": ["export", run, "--out", model],
        "check": ["check", str(root)],
    }
    beginning = [sys.executable, "-m", "linkbert"]
    with_workers = ("parse", "graph", "tokenizer", "segment", "sample")
    ending = {name: ["--workers", str(workers)] if name in with_workers else [] for name in chain}
    return [(name, [*beginning, *args, *ending[name], "--quiet"]) for name, args in chain.items()]


@dataclass(frozen=True, slots=True)
class Sample:
    """A dump to measure on, and what its pages are like."""

    path: Path
    xml_bytes: int
    num_articles: int
    num_pages: int
    kind: str

    def __str__(self) -> str:
        return (
            f"{self.xml_bytes / 1e6:,.0f} MB of XML, {self.path.stat().st_size / 1e6:,.0f} MB on "
            f"disk, {self.num_articles:,} articles among {self.num_pages:,} pages ({self.kind}), "
            f"{self.xml_bytes / max(self.num_articles, 1) / 1e3:.1f} kB of XML per article"
        )


def repeated_sample(source: str, folder: Path, megabytes: int, copies: int) -> Sample:
    """Repeat a real dump up to a size, or so many times."""
    path = folder / f"repeated-{copies or megabytes}.xml.bz2"
    size = write_repeated(source, str(path), megabytes * 10**6, copies)
    kind = f"{Path(source).name}, {size.num_copies} copies begun"
    return Sample(path, size.xml_bytes, size.num_articles, size.num_pages, kind)


def made_sample(folder: Path, megabytes: int, workers: int) -> Sample:
    """Make a dump of a size."""
    path, wiki = folder / f"made-{megabytes}.xml.bz2", wiki_of(megabytes * 10**6)
    num_bytes = write_dump(str(path), wiki, workers)
    num_pages = wiki.num_rounds * PAGES_PER_ROUND
    return Sample(path, num_bytes, wiki.num_articles, num_pages, "made pages")


def measure(sample: Sample, folder: Path, workers: int) -> dict[str, Usage]:
    """Run the chain on a dump and print a line per stage; nothing of it is kept."""
    print(f"\n{sample}, {workers} workers; load {os.getloadavg()[0]:.1f}")
    print(
        f"{'':20}{'wall s':>9}{'CPU s':>9}{'MB/s wall':>11}{'MB/s CPU':>10}"
        f"{'MB a process':>14}{'MB in all':>11}{'MB mapped':>11}{'disk, MB':>10}{'kept, MB':>10}",
        flush=True,
    )
    found: dict[str, Usage] = {}
    root = folder / "chain"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for name, command in stages(sample.path, root, workers):
        found[name] = run_watched(command, root)
        print(line(name, found[name], sample.xml_bytes), flush=True)
        if name == "parse":
            share = text_bytes(root / "corpus") / sample.xml_bytes
            print(f"{'':20}text is {share:.0%} of the XML", flush=True)
        if name == "sample":
            print_counts(root)
    shutil.rmtree(root)
    return found


def text_bytes(corpus: Path) -> int:
    """Return the bytes of the texts of all pages."""
    total = 0
    for path in (corpus / "pages").glob("*.parquet"):
        for batch in pq.ParquetFile(path).iter_batches(1024, columns=["text"]):
            total += pc.sum(pc.binary_length(batch.column(0))).as_py() or 0
    return total


def line(name: str, usage: Usage, xml_bytes: int) -> str:
    """Return one line of the table."""
    return (
        f"{name:20}{usage.wall_seconds:9.0f}{usage.cpu_seconds:9.0f}"
        f"{xml_bytes / 1e6 / usage.wall_seconds:11.1f}{xml_bytes / 1e6 / usage.cpu_seconds:10.1f}"
        f"{usage.process_bytes / 1e6:14.0f}{usage.all_bytes / 1e6:11.0f}"
        f"{usage.mapped_bytes / 1e6:11.0f}{usage.disk_bytes / 1e6:10.0f}"
        f"{usage.kept_bytes / 1e6:10.0f}"
    )


def print_counts(root: Path) -> None:
    """Print how large the tables are."""
    tables = {
        name: read_manifest(root / where / name).rows_out
        for where, names in {
            "corpus": ("pages", "mentions", "edges", "segments"),
            "shards": ("train",),
        }.items()
        for name in names
    }
    print(", ".join(f"{name} {count:,}" for name, count in tables.items()), flush=True)


def print_estimate(measured: list[tuple[Sample, dict[str, Usage]]]) -> None:
    """Scale the stages that grow with the dump to English Wikipedia, by bytes of XML.

    The tokenizer is left out: it reads a sample of bounded size. Of several sizes, what the largest
    takes beyond the smallest is scaled, so that the start of a command counts once.
    """
    (small, small_usage), (large, large_usage) = measured[0], measured[-1]
    is_one = len(measured) == 1
    num_bytes = large.xml_bytes - (0 if is_one else small.xml_bytes)
    print(
        f"\ncomputed, not measured: English Wikipedia, 125 GB of XML with "
        f"{ENWIKI_XML_BYTES / ENWIKI_ARTICLES / 1e3:.0f} kB per article, all namespaces among it; "
        f"from {large.path.name}, {large.xml_bytes / large.num_articles / 1e3:.0f} kB per article"
        + ("; the start of commands is scaled too" if is_one else "")
    )
    factor = ENWIKI_XML_BYTES / num_bytes
    for name in ("parse", "graph", "segment", "sample"):
        first, usage = small_usage[name], large_usage[name]
        cpu_seconds = usage.cpu_seconds - (0 if is_one else first.cpu_seconds)
        disk_bytes = usage.disk_bytes - (0 if is_one else first.disk_bytes)
        print(
            f"{name:20}{cpu_seconds * factor / 3600:9.1f} CPU h"
            f"{disk_bytes * factor / 1e9:9.0f} GB at most"
        )


def main() -> None:
    """Measure every size, then compute what English Wikipedia would take."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dump", nargs="?", help="a real dump, of any compression")
    parser.add_argument("--made", action="store_true", help="made pages instead of a dump")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--megabytes", type=int, nargs="+", default=[100, 2000], help="of XML")
    amount.add_argument("--copies", type=int, nargs="+", help="of the dump, instead of a size")
    parser.add_argument("--folder", type=Path, help="a disk with room for three times the largest")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    if bool(args.dump) == args.made or (args.made and args.copies):
        parser.error("expected a dump to repeat, or --made with --megabytes")
    print(hardware(), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        measured: list[tuple[Sample, dict[str, Usage]]] = []
        for number in args.copies or args.megabytes:
            if args.made:
                sample = made_sample(folder, number, args.workers)
            else:
                copies = number if args.copies else 0
                sample = repeated_sample(args.dump, folder, 0 if copies else number, copies)
            measured.append((sample, measure(sample, folder, args.workers)))
            sample.path.unlink()
        if not args.made:
            print_estimate(measured)


if __name__ == "__main__":
    main()
