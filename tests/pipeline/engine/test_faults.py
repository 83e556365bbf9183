"""What goes wrong around a run: full or read-only disks, dumps that change, clocks that jump."""

import bz2
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkbert.cli.commands import main
from pipeline.engine.lifecycle import finish_job, open_job, run_task, tasks_of_phase
from pipeline.engine.run import run_job
from pipeline.engine.stage import Job
from pipeline.parse.config import ParseConfig
from pipeline.parse.stage import PARSE
from schemas.errors import DumpError, StageError
from tests.conftest import REPOSITORY
from tests.forked import Forked
from tests.pipeline.chain import LTGWIKI
from tests.pipeline.engine.counting_stage import counting_job, tree_bytes
from tests.running import run_inline

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount 300 kB of memory as a disk."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@ROOT_ONLY
def test_a_full_disk_is_said_so_and_the_run_goes_on_when_there_is_room(
    tmp_path: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["parse", str(LTGWIKI), "--out", str(small_disk / "corpus"), "--quiet"]
    assert main(command) == 1
    said = capsys.readouterr().err
    assert "No space left on device" in said
    assert "the permissions and the free space" in said
    assert len(said.splitlines()) == 1
    assert not list(small_disk.rglob("*.tmp"))
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    assert main(command) == 0
    run_inline(Job(PARSE, str(tmp_path / "calm"), ParseConfig(), (str(LTGWIKI),)))
    assert tree_bytes(small_disk / "corpus") == tree_bytes(tmp_path / "calm")


@ROOT_ONLY
def test_a_read_only_disk_is_said_so(small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert main(["parse", str(LTGWIKI), "--out", str(small_disk / "corpus"), "--quiet"]) == 1
    said = capsys.readouterr().err
    assert "Read-only file system" in said
    assert "check the path, permissions" in said


def test_an_output_that_is_a_file_is_said_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "corpus").write_text("mine")
    assert main(["parse", str(LTGWIKI), "--out", str(tmp_path / "corpus"), "--quiet"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert (tmp_path / "corpus").read_text() == "mine"


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    return Path(shutil.copy(LTGWIKI, tmp_path / "dump.xml.bz2"))


def parse_job(tmp_path: Path, dump: Path) -> Job:
    return Job(PARSE, str(tmp_path / "corpus"), ParseConfig(), (str(dump),))


def test_a_dump_that_grows_while_it_is_read_is_refused(tmp_path: Path, dump: Path) -> None:
    with pytest.raises(StageError, match=r"found 000 dump\.xml\.bz2 changed while"):
        run_and_change(parse_job(tmp_path, dump), lambda: append(dump))
    assert not list((tmp_path / "corpus").rglob("_manifest.json"))


def test_a_dump_that_is_replaced_while_it_is_read_is_refused(tmp_path: Path, dump: Path) -> None:
    def replace() -> None:
        data = bytearray(dump.read_bytes())
        data[-1] ^= 1  # behind the last page, where no reading would notice
        dump.write_bytes(data)

    with pytest.raises(StageError, match="changed while they were read"):
        run_and_change(parse_job(tmp_path, dump), replace)
    assert not list((tmp_path / "corpus").rglob("_manifest.json"))


def test_a_dump_that_vanishes_while_it_is_read_is_named(tmp_path: Path, dump: Path) -> None:
    with pytest.raises((OSError, DumpError), match=r"dump\.xml\.bz2"):
        run_and_change(parse_job(tmp_path, dump), dump.unlink)
    shutil.copy(LTGWIKI, dump)
    assert run_job(parse_job(tmp_path, dump), workers=1).summary["pages"] == 903


def append(dump: Path) -> None:
    with open(dump, "ab") as file:
        file.write(bz2.compress(b"<page></page>"))


def run_and_change(job: Job, change: object) -> None:
    """Run a job in this process; change something when the first task of parsing has ended."""
    opened = open_job(job)
    records: dict[str, list[dict[str, object]]] = {}
    for phase in opened.stage.phases:
        tasks = tasks_of_phase(opened, phase, records)
        records[phase.name] = []
        for task in tasks:
            records[phase.name].append(run_task(opened, phase, task))
            if phase.name == "parse" and task.index == 0:
                change()  # type: ignore[operator]
    finish_job(opened, records)


def test_a_second_run_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    (tmp_path / "sleep-0").touch()
    code = (
        "from pipeline.engine.run import run_job\n"
        "from tests.pipeline.engine.counting_stage import counting_job\n"
        "from pathlib import Path\n"
        f"run_job(counting_job(Path({str(tmp_path / 'out')!r}), trouble_dir={str(tmp_path)!r}))"
    )
    first = Forked([sys.executable, "-c", code], cwd=REPOSITORY)
    try:
        while not (tmp_path / "sleeping").exists():
            assert first.poll() is None
            time.sleep(0.05)
        job = counting_job(tmp_path / "out", trouble_dir=str(tmp_path))
        with pytest.raises(StageError, match="found another run writing into it"):
            run_job(job, workers=1)
    finally:
        first.kill()
        first.wait()
    (tmp_path / "sleep-0").unlink()
    assert run_job(job, workers=1).summary == {"rows": 15}


def test_a_clock_that_goes_back_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files then look newer than what was made from them, and older than the epoch."""
    job = counting_job(tmp_path / "out", trouble_dir=str(tmp_path))
    (tmp_path / "raise-0").touch()
    with pytest.raises(DumpError):
        run_job(job, workers=1)
    for index, path in enumerate(sorted((tmp_path / "out").rglob("*"))):
        os.utime(path, (index, index))
    (tmp_path / "raise-0").unlink()
    monkeypatch.setattr(time, "time", lambda: -1.0)
    run_inline(job)
    run_inline(counting_job(tmp_path / "calm", trouble_dir=str(tmp_path)))
    assert tree_bytes(tmp_path / "out") == tree_bytes(tmp_path / "calm")


def test_no_stage_looks_at_the_clock_or_at_times_of_files() -> None:
    readers = [
        path.name
        for folder in ("pipeline", "schemas")
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
        if any(word in path.read_text() for word in ("time.time(", "st_mtime", "datetime.now"))
    ]
    # Who writes into a folder, since when: a note in the state that no output depends on.
    assert readers == ["claim.py"]
