"""Sizes that a reader can hold, no circle of imports, and a test module for every module."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.test_imports import MODULES, tree_of

Function = ast.FunctionDef | ast.AsyncFunctionDef

# Nothing to test but what they declare: names, schemas, shapes of values.
DECLARATIONS = {
    "linkbert/config.py",
    "pipeline/ingest/entries.py",
    *(f"schemas/tables/{name}.py" for name in
      ("edges", "instances", "mentions", "nodes", "pages", "redirects", "rejects")),
}  # fmt: skip


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def functions_of(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, Function))


def num_positional(function: Function) -> int:
    names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")


def imported(tree: ast.AST, modules: set[str]) -> set[str]:
    """Return what a tree imports of some modules; what only type checkers read is left out."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in modules else str(node.module))
        found |= imported(node, modules)
    return found & modules


def is_started(path: Path) -> bool:
    """Tell whether a module is a room's own or a program's start, tested with what it brings."""
    return path.stem in ("__init__", "__main__")


def test_every_module_with_logic_has_a_test_module_of_its_name() -> None:
    lacking = {
        name_of(path)
        for path in MODULES
        if not is_started(path)
        and not (
            REPOSITORY / "tests" / path.relative_to(REPOSITORY).parent / f"test_{path.name}"
        ).is_file()
    }
    assert lacking - DECLARATIONS == set()
    assert DECLARATIONS - lacking == set(), "these are tested: take them off the list"


@pytest.mark.parametrize("name", sorted(DECLARATIONS))
def test_what_is_not_tested_by_name_has_no_function(name: str) -> None:
    assert [each.name for each in functions_of(REPOSITORY / name)] == []


def test_no_folder_has_more_modules_than_a_reader_can_hold() -> None:
    counts = Counter(path.parent for path in MODULES if path.stem != "__init__")
    assert max(counts.values()) <= 14, counts.most_common(1)


def test_no_module_is_longer_than_400_lines() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_no_function_is_longer_than_60_lines_or_takes_more_than_five_by_position() -> None:
    odd = [
        f"{name_of(path)}: {each.name}"
        for path in MODULES
        for each in functions_of(path)
        if (each.end_lineno or 0) - each.lineno >= 60 or num_positional(each) > 5
    ]
    assert odd == []


def test_no_module_imports_itself_by_a_way_round() -> None:
    """Imports within functions count: they would hide a circle, not end it."""
    modules = {module_of(path): path for path in MODULES}
    graph = {name: imported(tree_of(path), set(modules)) for name, path in modules.items()}
    while leaves := {name for name, needed in graph.items() if not needed & graph.keys()}:
        for name in leaves:
            del graph[name]
    assert graph == {}
