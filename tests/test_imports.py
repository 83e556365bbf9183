"""Imports run schemas <- pipeline and schemas <- linkbert; only `linkbert.api` joins the two."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
OWN = ("schemas", "pipeline", "linkbert")
ALLOWED = {
    "schemas": {"schemas"},
    "pipeline": {"schemas", "pipeline"},
    "linkbert": {"schemas", "linkbert"},
}
# The functions of both sides, and the names under which `import linkbert` finds them.
JOINING = {Path("linkbert/api.py"), Path("linkbert/__init__.py")}
MODULES = sorted(path for package in OWN for path in (REPOSITORY / package).rglob("*.py"))


def imported_packages(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in {path}"
            names.add(node.module or "")
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_imports_run_in_one_direction(path: Path) -> None:
    package = path.relative_to(REPOSITORY).parts[0]
    own = imported_packages(path) & set(OWN)
    if path.relative_to(REPOSITORY) not in JOINING:
        assert own <= ALLOWED[package]


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
    assert users == {"beam_jobs.py", "exchange.py", "remote.py"}


def test_the_pure_functions_run_without_beam_and_the_command_answers_without_torch() -> None:
    stages = ["parse", "graph", "tokenizer", "segment", "sample", "ingest", "subset"]
    code = (
        "import sys\n"
        + "\n".join(f"import pipeline.{name}" for name in stages)
        + "\nimport linkbert.cli\nassert 'apache_beam' not in sys.modules"
        + "\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


def test_no_module_shadows_the_standard_library() -> None:
    names = {path.stem for path in MODULES} - {"__init__", "__main__"}
    assert not names & sys.stdlib_module_names
