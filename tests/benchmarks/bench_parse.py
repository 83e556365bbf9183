"""How fast a dump becomes tables, beside its peers and what bounds it, in one table.

    python -m tests.benchmarks.bench_parse DUMP.xml.bz2 [--processes 2] [--every 20]

The first rows are whole programs on the whole dump, by the clock: ours, ours on the same XML as one
bz2 stream, and wikiextractor without templates, which gives text alone. Then what bounds the stage:
bz2 alone, and pages found and read. Last, on every 20th article and a core, the extraction beside
what the documentation of mwparserfromhell shows: parse, filter_wikilinks, strip_code.

MB are 10^6 bytes of XML, of wikitext in the last two rows. CPU is that of the tasks, memory the
most that a process which runs tasks ever took.
"""

from __future__ import annotations

import argparse
import bz2
import dataclasses
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.engine.lifecycle import finish_job, open_job
from pipeline.engine.lifecycle import plan_phase as plan
from pipeline.engine.pool import run_tasks
from pipeline.engine.stage import Job, Phase, Record, Records, Stage, Task
from pipeline.parse.config import ParseConfig
from pipeline.parse.header import parse_siteinfo
from pipeline.parse.page_xml import Page, parse_page, peek_namespace
from pipeline.parse.sources import inspect_source, plan_ranges
from pipeline.parse.splitter import PageSplitter, RawPage
from pipeline.parse.stage import PARSE
from pipeline.storage import files
from pipeline.storage.bz2_ranges import read_blocks
from pipeline.wiki.site_info import default_site
from pipeline.wikitext.extract import extract

MAX_PAGE_BYTES = 1 << 26


@dataclass
class Row:
    """A line of the table; what is 0 was not measured."""

    name: str
    num_bytes: int
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0

    def __str__(self) -> str:
        def rate(seconds: float) -> str:
            return f"{self.num_bytes / 1e6 / seconds:.1f}" if seconds else ""

        peak = f"{self.peak_bytes / 1e6:.0f}" if self.peak_bytes else ""
        return (
            f"{self.name:42}{self.num_bytes / 1e6:8.1f}{rate(self.wall_seconds):>11}"
            f"{rate(self.cpu_seconds):>15}{peak:>9}"
        )


def measured(run: Callable[[Job, Task], Record], job: Job, task: Task) -> Record:
    """Run a task; its record tells its cost."""
    started = time.process_time()
    record = run(job, task)
    record["cpu_seconds"] = time.process_time() - started
    record["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return record


def measured_stage(stage: Stage, job: Job, processes: int) -> list[Record]:
    """Run a stage as the command does, on processes of the pool; return the records of tasks."""
    records: Records = {}
    for phase in stage.phases:
        tasks = plan(job, phase, records)
        timed = dataclasses.replace(phase, run=partial(measured, phase.run))
        found = run_tasks(job, timed, tasks, processes)
        records[phase.name] = sorted(found, key=lambda record: record["index"])
    finish_job(job, records)
    return [record for phase in records.values() for record in phase]


def stage_row(name: str, dump: str, num_bytes: int, processes: int) -> Row:
    """Measure the stage without what starts it: imports and Beam."""
    with tempfile.TemporaryDirectory() as folder:
        job = open_job(Job(PARSE, folder, ParseConfig(), (dump,)))
        started = time.perf_counter()
        records = measured_stage(PARSE, job, processes)
        wall = time.perf_counter() - started
    cpu = sum(record["cpu_seconds"] for record in records)
    peak = max(record["peak_bytes"] for record in records)
    return Row(name, num_bytes, wall, cpu, peak)


def command_row(name: str, num_bytes: int, command: list[str]) -> Row:
    """Measure a whole command by the clock."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", *command, folder + "/out"], capture_output=True, check=False
        )
        wall = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{name} failed: {done.stderr.decode()[-300:]}")
    return Row(name, num_bytes, wall)


# ------------------------------------------------------------------------------ what bounds it


def decode(job: Job, task: Task) -> Record:
    """Decode the bz2 blocks of a range."""
    with files.open_read(task.args["path"]) as file:
        sum(map(len, read_blocks(file, task.args["start"], task.args["end"])))
    return {"index": task.index, "counts": {}, "files": {}}


def split(job: Job, task: Task) -> Record:
    """Decode a range and find its pages."""
    return read_pages(task, lambda raw: None)


def read_fields(job: Job, task: Task) -> Record:
    """Decode a range, find its pages and read the fields of articles."""
    return read_pages(task, lambda raw: peek_namespace(raw.data) == 0 and parse_page(raw.data))


def read_pages(task: Task, use: Callable[[RawPage], object]) -> Record:
    """Give the pages of a range to a function."""
    start, end = task.args["start"], task.args["end"]
    with files.open_read(task.args["path"]) as file:
        pieces, after = read_blocks(file, start, end), read_blocks(file, end)
        for raw in PageSplitter(pieces, after, MAX_PAGE_BYTES).pages():
            use(raw)
    return {"index": task.index, "counts": {}, "files": {}}


def bound_row(
    name: str, run: Callable[[Job, Task], Record], dump: str, num_bytes: int, processes: int
) -> Row:
    """Measure part of the work on the ranges of the stage."""
    size = files.size(dump)
    tasks = [
        Task(index, {"path": dump, "start": start, "end": end}, weight=end - start)
        for index, (start, end) in enumerate(plan_ranges(size, size))
    ]
    with tempfile.TemporaryDirectory() as folder:
        job = Job(PARSE, folder, ParseConfig(), (dump,))
        phase = Phase("bound", _no_plan, partial(measured, run))
        started = time.perf_counter()
        records = list(run_tasks(job, phase, tasks, processes))
        wall = time.perf_counter() - started
    cpu = sum(record["cpu_seconds"] for record in records)
    return Row(name, num_bytes, wall, cpu, max(record["peak_bytes"] for record in records))


def _no_plan(job: Job, records: Records) -> list[Task]:
    return []


# ------------------------------------------------------------------------------ a core


def sample_articles(dump: str, every: int) -> list[Page]:
    """Return every n-th article of a dump."""
    found: list[Page] = []
    with files.open_read(dump) as file:
        articles = (
            raw
            for raw in PageSplitter(read_blocks(file, 0), iter(()), MAX_PAGE_BYTES).pages()
            if peek_namespace(raw.data) == 0
        )
        for index, raw in enumerate(articles):
            if index % every == 0:
                found.append(parse_page(raw.data))
    return found


def page_row(name: str, pages: list[Page], use: Callable[[Page], Any]) -> Row:
    """Measure work on articles in memory, on one core."""
    started = time.process_time()
    for page in pages:
        use(page)
    cpu = time.process_time() - started
    return Row(name, sum(len(page.text.encode()) for page in pages), cpu_seconds=cpu)


def parse_plainly(page: Page) -> None:
    """Parse an article as the documentation of mwparserfromhell shows."""
    import mwparserfromhell

    code = mwparserfromhell.parse(page.text)
    code.filter_wikilinks()
    code.strip_code()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dump", help="a bz2 dump")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--every", type=int, default=20, help="articles for the rows of one core")
    args = parser.parse_args()
    dump, processes = args.dump, args.processes
    xml = bz2.decompress(Path(dump).read_bytes())
    num_bytes = len(xml)
    print(f"{Path(dump).name}, {processes} processes")
    print(f"{'':42}{'MB':>8}{'MB/s wall':>11}{'MB/s CPU core':>15}{'MB mem':>9}", flush=True)

    def show(row: Row) -> Row:
        print(row, flush=True)
        return row

    workers = str(processes)
    ours = show(
        command_row(
            "linkbert parse, the command",
            num_bytes,
            ["linkbert", "parse", dump, "--quiet", "--workers", workers, "--out"],
        )
    )
    show(stage_row("  the stage alone", dump, num_bytes, processes))
    with tempfile.TemporaryDirectory() as folder:
        single = Path(folder) / Path(dump).name
        single.write_bytes(bz2.compress(xml))
        del xml
        show(stage_row("  the stage, one bz2 stream", str(single), num_bytes, processes))
    peer = show(
        command_row(
            "wikiextractor, no templates, text alone",
            num_bytes,
            [
                *("wikiextractor.WikiExtractor", "--json", "--links", "--no-templates", "--quiet"),
                *("--processes", workers, dump, "-o"),
            ],
        )
    )
    for name, run in (
        ("bz2 alone", decode),
        ("bz2, pages found", split),
        ("bz2, pages found, fields read", read_fields),
    ):
        show(bound_row(name, run, dump, num_bytes, processes))
    pages = sample_articles(dump, args.every)
    site = parse_siteinfo(inspect_source(dump, False).head, None) or default_site()
    extraction = show(
        page_row("extraction, a core", pages, lambda page: extract(page.text, page.title, site))
    )
    plain = show(page_row("mwparserfromhell, a core", pages, parse_plainly))
    print(
        f"linkbert parse is {peer.wall_seconds / ours.wall_seconds:.2f} times as fast as "
        f"wikiextractor, its extraction {plain.cpu_seconds / extraction.cpu_seconds:.1f} times as "
        "fast as mwparserfromhell's full parse"
    )


if __name__ == "__main__":
    main()
