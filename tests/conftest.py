"""Fixtures of the whole suite."""

import fcntl
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings

from tests.forked import Forked
from tests.golden import Golden
from tests.running import DEMO_STEPS

REPOSITORY = Path(__file__).parents[1]

# Children of the tests never look in the current folder, and a dependency of apache-beam[gcp]
# installs a package of its own by the name of `tests`.
os.environ["PYTHONPATH"] = str(REPOSITORY)

# A busy machine must fail no test, nor may one that has passed fail by another draw.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")

STAGES = ("parse", "ingest", "graph", "tokenizer", "segment", "sample")

CPU_SECONDS = 30.0
CPU_SECONDS_END_TO_END = 120.0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test that computes for too long, however long a busy machine made it wait.

    Counted are this process and the children that it has waited for.
    """
    limit = CPU_SECONDS_END_TO_END if item.get_closest_marker("end_to_end") else CPU_SECONDS
    before = _cpu_seconds()
    yield
    spent = _cpu_seconds() - before
    if spent > limit:
        pytest.fail(f"expected at most {limit:.0f} CPU seconds, found {spent:.0f}")


def _cpu_seconds() -> float:
    return sum(os.times()[:4]) + Forked.cpu_seconds


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: no process is then left alone with one of them.

    What needs them in this order is `--no-loadscope-reorder` of pytest-xdist, which would begin
    with the files of most tests.
    """
    long = {item.path for item in items if item.get_closest_marker("end_to_end")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session", autouse=True)
def loaded_forkserver() -> Iterator[None]:
    """Load every stage, and Beam for stores, once where workers are forked from.

    A command loads there what its first stage needs; here one process runs all stages, and each
    worker of the others would load its own.
    """
    from pipeline.engine import pool

    stages = [f"pipeline.{name}.stage" for name in STAGES]
    with pytest.MonkeyPatch.context() as patch:
        start = partial(pool.start_forkserver, *stages, "pipeline.storage.remote")
        patch.setattr(pool, "start_forkserver", start)
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden tables of tests/data/golden anew; review the difference",
    )


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of large real dumps and corpora; tests that need it skip without it."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the large real dumps are not on this machine")
    return folder


@pytest.fixture(scope="session")
def mini_dump() -> Path:
    """Return the hand-written dump: every kind of page and link in eighteen pages."""
    return REPOSITORY / "tests" / "data" / "mini.xml"


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a demo of a few steps, for reading; the printed text lies beside it.

    The processes of pytest-xdist share one: the first makes it, the others wait.
    """
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "demo"
    root.mkdir(exist_ok=True)
    printed = root / "printed.txt"
    with open(root / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not printed.is_file():
            printed.write_text(_run_demo(root / "out"))
    return root / "out"


def _run_demo(out: Path) -> str:
    from linkbert.cli.commands import main

    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("builtins.print", lambda *args, **_: printed.append(" ".join(map(str, args))))
        assert main(["demo", "--out", str(out), "--quiet", *DEMO_STEPS]) == 0
    return "\n".join(printed)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a table with its golden file, or write it with --update-golden."""
    update = bool(request.config.getoption("--update-golden"))
    return Golden(REPOSITORY / "tests" / "data" / "golden", update)
