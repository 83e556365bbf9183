"""Every stage works on an object store: same bytes, through faults, kills and repeated answers."""

import io
import os
import random
import signal
from pathlib import Path

import pytest

from linkbert.inspection.check import check
from pipeline.engine.run import run_job
from pipeline.engine.stage import AnyJob, Job
from pipeline.storage import files, remote
from schemas.errors import StageError
from tests.pipeline.chain import MINI, mini_chain
from tests.pipeline.engine.counting_stage import COUNTING, CountingConfig, tree_bytes
from tests.pipeline.engine.test_run import LOOPBACK
from tests.pipeline.storage.fake_store import (
    SHORT_PAUSES_SECONDS,
    objects,
    requests,
    use_store,
    with_store,
)
from tests.running import run_inline

BUCKET = "fakestore://bucket"


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FAKE_STORE_FOLDER", "")  # so that it is put back after the test
    monkeypatch.setattr(remote, "PAUSES_SECONDS", SHORT_PAUSES_SECONDS)
    random.seed(0)
    use_store(tmp_path / "store")
    return tmp_path / "store"


def object_bytes(root: str, with_state: bool = False) -> dict[str, bytes]:
    return {
        name.removeprefix(f"{root}/"): data
        for name, data in objects().items()
        if name.startswith(f"{root}/") and (with_state or "/_state/" not in name)
    }


def put(path: str, data: bytes) -> None:
    with files.write_whole(path) as file:
        file.write(data)


def test_an_object_appears_whole_or_not_at_all() -> None:
    path = f"{BUCKET}/deep/part"
    with pytest.raises(TypeError), files.write_whole(path) as file:
        file.writelines([b"half", None])  # type: ignore[list-item]
    assert objects() == {}
    with files.write_whole(path) as file:
        file.write(b"whole")
        assert objects() == {}
    assert objects() == {path: b"whole"}
    assert (files.exists(path), files.size(path), files.read_bytes(path)) == (True, 5, b"whole")


def test_a_folder_is_a_prefix() -> None:
    put(f"{BUCKET}/corpus/pages/part-00000.parquet", b"x")
    assert not files.exists(f"{BUCKET}/corpus/pages")
    assert files.has_files(f"{BUCKET}/corpus/pages")
    assert not files.has_files(f"{BUCKET}/corpus/page")
    files.remove_tree(f"{BUCKET}/corpus")
    assert objects() == {}


def test_requests_that_are_refused_now_and_then_are_made_again(tmp_path: Path) -> None:
    use_store(tmp_path / "store", busy=0.4, broken=0.2)
    data = random.randbytes(3_000_000)
    for index in range(5):
        put(f"{BUCKET}/{index}", data)
        assert files.digest(f"{BUCKET}/{index}") == files.digest(_local(tmp_path, data))
    with files.open_read(f"{BUCKET}/0") as file:
        file.seek(-10, os.SEEK_END)
        assert file.read() == data[-10:]
    files.remove_tree(BUCKET)
    assert objects() == {}
    answers = requests()
    assert answers["429"] > 2
    assert answers["503"] > 2
    assert answers["reset"] + answers["half"] > 0


def _local(tmp_path: Path, data: bytes) -> str:
    (tmp_path / "local").write_bytes(data)
    return str(tmp_path / "local")


def test_a_refusal_that_stays_is_passed_on(tmp_path: Path) -> None:
    use_store(tmp_path / "store", busy=1.0)
    with pytest.raises(Exception, match="HTTP"):
        put(f"{BUCKET}/part", b"x")
    assert requests()["create"] == len(remote.PAUSES_SECONDS) + 1


def test_what_is_missing_is_not_asked_for_again() -> None:
    with pytest.raises(Exception, match="404"):
        files.read_bytes(f"{BUCKET}/none")
    assert requests() == {"open": 1}


def test_a_lost_answer_to_an_upload_is_no_fault(tmp_path: Path) -> None:
    use_store(tmp_path / "store", taken=1.0)
    put(f"{BUCKET}/part", b"whole")
    assert files.read_bytes(f"{BUCKET}/part") == b"whole"
    assert requests()["412"] == 1


def test_another_object_under_the_same_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_store(tmp_path / "store", taken=1.0)
    monkeypatch.setattr(remote, "open_read", lambda path: io.BytesIO(b"other"))
    with pytest.raises(StageError, match=f"only writer of {BUCKET}/part"):
        put(f"{BUCKET}/part", b"whole")


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, bytes]:
    run_inline(Job(COUNTING, str(tmp_path / "inline"), CountingConfig()))
    return tree_bytes(tmp_path / "inline")


@pytest.mark.parametrize("beam_args", [(), LOOPBACK], ids=["local", "portable"])
def test_a_stage_on_a_store_writes_the_bytes_of_a_local_one(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    expected: dict[str, bytes],
    beam_args: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)  # what an engine says goes into a file here
    job = with_store(Job(COUNTING, f"{BUCKET}/out", CountingConfig()))
    run_job(job, workers=2, beam_args=beam_args)
    assert object_bytes(f"{BUCKET}/out") == expected
    assert run_job(job, workers=2, beam_args=()).was_finished
    assert not set(requests()) & {"copy", "429", "500", "503"}


def test_a_foreign_folder_on_a_store_is_refused() -> None:
    put(f"{BUCKET}/out/edges/part-00000.parquet", b"x")
    job = with_store(Job(COUNTING, f"{BUCKET}/out", CountingConfig()))
    with pytest.raises(StageError, match="expected no edges"):
        run_job(job, workers=1)
    assert run_job(job, workers=1, overwrite=True).summary == {"rows": 15}


def test_the_chain_through_faults_and_kills_writes_the_bytes_of_a_local_one(
    inline_chain: Path, tmp_path: Path
) -> None:
    put(f"{BUCKET}/mini.xml", MINI.read_bytes())
    use_store(tmp_path / "store", busy=0.03, broken=0.02, taken=0.02, killed=0.05)
    jobs = mini_chain(BUCKET, f"{BUCKET}/mini.xml", join="gather")
    signals: list[int] = []
    while not signals or signals[-1]:
        signals.append(_run_in_child(jobs, seed=len(signals)))
    assert signals.count(signal.SIGKILL) > 1
    assert set(requests()) >= {"412", "429", "500", "503", "half", "reset"}
    for name, data in object_bytes(BUCKET, with_state=True).items():
        target = tmp_path / "bucket" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    (tmp_path / "bucket/mini.xml").unlink()
    found, local = tree_bytes(tmp_path / "bucket"), tree_bytes(inline_chain)
    assert sorted(found) == sorted(local)
    # A manifest holds what was asked for, the join with the rest.
    others = [name for name in local if found[name] != local[name]]
    assert all(name.startswith("shards/") and "_manifest" in name for name in others)
    assert check(tmp_path / "bucket").problems == []


def _run_in_child(jobs: list[AnyJob], seed: int) -> int:
    """Run jobs in a process that may be killed; return the signal that ended it, 0 for none."""
    child = os.fork()
    if not child:
        random.seed(seed)
        for job in jobs:
            run_inline(job)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert not os.WEXITSTATUS(status), "an exception, not a kill"
    return os.WTERMSIG(status)
