"""How fast a dump becomes tables, beside what bounds it: bz2 alone, splitting alone, a naive parse.

    python -m tests.benchmarks.bench_parse DUMP.xml.bz2 [--processes 2] [--naive-ranges 2]

Prints one table: megabytes of XML a second of wall clock and a CPU second, peak memory a worker.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipeline import files
from pipeline.bz2_ranges import read_blocks
from pipeline.dump import plan_ranges
from pipeline.page_split import PageSplitter, RawPage
from pipeline.page_xml import parse_page, peek_namespace
from pipeline.parse import PARSE, ParseConfig
from pipeline.stage import Job, Phase, Records, Task, finish_job, open_job, plan_phase, run_task

Range = tuple[int, int]


@dataclass(frozen=True)
class Cost:
    """What one piece of work took: bytes of XML, CPU seconds, peak memory of its process."""

    xml_bytes: int
    cpu_seconds: float
    peak_bytes: int


def measured(work: Callable[[Any], int], item: Any) -> Cost:
    """Do one piece of work in this process."""
    started = time.process_time()
    xml_bytes = work(item)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Cost(xml_bytes, time.process_time() - started, peak)


def decode(path: str, byte_range: Range) -> int:
    """Decode bz2 alone."""
    with files.open_read(path) as file:
        return sum(map(len, read_blocks(file, *byte_range)))


def read_pages(path: str, use: Callable[[RawPage], object], byte_range: Range) -> int:
    """Decode, split into pages, use each."""
    start, end = byte_range
    with files.open_read(path) as file:
        splitter = PageSplitter(read_blocks(file, start, end), read_blocks(file, end), 1 << 26)
        for raw in splitter.pages():
            use(raw)
    return splitter.facts.num_bytes


def ignore(raw: RawPage) -> None:
    """Do nothing with a page."""


def read_fields(raw: RawPage) -> None:
    """Read the fields of an article."""
    if peek_namespace(raw.data) == 0:
        parse_page(raw.data)


def parse_naively(raw: RawPage) -> None:
    """Parse an article as the documentation of mwparserfromhell shows."""
    import mwparserfromhell

    if peek_namespace(raw.data) == 0:
        code = mwparserfromhell.parse(parse_page(raw.data).text)
        code.filter_wikilinks()
        code.strip_code()


def run_one(job: Job, phase: Phase, task: Task) -> int:
    """Run one task of the stage."""
    return int(run_task(job, phase, task).get("facts", {}).get("num_bytes", 0))


def run_stage(path: str, processes: int) -> tuple[float, list[Cost]]:
    """Run the whole stage; return wall seconds and the cost of each task."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        job = open_job(Job(PARSE, folder, ParseConfig(), (path,)))
        records: Records = {}
        costs: list[Cost] = []
        with multiprocessing.Pool(processes) as pool:
            for phase in PARSE.phases:
                tasks = plan_phase(job, phase, records)
                work = partial(measured, partial(run_one, job, phase))
                costs += pool.map(work, tasks, chunksize=1)
                records[phase.name] = [run_task(job, phase, task) for task in tasks]
        finish_job(job, records)
        return time.perf_counter() - started, costs


def run_ranges(
    work: Callable[[Range], int], ranges: list[Range], processes: int
) -> tuple[float, list[Cost]]:
    """Do one piece of work a range."""
    started = time.perf_counter()
    with multiprocessing.Pool(processes) as pool:
        costs = pool.map(partial(measured, work), ranges, chunksize=1)
    return time.perf_counter() - started, costs


def line(name: str, wall_seconds: float, costs: list[Cost]) -> str:
    """Return one line of the table."""
    megabytes = sum(cost.xml_bytes for cost in costs) / 1e6
    cpu = sum(cost.cpu_seconds for cost in costs)
    peak = max(cost.peak_bytes for cost in costs) / 1e6
    return (
        f"{name:34}{megabytes:10.1f}{megabytes / wall_seconds:12.1f}"
        f"{megabytes / cpu:14.1f}{peak:12.0f}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dump", help="a bz2 dump")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--naive-ranges", type=int, default=2, help="it takes minutes for all")
    args = parser.parse_args()
    num_bytes = files.size(args.dump)
    ranges = plan_ranges(num_bytes, num_bytes)
    print(f"{args.dump}: {platform.processor() or platform.machine()}, {args.processes} processes")
    print(f"{'':34}{'MB of XML':>10}{'MB/s wall':>12}{'MB/s CPU':>14}{'MB memory':>12}")
    print(line("parse, dump to finished tables", *run_stage(args.dump, args.processes)))
    for name, work, chosen in (
        ("bz2 alone", partial(decode, args.dump), ranges),
        ("bz2, split", partial(read_pages, args.dump, ignore), ranges),
        ("bz2, split, fields", partial(read_pages, args.dump, read_fields), ranges),
        (
            f"mwparserfromhell, {args.naive_ranges} ranges",
            partial(read_pages, args.dump, parse_naively),
            ranges[:: max(1, len(ranges) // args.naive_ranges)][: args.naive_ranges],
        ),
    ):
        print(line(name, *run_ranges(work, chosen, args.processes)))


if __name__ == "__main__":
    main()
