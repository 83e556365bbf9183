"""What is missing from a folder, or lies in it beside its own, is found by `check` and stops the
stage that would read the folder: every stage, every folder, every way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from linkbert.inspection.check import check
from linkbert.training.run_folder import open_shards
from pipeline.engine.lifecycle import open_job
from pipeline.engine.stage import Job
from pipeline.graph.config import SubsetConfig
from pipeline.graph.link_graph import LinkGraph
from pipeline.graph.subset import SUBSET
from schemas.errors import SchemaError, StageError
from schemas.manifest import MANIFEST_NAME, SEAL_NAME, SUMMARY_NAME, read_manifest
from tests.pipeline.chain import mini_chain
from tests.running import run_inline


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tampering")
    for job in mini_chain(folder):
        run_inline(job)
    return folder


READERS: dict[str, tuple[str, ...]] = {
    "graph": ("pages", "redirects"),
    "tokenizer": ("pages",),
    "segment": ("pages", "nodes", "mentions", "tokenizer"),
    "sample": ("nodes", "csr", "segments", "tokens", "tokenizer"),
    "subset": ("pages", "redirects", "nodes", "csr", "index"),
    "LinkGraph": ("nodes", "csr", "index"),
    "pretrain": ("train", "validation", "validation_closed"),
}


def reader_of(name: str, root: Path) -> Callable[[], object]:
    """Return what opens the folders that a stage reads."""
    if name == "pretrain":
        return lambda: open_shards(root / "shards")
    if name == "LinkGraph":
        return LinkGraph.open(str(root / "corpus")).close
    if name == "subset":
        config = SubsetConfig(around="Physics", size=3)
        job: Job[SubsetConfig] = Job(SUBSET, str(root / "part"), config, (str(root / "corpus"),))
        return lambda: open_job(job)
    [job_of_stage] = [job for job in mini_chain(root) if job.stage.name == name]
    return lambda: open_job(job_of_stage)


@contextmanager
def without(path: Path, aside: Path) -> Iterator[Path]:
    path.rename(aside)
    try:
        yield path
    finally:
        aside.rename(path)


@contextmanager
def with_a_stray(folder: Path) -> Iterator[Path]:
    stray = folder / "part-00077.parquet"
    stray.write_bytes(b"PAR1")
    try:
        yield stray
    finally:
        stray.unlink()


@pytest.mark.parametrize(
    ("reader", "folder"), [(name, folder) for name, read in READERS.items() for folder in read]
)
def test_a_note_that_is_missing_or_a_file_too_many_stops_the_reader_and_is_found(
    root: Path, tmp_path: Path, reader: str, folder: str
) -> None:
    top = root / ("shards" if reader == "pretrain" else "corpus")
    state = top / "_state" / read_manifest(top / folder).stage
    aside = tmp_path / "aside"
    ways = [
        lambda: without(top / folder / MANIFEST_NAME, aside),
        lambda: without(state / SEAL_NAME, aside),
        lambda: without(state / SUMMARY_NAME, aside),
        lambda: without(state, aside),
        lambda: without(top / "_state", aside),
        lambda: with_a_stray(top / folder),
    ]
    for way in ways:
        with way() as changed:
            with pytest.raises((StageError, SchemaError), match=r"^expected .*found"):
                reader_of(reader, root)()
            problems = check(top).problems
            assert any(str(changed) in line or changed.name in line for line in problems), changed
    assert check(top).problems == []


def test_a_whole_folder_is_read(root: Path) -> None:
    for reader in READERS:
        reader_of(reader, root)()
