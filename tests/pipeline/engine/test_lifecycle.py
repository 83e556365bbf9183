import json
from pathlib import Path

import pytest

from pipeline.engine.lifecycle import check_inputs, open_job, run_task, tasks_of_phase
from schemas.errors import StageError
from schemas.manifest import SEAL_NAME
from tests.pipeline.engine.counting_stage import counting_job
from tests.running import run_inline


def test_an_output_begun_with_other_options_is_refused_with_the_difference(tmp_path: Path) -> None:
    job = open_job(counting_job(tmp_path, num_tasks=2))
    run_task(job, job.phases()[0], tasks_of_phase(job, job.phases()[0], {})[0])
    with pytest.raises(StageError, match=r"config\.num_tasks was 2, now 3.*use --overwrite"):
        open_job(counting_job(tmp_path, num_tasks=3))


def test_a_done_task_runs_again_only_where_its_file_changed(tmp_path: Path) -> None:
    job = open_job(counting_job(tmp_path))
    phase = job.phases()[0]
    task = tasks_of_phase(job, phase, {})[0]
    first = run_task(job, phase, task)
    part = tmp_path / "edges/part-00000.parquet"
    written_at = part.stat().st_mtime_ns
    assert run_task(job, phase, task) == first
    assert part.stat().st_mtime_ns == written_at
    part.write_bytes(b"torn")
    assert run_task(job, phase, task) == first
    assert part.read_bytes() != b"torn"


def test_inputs_that_change_meanwhile_are_named() -> None:
    check_inputs("graph", {"pages": "a"}, {"pages": "a"})
    with pytest.raises(StageError, match="found pages, redirects changed"):
        check_inputs("graph", {"pages": "a"}, {"pages": "b", "redirects": "c"})


def test_the_seal_names_every_note_but_itself(tmp_path: Path) -> None:
    run_inline(counting_job(tmp_path))
    state = tmp_path / "_state/counting"
    notes = {path.relative_to(state).as_posix() for path in state.rglob("*.json")}
    assert set(json.loads((state / SEAL_NAME).read_bytes())) == notes - {SEAL_NAME}
