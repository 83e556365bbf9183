"""Workers of the pool: who may stop them, and what they load."""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.engine.run import JobResult, run_job
from tests.conftest import REPOSITORY
from tests.forked import Forked
from tests.pipeline.engine.counting_stage import (
    counting_job,
    wait_for,
)

# A shell that runs the suite in the background has told it to ignore interrupts.
OPENING = """
import signal
import sys
from pathlib import Path
from pipeline.engine.run import run_job
from tests.pipeline.engine.counting_stage import counting_job
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
RUNNING = OPENING + "run_job(counting_job(sys.argv[1], trouble_dir=sys.argv[2]), workers=2)"

# The pool without Beam, whose import takes three CPU seconds.
POOL = """
import sys
from pipeline.engine.lifecycle import tasks_of_phase
from pipeline.engine.pool import run_tasks
from tests.pipeline.engine.counting_stage import counting_job
job = counting_job(sys.argv[1], trouble_dir=sys.argv[2])
phase = job.phases()[0]
records = list(run_tasks(job, phase, tasks_of_phase(job, phase, {}), 2))
print(sum(record["counts"]["rows"] for record in records))
"""


@pytest.fixture
def trouble(tmp_path: Path) -> Path:
    folder = tmp_path / "trouble"
    folder.mkdir()
    return folder


def python(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", code, *map(str, arguments)]


def test_arrays_cost_a_worker_no_pandas_and_the_caller_keeps_it(
    tmp_path: Path, trouble: Path
) -> None:
    pytest.importorskip("pandas")
    (trouble / "tell-0").touch()
    code = (
        POOL
        + """
import pandas as pd, pyarrow as pa
assert pa.array(pd.Series([7, None])).null_count == 1  # NaN is null to pandas
"""
    )
    subprocess.run(python(code, tmp_path / "out", trouble), cwd=REPOSITORY, check=True)
    loaded = (trouble / "modules-0").read_text().splitlines()
    assert "pyarrow" in loaded
    assert "pandas" not in loaded


@pytest.mark.parametrize(
    ("number", "kill", "status"),
    [
        (signal.SIGINT, os.killpg, 130),
        (signal.SIGTERM, os.kill, 143),
        (signal.SIGHUP, os.killpg, 129),
    ],
    ids=["interrupt of a terminal", "termination of one", "end of a terminal"],
)
def test_a_signal_ends_all_processes_at_once(
    tmp_path: Path,
    trouble: Path,
    number: int,
    kill: Callable[[int, int], None],
    status: int,
) -> None:
    (trouble / "sleep-0").touch()
    code = RUNNING.replace("run_job(c", "try:\n    run_job(c").replace(
        "workers=2)", "workers=2)\nexcept KeyboardInterrupt as stop:\n    sys.exit(stop.status)"
    )
    process = Forked(
        python(code, tmp_path / "out", trouble),
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(trouble / "sleeping")
    kill(process.pid, number)
    # The pipe ends with the last process that has it, be it a worker or what they are forked from.
    said = process.communicate()[1]
    assert process.returncode == status, said
    assert "ForkServerProcess" not in said
    worker = (trouble / "sleeping").read_text()
    state = subprocess.run(["ps", "-o", "stat=", "-p", worker], capture_output=True, text=True)
    assert state.stdout.strip()[:1] in ("", "Z"), "gone, or waiting for init to notice"


def test_an_interrupt_is_not_for_workers(
    tmp_path: Path, trouble: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (trouble / "interrupt-1").touch()
    caplog.set_level(logging.WARNING)
    job = counting_job(tmp_path / "out", trouble_dir=str(trouble))
    assert run_job(job, workers=2).summary == {"rows": 15}
    assert "died" not in caplog.text


def test_two_threads_that_run_at_once_keep_their_records_apart(tmp_path: Path) -> None:
    """In a process of their own, where nobody has imported Beam before."""
    code = OPENING + (
        "import threading\n"
        "def run(rows):\n"
        "    job = counting_job(f'{sys.argv[1]}/{rows}', rows_per_task=rows)\n"
        "    print(run_job(job, workers=1).summary['rows'] == 5 * rows)\n"
        "threads = [threading.Thread(target=run, args=(rows,)) for rows in (2, 3)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
    )
    told = subprocess.run(
        python(code, tmp_path), cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["True", "True"], told.stderr


def test_a_run_in_another_thread_than_the_main_one_works(tmp_path: Path) -> None:
    results: list[JobResult] = []
    thread = threading.Thread(
        target=lambda: results.append(run_job(counting_job(tmp_path), workers=1))
    )
    thread.start()
    thread.join()
    assert results[0].summary == {"rows": 15}
