"""One writer per folder, also where there are no locks, and one that died is no hindrance."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.engine import claim
from pipeline.engine.claim import claim_folder
from schemas.errors import StageError
from tests.pipeline.storage.fake_store import objects, use_store

ROOT = "fakestore://bucket/out"
NOTE = f"{ROOT}/_state/_writer.json"


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_STORE_FOLDER", "")  # so that it is put back after the test
    use_store(tmp_path / "store")


def leave_note(**values: object) -> None:
    note = {"host": socket.gethostname(), "process": os.getppid(), "since": "then", **values}
    claim.files.write_json(NOTE, note)


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_store_holds_a_note_while_it_is_written_to() -> None:
    with claim_folder(ROOT):
        assert json.loads(objects()[NOTE])["process"] == os.getpid()
    assert objects() == {}


def test_a_writer_that_lives_is_named() -> None:
    leave_note()
    expected = f"found process {os.getppid()} on {socket.gethostname()} writing into it since then"
    with pytest.raises(StageError, match=expected), claim_folder(ROOT):
        pass
    assert NOTE in objects()


def test_a_writer_of_this_machine_that_died_is_passed_over() -> None:
    leave_note(process=dead_process())
    with claim_folder(ROOT):
        pass
    assert objects() == {}


@pytest.mark.parametrize("values", [{"host": "elsewhere"}, {"job": "j", "stop": "cancel j"}])
def test_one_of_which_nobody_knows_is_passed_over_with_overwrite_alone(
    values: dict[str, str],
) -> None:
    leave_note(**{"process": dead_process(), **values})
    with pytest.raises(StageError, match="--overwrite"), claim_folder(ROOT):
        pass
    with claim_folder(ROOT, overwrite=True):
        pass
    assert objects() == {}


def test_a_job_that_its_engine_has_ended_is_passed_over() -> None:
    leave_note(job="j", flink="http://nowhere")
    with (
        pytest.raises(StageError, match="the engine's job j"),
        claim_folder(ROOT, is_ended=lambda note: False),
    ):
        pass
    with claim_folder(ROOT, is_ended=lambda note: note["job"] == "j"):
        pass


def test_a_job_that_goes_on_keeps_its_note_on_a_local_disk_too(tmp_path: Path) -> None:
    with claim_folder(str(tmp_path)) as held:
        held.write(job="j", stop="cancel j")
        held.is_left = True
    with pytest.raises(StageError, match=r"stop it \(cancel j\)"), claim_folder(str(tmp_path)):
        pass


def test_of_two_that_begin_at_once_only_the_last_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    write = claim.Claim.write

    def write_and_be_overtaken(self: claim.Claim, **engine: object) -> None:
        write(self, **engine)
        leave_note()

    monkeypatch.setattr(claim.Claim, "write", write_and_be_overtaken)
    with pytest.raises(StageError, match="the same moment"), claim_folder(ROOT):
        pass
    assert NOTE in objects()


def test_a_second_process_is_told_who_holds_a_local_folder(tmp_path: Path) -> None:
    with (
        claim_folder(str(tmp_path)),
        pytest.raises(StageError, match=f"process {os.getpid()}"),
        claim_folder(str(tmp_path)),
    ):
        pass
