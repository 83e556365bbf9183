"""Imports run schemas <- pipeline <- linkbert, and the rooms that learn never import pipeline."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
OWN = ("schemas", "pipeline", "linkbert")
# Rooms of linkbert that learn: they run on a machine that has the shards and no pipeline.
LEARNING = ("loader", "model", "training", "export", "finetuning", "evaluation")
MODULES = sorted(path for package in OWN for path in (REPOSITORY / package).rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported_modules(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in {path}"
            names.add(node.module or "")
    return names


def imported_packages(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported_modules(path)}


def allowed_packages(path: Path) -> set[str]:
    package, *rooms = path.relative_to(REPOSITORY).parts
    if package == "schemas":
        return {"schemas"}
    if package == "pipeline":
        return {"schemas", "pipeline"}
    return {"schemas", "linkbert"} if rooms[0] in LEARNING else set(OWN)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_imports_run_in_one_direction(path: Path) -> None:
    assert imported_packages(path) & set(OWN) <= allowed_packages(path)


def test_schemas_needs_arrow_and_numpy_only() -> None:
    third_party = {
        name
        for path in (REPOSITORY / "schemas").rglob("*.py")
        for name in imported_packages(path)
        if name not in sys.stdlib_module_names
    }
    assert third_party == {"schemas", "pyarrow", "numpy"}


def test_only_the_beam_modules_import_beam() -> None:
    users = {
        path.name for path in (REPOSITORY / "pipeline").rglob("*.py")
        if "apache_beam" in imported_packages(path)
    }  # fmt: skip
    assert users == {"beam.py", "exchange.py", "options.py", "watch.py", "remote.py"}


def test_the_pure_functions_run_without_beam_and_the_command_answers_without_torch() -> None:
    stages = ["parse", "ingest", "graph", "tokenizer", "segment", "sample"]
    code = (
        "import sys\n"
        + "\n".join(f"import pipeline.{name}.stage" for name in stages)
        + "\nimport linkbert.cli.commands\nassert 'apache_beam' not in sys.modules"
        + "\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


def test_no_module_shadows_the_standard_library() -> None:
    names = {path.stem for path in MODULES} - {"__init__", "__main__"}
    assert not names & sys.stdlib_module_names


def test_asserts_only_tell_a_type() -> None:
    """`python -O` leaves them out: what could be wrong in data must raise an error of its own."""
    told = [
        ast.unparse(node.test)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assert)
    ]
    others = [each for each in told if "is not None" not in each and "isinstance(" not in each]
    assert others == []
