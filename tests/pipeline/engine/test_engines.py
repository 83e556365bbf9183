"""A stage on Prism, Beam's engine in Go, as a program of its own: same bytes, one line, one ending.

LINKBERT_PRISM names the program; without it the one beside this repository is unpacked.
"""

import lzma
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkbert.cli.commands import main
from pipeline.engine.run import run_job
from schemas.errors import ConfigError, DumpError, StageError
from tests.conftest import REPOSITORY
from tests.forked import Forked
from tests.pipeline.chain import STEPS, assert_same_bytes
from tests.pipeline.engine.counting_stage import counting_job, tree_bytes, wait_for
from tests.running import run_inline, wait_until_served

pytestmark = [
    pytest.mark.engine,
    pytest.mark.end_to_end,
    pytest.mark.timeout(400),
    # Beam's threads of a job that failed end in exceptions once Prism has let go of its workers.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """Start Prism, once for all; return the options that send a job to it."""
    folder = tmp_path_factory.mktemp("prism")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [_program(folder), f"-job_port={port}", "-serve_http=false"]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until_served(port, process)
        endpoint = f"--job_endpoint=localhost:{port}"
        yield "--runner=PrismRunner", endpoint, "--environment_type=LOOPBACK"
    finally:
        process.kill()
        process.wait()


def _program(folder: Path) -> str:
    if path := os.environ.get("LINKBERT_PRISM", ""):
        return path
    packed = sorted((REPOSITORY.parent / "shared" / "engines").glob("prism-*.xz"))
    if not packed:
        pytest.skip("LINKBERT_PRISM names no program, and none lies beside this repository")
    unpacked = folder / "prism"
    with lzma.open(packed[-1]) as source, open(unpacked, "wb") as target:
        shutil.copyfileobj(source, target)
    unpacked.chmod(0o755)
    return str(unpacked)


@pytest.mark.parametrize("step", STEPS)
def test_the_chain_on_prism_writes_the_same_bytes(
    inline_chain: Path, tmp_path: Path, prism: tuple[str, ...], step: str
) -> None:
    assert_same_bytes(inline_chain, tmp_path, prism, step)


def test_prism_writes_the_same_bytes_through_a_worker_s_death(
    tmp_path: Path, prism: tuple[str, ...]
) -> None:
    (tmp_path / "die-once-1").touch()
    job = counting_job(tmp_path / "out", trouble_dir=str(tmp_path))
    assert run_job(job, beam_args=prism).summary == {"rows": 15}
    assert not (tmp_path / "die-once-1").exists()
    run_inline(counting_job(tmp_path / "inline", trouble_dir=str(tmp_path)))
    assert tree_bytes(tmp_path / "out") == tree_bytes(tmp_path / "inline")


def test_an_error_on_prism_is_the_product_s_line_and_the_traces_are_in_a_file(
    tmp_path: Path, prism: tuple[str, ...]
) -> None:
    (tmp_path / "raise-0").touch()
    with pytest.raises(DumpError, match=r"^expected a calm task.*remove it$"):
        run_job(counting_job(tmp_path / "out", trouble_dir=str(tmp_path)), beam_args=prism)
    traces = (tmp_path / "out/_state/counting-engine.log").read_text()
    assert "Traceback" in traces


def test_an_interrupt_on_prism_cancels_the_job(tmp_path: Path, prism: tuple[str, ...]) -> None:
    (tmp_path / "sleep-0").touch()
    code = (
        "import signal, sys\n"
        "from pipeline.engine.run import run_job\n"
        "from tests.pipeline.engine.counting_stage import counting_job\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "try:\n"
        "    run_job(counting_job(sys.argv[1], trouble_dir=sys.argv[2]), beam_args=sys.argv[3:])\n"
        "except KeyboardInterrupt as stop:\n"
        "    print(stop)\n"
        "    sys.exit(stop.status)\n"
    )
    process = Forked(
        [sys.executable, "-c", code, str(tmp_path / "out"), str(tmp_path), *prism],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    wait_for(tmp_path / "sleeping")
    process.send_signal(signal.SIGINT)
    said = process.communicate()[0]
    assert process.returncode == 130, said
    assert "has ended; the same command resumes" in said
    assert not (tmp_path / "out/_state/_writer.json").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--runner=PrismRunner", "--prism_location=none"], "go install"),
        (["--runner=FlinkRunner", "--flink_job_server_jar=none.jar"], "Maven Central"),
        (["--runner=FlinkRunner", "--flink_master=localhost:9"], "--flink_master"),
        (["--runner=PortableRunner", "--job_endpoint=localhost:9"], "--job_endpoint"),
    ],
    ids=["no prism", "no jar", "no flink", "no job service"],
)
def test_an_engine_that_is_not_there_is_said_so(
    tmp_path: Path, options: list[str], told: str
) -> None:
    with pytest.raises((ConfigError, StageError), match=told):
        run_job(counting_job(tmp_path), beam_args=options)


def test_the_command_line_says_one_line_of_it(
    tmp_path: Path, mini_dump: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["parse", str(mini_dump), "--out", str(tmp_path), "--quiet", "--"]
    assert main([*command, "--runner=FlinkRunner", "--flink_master=localhost:9"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
