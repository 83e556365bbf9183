"""A local run begins with its tasks before Beam is there, and nothing else is different for it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from linkbert.cli.commands import main
from pipeline.engine import pool
from pipeline.engine.lifecycle import open_job
from pipeline.engine.pool import tasks_ahead
from pipeline.engine.run import JobResult, run_job
from pipeline.engine.stage import Job
from schemas.errors import ConfigError, DumpError, LinkBertError, StageError
from tests.conftest import REPOSITORY
from tests.pipeline.engine.counting_stage import counting_job, tree_bytes
from tests.pipeline.engine.held_beam import wait_for
from tests.running import run_inline

BEAM_ALONE = ("--runner=FnApiRunner",)
"""The runner that a run without options takes too; but then nothing runs ahead."""

# A shell that runs the suite in the background has told it to ignore interrupts.
OPENING = """
import signal
import sys
from pathlib import Path
from pipeline.engine.run import run_job
from tests.pipeline.engine.counting_stage import counting_job
from tests.pipeline.engine.held_beam import hold_beam, telling_job
signal.signal(signal.SIGINT, signal.default_int_handler)
"""


@pytest.fixture
def trouble(tmp_path: Path) -> Path:
    folder = tmp_path / "trouble"
    folder.mkdir()
    return folder


def python(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", OPENING + code, *map(str, arguments)]


def test_a_finished_output_is_told_without_loading_beam(tmp_path: Path, mini_dump: Path) -> None:
    command = ["parse", str(mini_dump), "--out", str(tmp_path / "corpus")]
    assert main([*command, "--quiet"]) == 0
    code = (
        "import linkbert.cli.commands\n"
        "assert linkbert.cli.commands.main(sys.argv[1:]) == 0\n"
        "assert 'apache_beam' not in sys.modules"
    )
    told = subprocess.run(
        python(code, *command), cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert "already finished" in told.stderr


@pytest.mark.parametrize(
    ("num_tasks", "asked"),
    [(1, ""), (5, ""), (1, "die-once-0"), (5, "die-once-3")],
    ids=["one task", "five", "one of one killed", "one of five killed"],
)
def test_all_tasks_run_while_beam_is_imported(
    tmp_path: Path, trouble: Path, num_tasks: int, asked: str
) -> None:
    config = {"trouble_dir": str(trouble), "num_tasks": num_tasks}
    run_inline(counting_job(tmp_path / "inline", **config))
    expected = tree_bytes(tmp_path / "inline")
    begun = [trouble / f"begun-{index}" for index in range(num_tasks)]
    for path in begun:
        path.unlink()
    if asked:
        (trouble / asked).touch()
    code = (
        "hold_beam(*map(Path, sys.argv[4:]))\n"
        "job = counting_job(sys.argv[1], trouble_dir=sys.argv[2], num_tasks=int(sys.argv[3]))\n"
        "run_job(job, workers=2)"
    )
    command = python(code, tmp_path / "out", trouble, num_tasks, *begun)
    subprocess.run(command, cwd=REPOSITORY, check=True)
    assert tree_bytes(tmp_path / "out") == expected


@pytest.mark.parametrize("num_tasks", [1, 3])
@pytest.mark.parametrize(
    ("asked", "error_class"),
    [("raise-0", DumpError), ("die-0", StageError), ("full-0", StageError)],
)
def test_an_error_in_a_task_that_runs_ahead_is_told_as_beam_tells_it(
    tmp_path: Path, trouble: Path, asked: str, error_class: type[LinkBertError], num_tasks: int
) -> None:
    (trouble / asked).touch()
    job = counting_job(tmp_path / "out", trouble_dir=str(trouble), num_tasks=num_tasks)
    ahead, alone = one_line_of(job), one_line_of(job, BEAM_ALONE)
    assert ahead == alone
    assert ahead[0] is error_class


def one_line_of(job: Job, beam_args: Sequence[str] = ()) -> tuple[type[BaseException], str]:
    with pytest.raises(LinkBertError) as caught:
        run_job(job, workers=2, beam_args=beam_args)
    return caught.type, str(caught.value).split(" [while running")[0]


@pytest.mark.parametrize("beam_args", [(), BEAM_ALONE], ids=["ahead again", "beam alone"])
def test_a_run_that_fails_before_beam_asks_for_the_tasks_leaves_nothing_behind(
    tmp_path: Path, trouble: Path, monkeypatch: pytest.MonkeyPatch, beam_args: tuple[str, ...]
) -> None:
    def fail(*_: object, **__: object) -> str:
        # Task 1 is done, and its record waits to be taken; task 0 is in the middle.
        wait_for(tmp_path / "out/_state/counting/_tasks/square-00001.json", trouble / "sleeping")
        raise ConfigError("expected a Beam that builds, found this one")

    (trouble / "sleep-0").touch()
    job = counting_job(tmp_path / "out", trouble_dir=str(trouble), num_tasks=2)
    started = watch_workers(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.engine.beam.run_pipeline", fail)
        with pytest.raises(ConfigError, match="a Beam that builds"):
            run_job(job, workers=2)
    assert len(started) == 2
    assert not any(process.is_alive() for process in started)
    (trouble / "sleep-0").unlink()
    run_job(job, workers=2, beam_args=beam_args)
    run_inline(replace(job, root=str(tmp_path / "calm")))
    assert tree_bytes(tmp_path / "out") == tree_bytes(tmp_path / "calm")


def watch_workers(monkeypatch: pytest.MonkeyPatch) -> list[BaseProcess]:
    """Return a list that every process of a pool is added to."""
    started: list[BaseProcess] = []
    start = pool._Pool._start

    def watched_start(self: pool._Pool) -> pool._Worker:
        worker = start(self)
        started.append(worker.process)
        return worker

    monkeypatch.setattr(pool._Pool, "_start", watched_start)
    return started


def test_a_worker_that_takes_the_place_of_a_dead_one_as_the_run_ends_gets_no_task(
    tmp_path: Path, trouble: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = watch_workers(monkeypatch)
    start, kill = pool._Pool._start, pool._Pool.kill
    is_replacing, is_ended = threading.Event(), threading.Event()

    def start_late(self: pool._Pool) -> pool._Worker:
        worker = start(self)
        if threading.current_thread() is not threading.main_thread():
            is_replacing.set()
            is_ended.wait(20)
        return worker

    def kill_and_tell(self: pool._Pool) -> None:
        kill(self)
        is_ended.set()

    monkeypatch.setattr(pool._Pool, "_start", start_late)
    monkeypatch.setattr(pool._Pool, "kill", kill_and_tell)
    (trouble / "die-once-1").touch()
    job = counting_job(tmp_path / "out", trouble_dir=str(trouble), num_tasks=2)
    with tasks_ahead(open_job(job), 1):
        assert is_replacing.wait(20)
    assert len(started) == 2
    assert not list(trouble.glob("begun-*"))


def test_arrays_cost_a_worker_no_pandas_and_the_caller_keeps_it(
    tmp_path: Path, trouble: Path
) -> None:
    pytest.importorskip("pandas")
    code = (
        "run_job(telling_job(*sys.argv[1:]), workers=1)\n"
        "import pandas as pd, pyarrow as pa\n"
        "assert pa.array(pd.Series([7, None])).null_count == 1  # NaN is null to pandas"
    )
    subprocess.run(python(code, tmp_path / "out", trouble), cwd=REPOSITORY, check=True)
    loaded = (trouble / "modules-0").read_text().splitlines()
    assert "pyarrow" in loaded
    assert "pandas" not in loaded


@pytest.mark.parametrize("num_tasks", [1, 5])
@pytest.mark.parametrize("in_turn", [True, False], ids=["in turn", "at once"])
def test_two_runs_in_two_threads_keep_their_records_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_tasks: int, in_turn: bool
) -> None:
    """Each writes as many rows a task as its name says; the first asks for its records first."""
    from pipeline.engine import beam as beam_jobs

    run_pipeline = beam_jobs.run_pipeline
    is_ahead, is_done = ({rows: threading.Event() for rows in (2, 3)} for _ in range(2))
    results: dict[int, JobResult] = {}

    def run_when_both_are_ahead(job: Job, *args: Any, **options: Any) -> str:
        is_ahead[job.config.rows_per_task].set()
        assert all(event.wait(20) for event in is_ahead.values())
        if in_turn and job.config.rows_per_task == 3:
            assert is_done[2].wait(20)
        return run_pipeline(job, *args, **options)

    def run(rows: int) -> None:
        job = counting_job(tmp_path / f"{rows}", rows_per_task=rows, num_tasks=num_tasks)
        try:
            results[rows] = run_job(job, workers=1)
        finally:
            is_done[rows].set()

    monkeypatch.setattr(beam_jobs, "run_pipeline", run_when_both_are_ahead)
    threads = [threading.Thread(target=run, args=(rows,)) for rows in (2, 3)]
    threads[0].start()
    assert is_ahead[2].wait(20)
    threads[1].start()
    for thread in threads:
        thread.join()
    assert {rows: result.summary for rows, result in results.items()} == {
        rows: {"rows": num_tasks * rows} for rows in (2, 3)
    }


@pytest.mark.parametrize("num_tasks", [1, 2])
@pytest.mark.parametrize("kill", [os.kill, os.killpg], ids=["main alone", "as a terminal does"])
def test_an_interrupt_while_beam_is_imported_ends_all_at_once(
    tmp_path: Path, trouble: Path, num_tasks: int, kill: Callable[[int, int], None]
) -> None:
    (trouble / "sleep-0").touch()
    code = (
        "hold_beam(Path(sys.argv[4]))\n"
        "job = counting_job(sys.argv[1], trouble_dir=sys.argv[2], num_tasks=int(sys.argv[3]))\n"
        "run_job(job, workers=2)"
    )
    process = subprocess.Popen(
        python(code, tmp_path / "out", trouble, num_tasks, tmp_path / "never"),
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(trouble / "sleeping")
    kill(process.pid, signal.SIGINT)
    # The pipe ends with the last process that has it, be it a worker or what they are forked from.
    said = process.communicate(timeout=120)[1]
    assert said.endswith("KeyboardInterrupt\n")
    assert "ForkServerProcess" not in said
    with pytest.raises(ProcessLookupError):
        os.kill(int((trouble / "sleeping").read_text()), 0)


def test_an_interrupt_is_not_for_workers(
    tmp_path: Path, trouble: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (trouble / "interrupt-1").touch()
    job = counting_job(tmp_path / "out", trouble_dir=str(trouble))
    assert run_job(job, workers=2).summary == {"rows": 15}
    assert "died" not in caplog.text


def test_an_interrupt_is_not_for_the_process_that_loads_for_workers() -> None:
    code = """
from multiprocessing import forkserver
from pipeline.engine.workers import load_workers
load_workers("pipeline.parse.stage")  # takes so long that what is ignored now was so from the start
status = Path(f"/proc/{forkserver._forkserver._forkserver_pid}/status").read_text()
[ignored] = [line.split()[1] for line in status.splitlines() if line.startswith("SigIgn")]
assert int(ignored, 16) & 1 << signal.SIGINT - 1, status
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""
    subprocess.run(python(code), cwd=REPOSITORY, check=True)
