"""Measure what the settings of a worker process save: its collector, its malloc, and no pandas.

    python -m tests.benchmarks.bench_workers

Alternately with and without them, each in a process of its own, `parse` of the bundled dump.
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from multiprocessing.connection import Connection

from pipeline.engine import pool
from pipeline.engine.stage import Job
from pipeline.parse.config import ParseConfig
from pipeline.parse.stage import PARSE
from tests.pipeline.chain import LTGWIKI
from tests.running import run_inline

_REPEATS = 3


def work(is_tuned: bool, answer: Connection) -> None:
    """Parse the dump in this process; send the CPU seconds that it took."""
    started = time.process_time()
    if is_tuned:
        pool._tune_process()
    with tempfile.TemporaryDirectory() as folder:
        run_inline(Job(PARSE, folder, ParseConfig(), (str(LTGWIKI),)))
    answer.send(time.process_time() - started)


def cpu_seconds(is_tuned: bool) -> float:
    """Return what `work` takes in a fresh process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(is_tuned, theirs))
    process.start()
    seconds: float = ours.recv()
    process.join()
    return seconds


def main() -> None:
    """Print the medians and their quotient."""
    taken: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(_REPEATS):
        for is_tuned, seconds in taken.items():
            seconds.append(cpu_seconds(is_tuned))
    with_, without = (statistics.median(taken[is_tuned]) for is_tuned in (True, False))
    print(f"with {with_:.2f} CPU s, without {without:.2f}: {with_ / without:.2f} of the time")


if __name__ == "__main__":
    main()
