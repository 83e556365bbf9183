"""What somebody types by mistake gets one line that says what to do, never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from linkbert.cli.commands import main
from tests.conftest import REPOSITORY


def line_of(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main([argv[0], "--quiet", *argv[1:]]) == 1
    [line] = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("command", ["pretrain", "experiment"])
@pytest.mark.parametrize(
    ("content", "found"),
    [
        (bytes(range(256)), "codec can't decode"),
        (b"a = " + b"[" * 100_000, "nested too deep"),
        (b"[unclosed", "Expected ']'"),
    ],
)
def test_a_file_that_is_no_toml_is_one_line(
    command: str,
    content: bytes,
    found: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes(content)
    given = [str(tmp_path), "--config", str(file)] if command == "pretrain" else [str(file)]
    line = line_of([command, *given, "--out", str(tmp_path / "out")], capsys)
    assert found in line
    assert str(file) in line


def test_a_report_onto_a_folder_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = line_of(["report", str(tmp_path), "--out", str(tmp_path)], capsys)
    assert f"name {tmp_path / 'report.html'}" in line


@pytest.mark.parametrize("package", ["torch", "safetensors"])
def test_run_lacks_what_trains_before_it_parses(
    package: str, mini_dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, package, None)
    out = tmp_path / "out"
    line = line_of(["run", str(mini_dump), "--out", str(out), "--config", "demo"], capsys)
    assert "pip install 'linkbert[train]'" in line
    assert not out.exists()


def test_a_damaged_table_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = tmp_path / "part-00000.parquet"
    part.write_bytes(b"PAR1" + bytes(100))
    assert f"expected {part} as its stage" in line_of(["show", str(part)], capsys)


def shell(command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        ["bash", "-c", command.replace("linkbert", f"{sys.executable} -m linkbert", 1)],
        capture_output=True, text=True, env=environment, cwd=REPOSITORY,
    )  # fmt: skip


def test_a_reader_that_has_had_enough_ends_the_command_without_a_word() -> None:
    pytest.importorskip("shtab", reason="the extra completion is not installed")
    done = shell("linkbert --completion bash | head -1")
    assert done.stdout.startswith("# AUTOMATICALLY GENERATED")
    assert done.stderr == ""


def test_a_closed_output_is_refused_before_anything_is_opened(mini_dump: Path) -> None:
    done = shell(f"linkbert show {mini_dump} >&-")
    assert done.returncode == 1
    assert done.stderr == "linkbert: expected an open standard output, found it closed\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_under_the_output_is_one_line() -> None:
    pytest.importorskip("shtab", reason="the extra completion is not installed")
    done = shell("linkbert --completion bash > /dev/full")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "No space left on device" in line
