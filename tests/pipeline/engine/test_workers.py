"""What workers are forked from ignores interrupts, and scripts need no main guard."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pipeline.engine.workers import start_forkserver
from schemas.errors import ConfigError
from tests.conftest import REPOSITORY
from tests.pipeline.engine.test_pool import OPENING, POOL, python


def test_an_interrupt_is_not_for_the_process_that_loads_for_workers() -> None:
    code = """
from multiprocessing import forkserver
from pipeline.engine.workers import start_forkserver
start_forkserver("pipeline.parse.stage")  # takes so long that what it ignores was so from the start
status = Path(f"/proc/{forkserver._forkserver._forkserver_pid}/status").read_text()
[ignored] = [line.split()[1] for line in status.splitlines() if line.startswith("SigIgn")]
assert int(ignored, 16) & 1 << signal.SIGINT - 1, status
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""
    subprocess.run(python(OPENING + code), cwd=REPOSITORY, check=True)


@pytest.mark.parametrize("is_file", [True, False], ids=["file", "stdin"])
def test_a_script_runs_without_the_guard_and_from_stdin(tmp_path: Path, is_file: bool) -> None:
    script = tmp_path / "script.py"
    script.write_text(POOL)
    with open(script) as stdin:
        told = subprocess.run(
            [sys.executable, str(script) if is_file else "-", str(tmp_path / "out"), str(tmp_path)],
            stdin=stdin,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=True,
        )
    assert told.stdout == "15\n"


def test_a_folder_for_temporary_files_too_long_for_a_socket_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", f"{tmp_path}/{'x' * 90}")
    with pytest.raises(ConfigError, match="set TMPDIR to a shorter one"):
        start_forkserver()
