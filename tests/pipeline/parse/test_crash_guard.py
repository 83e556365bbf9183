"""A page that kills its process is found and rejected; a run that was stopped blames no page."""

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.engine.lifecycle import finish_job, open_job, plan_phase, run_task
from pipeline.engine.stage import Job, Records
from pipeline.parse import crash_guard
from pipeline.parse.config import ParseConfig
from pipeline.parse.crash_guard import crash_notes, find_crashing
from pipeline.parse.stage import PARSE
from schemas.errors import StageError


def print_and_die(deadly: dict[int, int], start: int) -> None:
    for offset in range(start, 10):
        print(offset, flush=True)
        if offset in deadly:
            os.kill(os.getpid(), deadly[offset])


def test_every_crashing_page_from_the_suspect_on_is_found() -> None:
    deadly = {2: signal.SIGSEGV, 4: signal.SIGSEGV, 7: signal.SIGABRT}
    assert find_crashing(partial(print_and_die, deadly), 4) == {4, 7}


def test_suspect_that_does_not_crash_clears_all() -> None:
    assert find_crashing(partial(print_and_die, {7: signal.SIGSEGV}), 4) == frozenset()
    assert find_crashing(partial(print_and_die, {}), 9) == frozenset()


def test_trial_that_is_killed_from_outside_blames_no_page() -> None:
    with pytest.raises(StageError, match="exit status -9 after the page at 4"):
        find_crashing(partial(print_and_die, {4: signal.SIGKILL}), 4)


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


def test_page_that_kills_its_worker_is_rejected_alone(
    tmp_path: Path, mini_dump: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(wikitext: str, title: str, site: Any) -> Any:
        assert title not in ("Pear", "Orchard"), "tried although it crashes"
        return extract(wikitext, title, site)

    from pipeline.wikitext.extract import extract

    monkeypatch.setattr("pipeline.parse.sorter.extract", kill)
    monkeypatch.setattr(crash_guard, "_COMMAND", DYING_ON_TWO_PAGES + crash_guard._COMMAND)
    job = open_job(Job(PARSE, str(tmp_path), ParseConfig(), (str(mini_dump),)))
    cut, parse = PARSE.phases
    records: Records = {"cut": [run_task(job, cut, plan_phase(job, cut, {})[0])]}
    tasks = plan_phase(job, parse, records)
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
def extract(wikitext, title, site):
    if title in ("Pear", "Orchard"):
        os.kill(os.getpid(), signal.SIGSEGV)
    return original(wikitext, title, site)
sorting.extract = extract
"""
