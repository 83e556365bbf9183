"""The chain on a real Flink of two task managers: `make test-flink`, by hand, some ten minutes.

Nearly all the time is the start of Python workers, two rounds a phase. The script that starts Flink
lies beside this repository; LINKBERT_FLINK names a folder in which it keeps what it downloads.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.engine import flink
from pipeline.engine.run import run_job
from schemas.errors import DumpError
from tests.conftest import REPOSITORY
from tests.pipeline.chain import STEPS, assert_same_bytes, mini_chain
from tests.pipeline.engine.counting_stage import counting_job, tree_bytes, wait_for
from tests.running import run_inline

pytestmark = [pytest.mark.flink, pytest.mark.end_to_end, pytest.mark.timeout(1800)]

SCRIPT = REPOSITORY.parent / "shared" / "engines" / "flink"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Start Flink with two task managers; return its folder and the options of a job."""
    if not SCRIPT.exists() or shutil.which("java") is None:
        pytest.skip("Flink's start script beside this repository, or Java, is not on this machine")
    folder = Path(os.environ.get("LINKBERT_FLINK") or tmp_path_factory.mktemp("flink"))
    environment = {**os.environ, "PYTHON": sys.executable}
    started = subprocess.run(
        [str(SCRIPT), "start", str(folder)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert started.returncode == 0
    yield folder, tuple(started.stdout.split())
    subprocess.run([str(SCRIPT), "stop", str(folder)], check=True)


@pytest.mark.parametrize("step", STEPS)
def test_the_chain_writes_the_same_bytes(
    inline_chain: Path, tmp_path: Path, cluster: tuple[Path, tuple[str, ...]], step: str
) -> None:
    assert_same_bytes(inline_chain, tmp_path, cluster[1], step)


def test_an_error_is_the_product_s_line(
    tmp_path: Path, cluster: tuple[Path, tuple[str, ...]]
) -> None:
    dump = tmp_path / "none.xml"
    dump.write_text("this is no dump")
    job = mini_chain(tmp_path, dump)[0]
    with pytest.raises(DumpError, match=r"^expected "):
        run_job(job, beam_args=cluster[1])


def test_an_interrupt_cancels_the_job(
    tmp_path: Path, cluster: tuple[Path, tuple[str, ...]]
) -> None:
    options = cluster[1]
    process = start(tmp_path, options)
    wait_for(tmp_path / "sleeping")
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 130, said
    assert "has ended; the same command resumes" in said
    assert not (tmp_path / "out/_state/_writer.json").exists()
    master = next(each for each in options if "flink_master" in each).split("=")[1]
    states = {job["state"] for job in flink._ask(f"{master}/jobs/overview")["jobs"]}
    assert "RUNNING" not in states


def test_a_task_manager_that_dies_changes_no_byte(
    tmp_path: Path, cluster: tuple[Path, tuple[str, ...]]
) -> None:
    """The last test: the cluster has one task manager afterwards."""
    process = start(tmp_path, cluster[1])
    wait_for(tmp_path / "sleeping")
    (tmp_path / "sleep-0").unlink()
    worker = int((tmp_path / "sleeping").read_text())
    number = task_manager_of(worker, cluster[0])
    subprocess.run([str(SCRIPT), "kill", str(cluster[0]), str(number)], check=True)
    said = process.communicate(timeout=600)[0]
    assert process.returncode == 0, said
    run_inline(counting_job(tmp_path / "inline", trouble_dir=str(tmp_path)))
    assert tree_bytes(tmp_path / "out") == tree_bytes(tmp_path / "inline")


CODE = """
import signal, sys
from pipeline.engine.run import run_job
from tests.pipeline.engine.counting_stage import counting_job
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    run_job(counting_job(sys.argv[1], trouble_dir=sys.argv[2]), beam_args=sys.argv[3:])
except KeyboardInterrupt as stop:
    print(stop)
    sys.exit(stop.status)
"""


def start(folder: Path, options: tuple[str, ...]) -> subprocess.Popen[str]:
    """Start a job whose first task sleeps."""
    (folder / "sleep-0").touch()
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(folder / "out"), str(folder), *options],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def task_manager_of(process: int, folder: Path) -> int:
    """Return the number of the task manager that a process descends from."""
    managers = {
        int(path.read_text()): int(path.stem.removeprefix("task-manager-"))
        for path in folder.glob("task-manager-*.pid")
    }
    while process not in managers:
        process = int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])
        assert process > 1, "a worker that no task manager started"
    return managers[process]
