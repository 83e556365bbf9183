"""A page that runs away or kills its process is rejected; a run that was stopped blames none."""

import signal
import subprocess
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.engine.lifecycle import finish_job, open_job, run_task, tasks_of_phase
from pipeline.engine.stage import Job, Records
from pipeline.parse import guards
from pipeline.parse.config import ParseConfig
from pipeline.parse.guards import CpuLimit, CpuLimitExceeded, crash_notes, find_crashing
from pipeline.parse.stage import PARSE
from schemas.errors import StageError
from tests.forked import Forked
from tests.pipeline.parse.dying import die_of_memory, print_and_die


def spin() -> None:
    while True:
        with suppress(Exception):
            sum(range(1000))


def test_runaway_work_is_ended_and_the_next_has_its_own_time() -> None:
    with CpuLimit(0.05) as limit:
        for _ in range(2):
            with pytest.raises(CpuLimitExceeded):
                limit.run(spin)
        assert limit.run(len, "page") == 4


def test_work_within_the_limit_leaves_no_timer_behind() -> None:
    before = signal.getsignal(signal.SIGVTALRM)
    with CpuLimit(5.0) as limit:
        assert limit.run(signal.getitimer, signal.ITIMER_VIRTUAL)[0] > 0
        assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGVTALRM) == before


def test_other_threads_run_without_a_limit() -> None:
    done = []

    def work() -> None:
        with CpuLimit(0.001) as limit:
            done.append(limit.run(sum, range(100_000)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(done) == 1


def no_timer() -> bool:
    return signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_work_that_fails_leaves_no_timer_behind(error: type[BaseException]) -> None:
    def fail() -> None:
        raise error

    with CpuLimit(5.0) as limit:
        with pytest.raises(error):
            limit.run(fail)
        assert no_timer()


def test_alarm_that_comes_while_the_timer_is_stopped_is_the_works_and_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit = CpuLimit(5.0)
    stop, alarms = limit._stop, [signal.SIGVTALRM]

    def stop_late() -> None:
        # As when the signal reaches Python between the end of the work and its first statement.
        if alarms:
            signal.raise_signal(alarms.pop())
        stop()

    monkeypatch.setattr(limit, "_stop", stop_late)
    with limit:
        with pytest.raises(CpuLimitExceeded):
            limit.run(len, "page")
        assert no_timer()
        signal.raise_signal(signal.SIGVTALRM)  # one that was on its way hits nobody
        assert limit.run(len, "next") == 4


@pytest.fixture
def forked_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the processes in which pages are tried; the test of segment's stage starts real ones."""
    fork = SimpleNamespace(Popen=Forked, PIPE=subprocess.PIPE)
    monkeypatch.setattr(guards, "subprocess", fork)


@pytest.mark.usefixtures("forked_trials")
def test_every_crashing_page_from_the_suspect_on_is_found() -> None:
    deadly = {2: signal.SIGSEGV, 4: signal.SIGSEGV, 7: signal.SIGABRT}
    assert find_crashing(partial(print_and_die, deadly), 4) == {4, 7}


@pytest.mark.usefixtures("forked_trials")
def test_suspect_that_does_not_crash_clears_all() -> None:
    assert find_crashing(partial(print_and_die, {7: signal.SIGSEGV}), 4) == frozenset()
    assert find_crashing(partial(print_and_die, {}), 9) == frozenset()


@pytest.mark.usefixtures("forked_trials")
@pytest.mark.parametrize(("num_suspects", "found"), [(3, set()), (4, {7})])
def test_note_may_stand_for_several_pages(num_suspects: int, found: set[int]) -> None:
    assert find_crashing(partial(print_and_die, {7: signal.SIGSEGV}), 4, num_suspects) == found


@pytest.mark.usefixtures("forked_trials")
@pytest.mark.parametrize(("num_deaths", "blamed"), [(1, set()), (2, {4})])
def test_only_a_page_at_which_the_kernel_kills_twice_is_to_blame(
    tmp_path: Path, num_deaths: int, blamed: set[int]
) -> None:
    deaths = tmp_path / "deaths"
    deaths.write_bytes(b"x" * num_deaths)
    assert find_crashing(partial(die_of_memory, str(deaths)), 4) == blamed


@pytest.mark.usefixtures("forked_trials")
def test_trial_that_is_ended_from_outside_blames_no_page() -> None:
    with pytest.raises(StageError, match="exit status -15 after the page at 4"):
        find_crashing(partial(print_and_die, {4: signal.SIGTERM}), 4)


def test_note_outlives_a_death_and_not_an_end(tmp_path: Path) -> None:
    path = str(tmp_path / "notes" / "00000")
    with crash_notes(path) as notes:
        assert notes.suspect is None
        notes.note(70_000)
        notes.note(123)
        left_behind = Path(path).read_bytes()
    assert not Path(path).exists()
    Path(path).write_bytes(left_behind)
    with crash_notes(path) as notes:
        assert notes.suspect == 123


@pytest.mark.usefixtures("forked_trials")
def test_page_that_kills_its_worker_is_rejected_alone(
    tmp_path: Path, mini_dump: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(wikitext: str, title: str, site: Any, *rules: Any) -> Any:
        assert title not in ("Pear", "Orchard"), "tried although it crashes"
        return extract(wikitext, title, site, *rules)

    from pipeline.wikitext.extract import extract

    monkeypatch.setattr("pipeline.parse.sorter.extract", kill)
    monkeypatch.setattr(guards, "_COMMAND", DYING_ON_TWO_PAGES + guards._COMMAND)
    job = open_job(Job(PARSE, str(tmp_path), ParseConfig(), (str(mini_dump),)))
    cut, parse = PARSE.phases
    records: Records = {"cut": [run_task(job, cut, tasks_of_phase(job, cut, {})[0])]}
    tasks = tasks_of_phase(job, parse, records)
    pear = mini_dump.read_bytes().index(b"<page>\n    <title>Pear")
    with crash_notes(job.state_path("running", "00000")) as notes:
        notes.note(pear)
        left_behind = Path(job.state_path("running", "00000")).read_bytes()
    Path(job.state_path("running", "00000")).write_bytes(left_behind)
    records["parse"] = [run_task(job, parse, tasks[0])]
    summary = finish_job(job, records)
    assert summary["rejected"]["crashed"] == 2
    assert summary["pages"] == 5
    crashed = [
        r for r in pq.read_table(tmp_path / "rejects").to_pylist() if r["reason"] == "crashed"
    ]
    assert [row["title"] for row in crashed] == ["Pear", "Orchard"]


DYING_ON_TWO_PAGES = """
import os, signal
import pipeline.parse.sorter as sorting
original = sorting.extract
def extract(wikitext, title, *more):
    if title in ("Pear", "Orchard"):
        os.kill(os.getpid(), signal.SIGSEGV)
    return original(wikitext, title, *more)
sorting.extract = extract
"""
