"""`make docs` builds the API documentation from the docstrings."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import linkbert

REPOSITORY = Path(__file__).parents[1]


@pytest.mark.end_to_end
def test_make_docs_documents_every_public_name(tmp_path: Path) -> None:
    pytest.importorskip("pdoc", reason="the extra docs is not installed")
    recipe = subprocess.run(
        ["make", "-n", "docs", f"DOCS={tmp_path}"],
        cwd=REPOSITORY, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    [arguments] = re.findall(r"bin/pdoc (.*)", recipe.replace("\\\n", " "))
    built = subprocess.run(
[sys.executable, "-m", "pdoc", *shlex.split(arguments)],
        cwd=REPOSITORY, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert "does not resolve" not in built.stderr
    page = (tmp_path / "linkbert.html").read_text()
    assert [name for name in linkbert.__all__ if f'<section id="{name}">' not in page] == []
    assert "sections 4.2, 4.3" in page
    tables = {path.stem for path in (tmp_path / "schemas").iterdir()}
    assert {"pages", "nodes", "edges", "segments", "instances"} <= tables
