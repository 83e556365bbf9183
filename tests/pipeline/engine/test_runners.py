"""Every real stage, from dump to shards, gives the same bytes on every runner."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.engine.run import run_job
from pipeline.engine.stage import Job
from pipeline.graph.config import GraphConfig
from pipeline.graph.stage import GRAPH
from pipeline.parse.config import ParseConfig
from pipeline.parse.stage import PARSE
from pipeline.sample.config import SampleConfig
from pipeline.sample.stage import SAMPLE
from pipeline.segment.config import SegmentConfig
from pipeline.segment.stage import SEGMENT
from pipeline.tokenizer.config import TokenizerConfig
from pipeline.tokenizer.stage import TOKENIZER
from schemas.errors import DumpError
from tests.pipeline.engine.counting_stage import counting_job, tree_bytes
from tests.pipeline.engine.test_run import PROCESSES
from tests.running import run_inline

REPOSITORY = Path(__file__).parents[3]
DUMP = REPOSITORY / "linkbert/data/ltgwiki-2017-pages-articles.xml.bz2"

pytestmark = pytest.mark.end_to_end


def chain(root: Path, dump: str = str(DUMP), join: str = "auto") -> list[Job]:
    """Return the jobs from the bundled dump to two epochs of shards."""
    corpus, shards = str(root / "corpus"), str(root / "shards")
    return [
        Job(PARSE, corpus, ParseConfig(), (dump,)),
        Job(GRAPH, corpus, GraphConfig()),
        Job(TOKENIZER, corpus, TokenizerConfig(vocab_size=2000), (corpus,)),
        Job(SEGMENT, corpus, SegmentConfig(max_tokens=62)),
        Job(SAMPLE, shards, SampleConfig(epochs=2, validation_fraction=0.1, join=join), (corpus,)),
    ]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("inline")
    for job in chain(root):
        run_inline(job)
    return tree_bytes(root)


@pytest.fixture(scope="module")
def job_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """Start Beam's job service, as a cluster has one; return the options that send jobs to it.

    Its workers are processes that it starts itself, elsewhere than in this folder.
    """
    folder = tmp_path_factory.mktemp("service")
    command = [sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main"]
    with open(folder / "log", "wb") as log:
        service = subprocess.Popen(
            [*command, "--port_file", str(folder / "port"), "--staging_dir", str(folder / "jobs")],
            stdout=log,
            stderr=log,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            start_new_session=True,
        )
    try:
        while not (folder / "port").exists() or not (folder / "port").read_text():
            assert service.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        worker = f"{sys.executable} -m apache_beam.runners.worker.sdk_worker_main"
        yield (
            "--runner=PortableRunner",
            f"--job_endpoint=localhost:{(folder / 'port').read_text().strip()}",
            "--environment_type=beam:env:harness_subprocess_python:v1",
            f"--environment_config={worker}",
        )
    finally:
        os.killpg(service.pid, signal.SIGKILL)
        service.wait()


def test_a_job_service_with_workers_of_its_own_gives_the_same_bytes(
    tmp_path: Path, expected: dict[str, bytes], job_service: tuple[str, ...]
) -> None:
    for job in chain(tmp_path):
        # Each job starts its workers anew, which takes time; the others have tasks like these.
        if job.stage.name in ("parse", "graph", "sample"):
            run_job(job, beam_args=job_service)
        else:
            run_inline(job)
    found = tree_bytes(tmp_path)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


def test_a_job_service_passes_an_error_of_its_workers_on(
    tmp_path: Path, job_service: tuple[str, ...]
) -> None:
    (tmp_path / "raise-0").touch()
    with pytest.raises(DumpError, match=r"^expected a calm task.*remove it$"):
        run_job(counting_job(tmp_path / "out", trouble_dir=str(tmp_path)), beam_args=job_service)


@pytest.mark.parametrize(
    ("workers", "beam_args"),
    [(1, ()), (3, ()), (1, PROCESSES)],
    ids=["one worker", "three workers", "multi_processing"],
)
def test_the_chain_gives_the_same_bytes_on_every_runner(
    tmp_path: Path, expected: dict[str, bytes], workers: int, beam_args: tuple[str, ...]
) -> None:
    for job in chain(tmp_path):
        run_job(job, workers=workers, beam_args=beam_args)
    found = tree_bytes(tmp_path)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
    assert any(name.startswith("shards/train/part-001") for name in found)


def test_another_seed_gives_other_shards_and_the_same_corpus(
    tmp_path: Path, expected: dict[str, bytes]
) -> None:
    jobs = chain(tmp_path)
    for job in jobs[:-1]:
        run_inline(job)
    config = SampleConfig(epochs=2, validation_fraction=0.1, seed=1)
    run_inline(Job(SAMPLE, jobs[-1].root, config, jobs[-1].sources))
    found = tree_bytes(tmp_path)
    changed = {name.split("/")[0] for name in expected if found.get(name) != expected[name]}
    assert changed == {"shards"}
