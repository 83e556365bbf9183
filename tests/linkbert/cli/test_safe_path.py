"""Files named like our packages in the user's folder never run, whoever starts what there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

SCRIPT = """
import linkbert
if __name__ == "__main__":
    print(linkbert.parse({dump!r}, {out!r})["pages"])
"""
COMMAND = "import sys; from linkbert.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder whose every module says on stderr that it ran."""
    for name in ("pipeline", "schemas", "socket"):
        (tmp_path / f"{name}.py").write_text(f"import sys; sys.stderr.write('RAN {name}')")
    return tmp_path


def run_in(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    return subprocess.run(
        [sys.executable, *argv],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )


def test_the_command_and_its_workers_take_no_module_of_the_folder(
    folder: Path, mini_dump: Path
) -> None:
    # What the installed command does: its own folder comes first on the path, not the current one.
    (folder / "bin").mkdir()
    (folder / "bin" / "linkbert").write_text(COMMAND)
    given = ("parse", str(mini_dump), "--out", "corpus", "--workers", "1")
    done = run_in(folder, "bin/linkbert", *given)
    assert done.returncode == 0, done.stderr
    assert "RAN" not in done.stderr


def test_the_workers_of_a_script_elsewhere_take_none_either(folder: Path, mini_dump: Path) -> None:
    (folder / "below").mkdir()
    script = SCRIPT.format(dump=str(mini_dump), out=str(folder / "corpus"))
    (folder / "below" / "script.py").write_text(script)
    done = run_in(folder, "below/script.py")
    assert (done.stdout, done.returncode) == ("7\n", 0), done.stderr
    assert "RAN" not in done.stderr


def test_python_m_names_the_file_in_the_way_on_one_line(folder: Path) -> None:
    (folder / "socket.py").unlink()  # which Python itself would import
    done = run_in(folder, "-m", "linkbert", "--help")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert str(folder / "schemas.py") in line
    assert "rename" in line


@pytest.mark.parametrize("argv", [("script.py",), ("-c", "import linkbert")])
def test_whatever_starts_beside_such_a_file_is_told_so(folder: Path, argv: tuple[str, ...]) -> None:
    (folder / "script.py").write_text("import linkbert")
    done = run_in(folder, *argv)
    assert done.returncode == 1
    assert "RAN" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: linkbert expected its own package 'schemas'")
    assert str(folder / "schemas.py") in last
