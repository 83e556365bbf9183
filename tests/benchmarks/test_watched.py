"""A watched command is counted with the processes that it starts and never waits for."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.watched import run_watched

# A child of a child computes, and its parent has ended: it is told to be done by the end of a pipe.
SCRIPT = """
import os, time
reading, writing = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        while time.process_time() < 0.7:
            pass
    os._exit(0)
os.wait()
os.close(writing)
os.read(reading, 1)
print("parent")
"""


def test_processes_of_a_session_are_counted(tmp_path: Path) -> None:
    usage = run_watched([sys.executable, "-c", SCRIPT], tmp_path, tmp_path / "out")
    assert usage.cpu_seconds > 0.3
    assert (tmp_path / "out").read_text() == "parent\n"
    assert usage.kept_bytes == len("parent\n")


def test_a_failure_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        run_watched([sys.executable, "-c", "raise SystemExit(3)"], tmp_path)
