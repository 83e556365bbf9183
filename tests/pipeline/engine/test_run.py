import fcntl
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.engine import lifecycle
from pipeline.engine.options import pipeline_options
from pipeline.engine.run import run_here, run_job
from schemas.errors import ConfigError, DumpError, StageError
from tests.pipeline.engine.counting_stage import counting_job, read_json, tree_bytes
from tests.running import run_inline

LOOPBACK = ("--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=LOOPBACK")
PROCESSES = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, bytes]:
    run_inline(counting_job(tmp_path / "inline"))
    return tree_bytes(tmp_path / "inline")


@pytest.mark.parametrize(
    ("workers", "beam_args"),
    [(1, ()), (2, ()), (5, ()), (1, PROCESSES), (1, LOOPBACK)],
    ids=["one worker", "two", "five", "multi_processing", "portable"],
)
def test_every_runner_writes_the_same_bytes(
    tmp_path: Path, expected: dict[str, bytes], workers: int, beam_args: tuple[str, ...]
) -> None:
    result = run_job(counting_job(tmp_path / "out"), workers=workers, beam_args=beam_args)
    assert result.summary == {"rows": 15}
    assert tree_bytes(tmp_path / "out") == expected


def test_a_finished_output_is_said_so_and_left_alone(tmp_path: Path) -> None:
    first = run_job(counting_job(tmp_path), workers=1)
    before = tree_bytes(tmp_path)
    second = run_job(counting_job(tmp_path), workers=1)
    assert (first.was_finished, second.was_finished) == (False, True)
    assert second.summary == first.summary
    assert tree_bytes(tmp_path) == before


def test_a_killed_worker_is_replaced_and_its_task_runs_again(
    tmp_path: Path, expected: dict[str, bytes]
) -> None:
    trouble = tmp_path / "trouble"
    trouble.mkdir()
    (trouble / "die-once-3").touch()
    run_job(counting_job(tmp_path / "out", trouble_dir=str(trouble)), workers=2)
    assert not (trouble / "die-once-3").exists()
    found = tree_bytes(tmp_path / "out")
    assert {name for name in found if name.endswith(".parquet")} <= set(expected)
    assert all(found[name] == expected[name] for name in found if name.endswith(".parquet"))


def test_what_a_killed_worker_was_writing_is_never_read_and_is_swept_away(tmp_path: Path) -> None:
    trouble = tmp_path / "trouble"
    trouble.mkdir()
    (trouble / "die-writing-1").touch()
    job = counting_job(tmp_path / "out", trouble_dir=str(trouble))
    with pytest.raises(StageError, match="killed their worker"):
        run_job(job, workers=1)
    assert list((tmp_path / "out/edges").glob(".*.tmp"))
    assert pq.read_table(tmp_path / "out/edges").num_rows == 12
    (trouble / "die-writing-1").unlink()
    run_job(job, workers=1)
    assert not list((tmp_path / "out").rglob("*.tmp"))


def test_a_task_that_kills_twice_is_named_and_the_rest_is_done(tmp_path: Path) -> None:
    trouble = tmp_path / "trouble"
    trouble.mkdir()
    (trouble / "die-1").touch()
    job = counting_job(tmp_path / "out", trouble_dir=str(trouble))
    with pytest.raises(StageError, match=r"task 1 \{'start': 1\}"):
        run_job(job, workers=2)
    done = sorted(path.name for path in (tmp_path / "out/edges").glob("*.parquet"))
    assert done == [f"part-{index:05d}.parquet" for index in (0, 2, 3, 4)]
    (trouble / "die-1").unlink()
    assert run_job(job, workers=2).summary == {"rows": 15}


def test_an_error_in_a_task_keeps_its_type_and_the_same_command_resumes(tmp_path: Path) -> None:
    trouble = tmp_path / "trouble"
    trouble.mkdir()
    (trouble / "raise-0").touch()
    job = counting_job(tmp_path / "out", trouble_dir=str(trouble))
    with pytest.raises(DumpError, match="found trouble in task 0"):
        run_job(job, workers=1)
    kept = tmp_path / "out/edges/part-00004.parquet"
    written_at = kept.stat().st_mtime_ns
    (trouble / "raise-0").unlink()
    run_job(job, workers=1)
    assert kept.stat().st_mtime_ns == written_at


@pytest.mark.parametrize("run", [run_job, run_here])
@pytest.mark.parametrize("beside", ["", "out", "out/_state/other"])
def test_what_fails_before_any_task_is_done_leaves_nothing(
    tmp_path: Path, run: Callable[..., object], beside: str
) -> None:
    (tmp_path / "trouble").mkdir()
    (tmp_path / "trouble/raise-0").touch()
    (tmp_path / beside).mkdir(parents=True, exist_ok=True)
    before = set(tmp_path.rglob("*"))
    job = counting_job(tmp_path / "out", trouble_dir=str(tmp_path / "trouble"), num_tasks=1)
    with pytest.raises(DumpError, match="found trouble in task 0"):
        run(job)
    left = set(tmp_path.rglob("*")) - before - {tmp_path / "trouble/begun-0"}
    assert left <= {tmp_path / "out/_state/_lock"}
    assert not (left and not beside)


def test_a_portable_runner_passes_the_error_on(tmp_path: Path) -> None:
    trouble = tmp_path / "trouble"
    trouble.mkdir()
    (trouble / "raise-0").touch()
    with pytest.raises(DumpError, match=r"^expected a calm task.*remove it$"):
        run_job(counting_job(tmp_path / "out", trouble_dir=str(trouble)), beam_args=LOOPBACK)


def test_two_runs_into_one_folder_at_once_are_refused(tmp_path: Path) -> None:
    (tmp_path / "_state").mkdir()
    with open(tmp_path / "_state/_lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StageError, match="another run"):
            run_job(counting_job(tmp_path), workers=1)


def test_a_record_torn_by_a_loss_of_power_is_no_record(
    tmp_path: Path, expected: dict[str, bytes]
) -> None:
    job = counting_job(tmp_path / "out")
    run_job(job, workers=1)
    (tmp_path / "out/_state/counting/_summary.json").unlink()
    [record] = (tmp_path / "out/_state/counting/_tasks").glob("*-00002.json")
    record.write_bytes(record.read_bytes()[:20])
    run_job(job, workers=1)
    assert tree_bytes(tmp_path / "out") == expected


def test_another_config_replaces_a_finished_output_with_overwrite_alone(tmp_path: Path) -> None:
    run_job(counting_job(tmp_path), workers=1)
    result = run_job(counting_job(tmp_path, num_tasks=6), workers=1, overwrite=True)
    assert result.summary == {"rows": 18}


def test_a_folder_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "edges").mkdir()
    with pytest.raises(StageError, match="expected no edges"):
        run_job(counting_job(tmp_path), workers=1)


def test_the_plan_and_the_tasks_are_written_down(tmp_path: Path) -> None:
    run_job(counting_job(tmp_path), workers=1)
    state = tmp_path / "_state/counting"
    assert read_json(state / "_plan.json")["config"]["num_tasks"] == 5
    assert [task["args"] for task in read_json(state / "square.json")] == [
        {"start": index} for index in range(5)
    ]
    assert read_json(state / "_tasks/square-00001.json")["counts"] == {"rows": 3}


def test_threads_are_refused_and_the_default_runner_is_named() -> None:
    with pytest.raises(ConfigError, match="multi_threading"):
        pipeline_options(["--direct_running_mode=multi_threading"])
    for args in ([], ["--runner=DirectRunner"]):
        assert pipeline_options(args).get_all_options()["runner"] == "FnApiRunner"


def test_fewer_than_no_workers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="workers of 0 or more, found -1"):
        run_job(counting_job(tmp_path), workers=-1)
    assert not list(tmp_path.iterdir())


def test_a_resume_under_another_version_is_noticed_and_a_finished_output_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_inline(counting_job(tmp_path))
    monkeypatch.setattr(lifecycle, "versions_here", lambda: {"python": "3.99.0"})
    assert run_inline(counting_job(tmp_path)) == {"rows": 15}
    (tmp_path / "_state/counting/_summary.json").unlink()
    with pytest.raises(StageError, match=r"versions\.python was '3\.\d+\.\d+', now '3\.99\.0'"):
        run_inline(counting_job(tmp_path))
