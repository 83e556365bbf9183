"""However tokens come to the shards, the bytes are the same."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.engine import beam as beam_jobs
from pipeline.engine import exchange
from pipeline.engine.lifecycle import open_job, run_task, tasks_of_phase
from pipeline.engine.run import run_job
from pipeline.engine.stage import Job
from pipeline.sample import spread as sample_spread
from pipeline.sample.config import SampleConfig
from pipeline.sample.spread import file_runs, is_shuffled, send, tasks_of_senders
from pipeline.sample.stage import SAMPLE
from schemas.errors import StageError
from tests.forked import Forked
from tests.pipeline.engine.counting_stage import tree_bytes
from tests.pipeline.engine.test_run import LOOPBACK
from tests.pipeline.linked_corpus import make_corpus
from tests.running import run_inline

REPOSITORY = Path(__file__).parents[3]
OPTIONS: dict[str, Any] = {"epochs": 2, "shard_bytes": 30_000, "validation_fraction": 0.2}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    root = tmp_path_factory.mktemp("joins")
    first = make_corpus(root / "corpus")
    return str(first), f"{make_corpus(root / 'books', 60, seed=5, taken_from=str(first))}:none"


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory, sources: tuple[str, str]) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("joins") / "gather"
    run_inline(job_of(out, sources))
    return comparable(out)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the six token files into several runs, and what a shard gets of one into batches."""
    monkeypatch.setattr(sample_spread, "_BATCH_BYTES", 500)
    monkeypatch.setattr(sample_spread, "_MAX_BATCH_BYTES", 4000)
    monkeypatch.setattr(sample_spread, "_CHUNK_PLACES", 64)


def job_of(out: Path, sources: tuple[str, str], join: str = "auto") -> Job:
    return Job(SAMPLE, str(out), SampleConfig(**OPTIONS, join=join), sources)


def comparable(out: Path) -> dict[str, Any]:
    """Return all files, manifests without the option that says how tokens came."""
    found: dict[str, Any] = dict(tree_bytes(out))
    for name in found:
        if name.endswith("_manifest.json"):
            found[name] = json.loads(found[name])
            del found[name]["config"]["join"], found[name]["digest"]
    assert sum(name.endswith(".parquet") for name in found) > 8
    return found


@pytest.mark.parametrize("beam_args", [(), LOOPBACK], ids=["local", "portable"])
def test_beam_shuffles_to_the_bytes_of_gathering(
    sources: tuple[str, str],
    gathered: dict[str, Any],
    tmp_path: Path,
    beam_args: tuple[str, ...],
) -> None:
    run_job(job_of(tmp_path / "out", sources, "shuffle"), workers=1, beam_args=beam_args)
    assert comparable(tmp_path / "out") == gathered


def test_batches_come_in_any_order(
    sources: tuple[str, str], gathered: dict[str, Any], tmp_path: Path
) -> None:
    run_inline(job_of(tmp_path / "out", sources, "shuffle"))
    assert comparable(tmp_path / "out") == gathered


def test_a_store_larger_than_the_page_cache_is_spilled_and_gives_the_same_bytes(
    sources: tuple[str, str],
    gathered: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sample_spread, "_fits_page_cache", lambda job: False)
    spills: list[str] = []
    monkeypatch.setattr(sample_spread, "spill_name", spy(sample_spread.spill_name, spills))
    run_inline(job_of(tmp_path / "out", sources))
    assert len(set(spills)) > 4
    assert comparable(tmp_path / "out") == gathered


@pytest.mark.parametrize(("workers", "fits"), [(2, True), (5, False)])
def test_worker_processes_change_no_byte(
    sources: tuple[str, str],
    gathered: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
    fits: bool,
) -> None:
    monkeypatch.setattr(sample_spread, "_fits_page_cache", lambda job: fits)
    run_job(job_of(tmp_path / "out", sources), workers=workers)
    assert comparable(tmp_path / "out") == gathered


COMMAND = """
import sys
from pathlib import Path
from pipeline.engine.run import run_job
from tests.pipeline.sample.test_spread import job_of
print("ready", flush=True)
run_job(job_of(Path(sys.argv[1]), sys.argv[3:], sys.argv[2]), workers=2)
"""


@pytest.mark.end_to_end
@pytest.mark.parametrize("join", ["gather", "shuffle"])
def test_a_kill_at_a_random_moment_and_the_same_command_change_no_byte(
    sources: tuple[str, str], gathered: dict[str, Any], tmp_path: Path, join: str
) -> None:
    command = [sys.executable, "-c", COMMAND, str(tmp_path / "out"), join, *sources]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}

    def start() -> subprocess.Popen[bytes]:
        process = Forked(command, stdout=subprocess.PIPE, env=environment)
        assert process.stdout is not None
        with process.stdout as output:
            assert output.readline() == b"ready\n"
        return process

    process = start()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(random.Random(join).uniform(0.1, 1.0))
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert start().wait() == 0
    assert comparable(tmp_path / "out") == gathered


def spy(function: Any, seen: list[str]) -> Any:
    def called(*args: Any) -> Any:
        seen.append(function(*args))
        return seen[-1]

    return called


def prepared(out: Path, sources: tuple[str, str]) -> tuple[Job, dict[str, Any]]:
    """Run the phases before the tokens are joined."""
    job = open_job(job_of(out, sources, "shuffle"))
    records: dict[str, Any] = {}
    for phase in SAMPLE.phases[:-1]:
        tasks = tasks_of_phase(job, phase, records)
        records[phase.name] = [run_task(job, phase, task) for task in tasks]
    return job, records


def test_what_is_sent_is_small_and_says_which_shard_needs_it(
    sources: tuple[str, str], tmp_path: Path
) -> None:
    job, records = prepared(tmp_path / "out", sources)
    shards = tasks_of_phase(job, SAMPLE.phases[-1], records)
    places: dict[int, list[int]] = {shard.index: [] for shard in shards}
    senders = tasks_of_senders(job, records)
    assert len(senders) > len(records["plan"])
    for sender in senders:
        for index, data in send(job, sender):
            # Cut by mean size: no batch is far above the bound.
            assert len(data) < 3 * 4000
            places[index] += pa.ipc.open_stream(data).read_all().column("place").to_pylist()
    for shard in shards:
        num_places = 2 * (shard.args["stop"] - shard.args["first"])
        assert sorted(places[shard.index]) == list(range(num_places))


def test_a_resume_sends_only_to_the_shards_that_are_not_done(
    sources: tuple[str, str], gathered: dict[str, Any], tmp_path: Path
) -> None:
    job, records = prepared(tmp_path / "out", sources)
    gather = SAMPLE.phases[-1]
    tasks = tasks_of_phase(job, gather, records)
    for task in tasks[::2]:
        run_task(job, gather, task)
    planned = list(exchange.tasks_of_exchange((job, records), gather))
    done = [each.value["index"] for each in planned if each.tag == "done"]
    assert done == [task.index for task in tasks[::2]]
    sent = {
        index for each in planned if each.tag == "tasks" for index, _ in exchange.send(each.value)
    }
    assert sent == {task.index for task in tasks[1::2]}
    run_job(job_of(tmp_path / "out", sources, "shuffle"), workers=1)
    assert comparable(tmp_path / "out") == gathered


def test_more_than_memory_can_hold_is_refused_by_the_local_runner(
    sources: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beam_jobs, "MAX_LOCAL_BYTES", 10_000)
    with pytest.raises(StageError, match="--join gather") as caught:
        run_job(job_of(tmp_path / "out", sources, "shuffle"), workers=1)
    assert "\n" not in str(caught.value)


def test_the_default_follows_where_the_corpora_lie(sources: tuple[str, str]) -> None:
    remote = ("gs://bucket/corpus", "gs://bucket/books:none")
    assert is_shuffled(job_of(Path("out"), remote))
    assert not is_shuffled(job_of(Path("out"), remote, "gather"))
    assert not is_shuffled(job_of(Path("out"), sources))
    assert is_shuffled(job_of(Path("out"), sources, "shuffle"))


@pytest.mark.parametrize(
    ("sizes", "wanted", "bounds"),
    [([], 5, [0, 0]), ([1], 5, [0, 1]), ([5, 5], 5, [0, 1, 2]), ([5, 1], 5, [0, 1, 2])],
)
def test_runs_cover_all_files(sizes: list[int], wanted: int, bounds: list[int]) -> None:
    assert file_runs(sizes, wanted) == bounds
