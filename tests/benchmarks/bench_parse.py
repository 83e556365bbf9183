"""How fast a dump becomes tables, beside its peers and what bounds it, in one table.

    python -m tests.benchmarks.bench_parse DUMP.xml.bz2 [--processes 2] [--every 20]
        [--reference LINKS.jsonl] [--wikrs BINARY]

The first rows are whole programs on the whole dump: ours, wikiextractor without templates, wikrs
where its binary is. Then our stage alone, on the dump and on the same XML as one bz2 stream, and
what bounds it: bz2 alone, and pages found and read. Then, on every 20th article and a core, the
extraction beside what the documentation of mwparserfromhell shows: parse, filter_wikilinks,
strip_code. Last what each program gives: the share of the links of a reference that it keeps, how
many of their anchors are right, and how many of our cases of prose, blanks apart.

MB are 10^6 bytes of XML, of wikitext in the two rows of the extraction. CPU is that of all
processes of a program, of the tasks in the rows of a stage; memory is the most that a process which
runs tasks ever took.
"""

from __future__ import annotations

import argparse
import bz2
import os
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.engine.lifecycle import finish_job, open_job, tasks_of_phase
from pipeline.engine.pool import run_tasks
from pipeline.engine.stage import Job, Phase, Record, Records, Stage, Task
from pipeline.parse.config import ParseConfig
from pipeline.parse.header import parse_siteinfo
from pipeline.parse.page_xml import Page, parse_page, peek_namespace
from pipeline.parse.sources import inspect_source, ranges_of
from pipeline.parse.splitter import PageSplitter, RawPage
from pipeline.parse.stage import PARSE
from pipeline.storage import files
from pipeline.storage.bz2_ranges import read_blocks
from pipeline.wiki.site_info import default_site
from pipeline.wikitext.extract import extract
from tests.benchmarks.__main__ import hardware
from tests.benchmarks.peers import (
    Extractor,
    Links,
    extractors,
    read_reference,
    right_cases,
    run,
    share_of_links,
)

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
        def cells(seconds: float) -> str:
            rate = self.num_bytes / 1e6 / seconds if seconds else 0.0
            return f"{seconds:9.1f}{rate:11.1f}" if seconds else " " * 20

        peak = f"{self.peak_bytes / 1e6:.0f}" if self.peak_bytes else ""
        return (
            f"{self.name:34}{self.num_bytes / 1e6:8.1f}{cells(self.wall_seconds)}"
            f"{cells(self.cpu_seconds)}{peak:>8}"
        )


def measured(part: Callable[[Job, Task], Record], job: Job, task: Task) -> Record:
    """Run a task; its record tells its cost."""
    started = time.process_time()
    record = part(job, task)
    record["cpu_seconds"] = time.process_time() - started
    record["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return record


def measured_stage(stage: Stage, job: Job, processes: int) -> list[Record]:
    """Run a stage as the command does, on processes of the pool; return the records of tasks."""
    records: Records = {}
    for phase in stage.phases:
        tasks = tasks_of_phase(job, phase, records)
        timed = replace(phase, run=partial(measured, phase.run))
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


def program_rows(
    dump: str, num_bytes: int, workers: int, programs: list[Extractor], reference: dict[str, Links]
) -> list[str]:
    """Run each program on the dump, print a row each; return a line each of what it gives."""
    given = []
    for program in programs:
        if program.missing:
            print(f"{program.name:34}{program.missing}", flush=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            used = run(program, dump, folder, workers)
            row = Row(program.name, num_bytes, used.wall_seconds, used.cpu_seconds)
            print(replace(row, peak_bytes=used.process_bytes), flush=True)
            shares = f"{'':22}"
            if reference:
                kept, right = share_of_links(reference, program.pages(Path(folder)))
                shares = f"{kept:11.2%}{right:11.2%}" if kept else f"{'none':>11}{'':11}"
        num_right, num_cases = right_cases(program)
        given.append(f"{program.name:34}{shares}{num_right:8} of {num_cases}")
    return given


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
    name: str, part: Callable[[Job, Task], Record], dump: str, num_bytes: int, processes: int
) -> Row:
    """Measure part of the work on the ranges of the stage."""
    size = files.size(dump)
    tasks = [
        Task(index, {"path": dump, "start": start, "end": end}, weight=end - start)
        for index, (start, end) in enumerate(ranges_of(size, size))
    ]
    with tempfile.TemporaryDirectory() as folder:
        job = Job(PARSE, folder, ParseConfig(), (dump,))
        phase = Phase("bound", _no_tasks, partial(measured, part))
        started = time.perf_counter()
        records = list(run_tasks(job, phase, tasks, processes))
        wall = time.perf_counter() - started
    cpu = sum(record["cpu_seconds"] for record in records)
    return Row(name, num_bytes, wall, cpu, max(record["peak_bytes"] for record in records))


def _no_tasks(job: Job, records: Records) -> list[Task]:
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


def repack(dump: str, path: str | None) -> int:
    """Return the bytes of XML of a bz2 dump; write them as one stream where a path is given."""
    num_bytes, packer = 0, bz2.BZ2Compressor()
    with bz2.open(dump) as source, open(path or os.devnull, "wb") as file:
        while piece := source.read(1 << 20):
            num_bytes += len(piece)
            if path:
                file.write(packer.compress(piece))
        if path:
            file.write(packer.flush())
    return num_bytes


def stage_rows(dump: str, num_bytes: int, processes: int) -> None:
    """Measure our stage without the start of its command, and what bounds it."""
    print(stage_row("our stage alone", dump, num_bytes, processes), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        single = f"{folder}/{Path(dump).name}"
        repack(dump, single)
        print(stage_row("the same, one bz2 stream", single, num_bytes, processes), flush=True)
    for name, part in (
        ("bz2 alone", decode),
        ("bz2, pages found", split),
        ("bz2, pages found, fields read", read_fields),
    ):
        print(bound_row(name, part, dump, num_bytes, processes), flush=True)


def core_rows(dump: str, every: int) -> None:
    """Measure the extraction of articles in memory, beside mwparserfromhell's full parse."""
    pages = sample_articles(dump, every)
    site = parse_siteinfo(inspect_source(dump, False).head, None) or default_site()
    ours = page_row("extraction", pages, lambda page: extract(page.text, page.title, site))
    print(ours, flush=True)
    plain = page_row("mwparserfromhell, full parse", pages, parse_plainly)
    print(plain, f"  {plain.cpu_seconds / ours.cpu_seconds:.1f} times ours")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dump", help="a bz2 dump")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--every", type=int, default=20, help="articles for the rows of one core")
    parser.add_argument("--reference", help="links of its pages as another parser finds them")
    parser.add_argument("--wikrs", help="its binary, where it is not on the path")
    args = parser.parse_args()
    dump, processes = args.dump, args.processes
    num_bytes = repack(dump, None)
    print(f"{hardware()}\n{Path(dump).name}, {processes} processes")
    columns = f"{'wall s':>9}{'MB/s wall':>11}{'CPU s':>9}{'MB/s CPU':>11}{'MB mem':>8}"
    print(f"{'':34}{'MB':>8}{columns}", flush=True)
    reference = read_reference(args.reference) if args.reference else {}
    given = program_rows(dump, num_bytes, processes, extractors(args.wikrs), reference)
    stage_rows(dump, num_bytes, processes)
    core_rows(dump, args.every)
    print(f"\n{'what each gives':34}{'links':>11}{'anchors':>11}{'cases':>14}")
    print(*given, sep="\n")
    if not reference:
        print("links and anchors need --reference")


if __name__ == "__main__":
    # Workers find what they run by the name of its module, which `__main__` is not to them.
    from tests.benchmarks import bench_parse

    bench_parse.main()
