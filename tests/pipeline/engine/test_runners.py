"""Every real stage, from dump to shards, gives the same bytes on every runner."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.engine.run import run_job
from schemas import __version__
from schemas.errors import DumpError, StageError
from tests.conftest import REPOSITORY
from tests.forked import Forked
from tests.pipeline.chain import mini_chain, sample_job
from tests.pipeline.engine.counting_stage import counting_job, tree_bytes
from tests.running import run_inline

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def job_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """Start Beam's job service, as a cluster has one; return the options that send jobs to it.

    Its workers are processes that it starts itself, elsewhere than in this folder.
    """
    folder = tmp_path_factory.mktemp("service")
    command = [sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main"]
    with open(folder / "log", "wb") as log:
        service = Forked(
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
    tmp_path: Path, inline_chain: Path, job_service: tuple[str, ...]
) -> None:
    # Each job starts its workers anew, which takes time; the others have tasks like these.
    run_job(sample_job(inline_chain, tmp_path), beam_args=job_service)
    expected, found = tree_bytes(inline_chain / "shards"), tree_bytes(tmp_path / "shards")
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


def test_a_job_service_passes_an_error_of_its_workers_on(
    tmp_path: Path, job_service: tuple[str, ...]
) -> None:
    (tmp_path / "raise-0").touch()
    with pytest.raises(DumpError, match=r"^expected a calm task.*remove it$"):
        run_job(counting_job(tmp_path / "out", trouble_dir=str(tmp_path)), beam_args=job_service)


def test_a_worker_of_another_version_is_refused_at_its_first_element(
    tmp_path: Path, job_service: tuple[str, ...]
) -> None:
    shutil.copytree(REPOSITORY / "schemas", tmp_path / "other/schemas")
    version = tmp_path / "other/schemas/__init__.py"
    version.write_text(version.read_text().replace(f'"{__version__}"', '"0.0.9"'))
    *options, worker = job_service
    worker = worker.replace("=", f"=PYTHONPATH={tmp_path}/other:{REPOSITORY} ", 1)
    with pytest.raises(StageError, match=rf"found linkbert 0\.0\.9 instead of {__version__}"):
        run_job(counting_job(tmp_path / "out"), beam_args=[*options, worker])
    assert not list((tmp_path / "out").glob("[!_]*"))


def test_the_chain_gives_the_same_bytes_on_three_workers(
    tmp_path: Path, inline_chain: Path
) -> None:
    for job in mini_chain(tmp_path):
        run_job(job, workers=3)
    expected, found = tree_bytes(inline_chain), tree_bytes(tmp_path)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
    assert any(name.startswith("shards/train/part-001") for name in found)
    assert "corpus/nodes/part-00001.parquet" in found


def test_another_seed_gives_other_shards(tmp_path: Path, inline_chain: Path) -> None:
    run_inline(sample_job(inline_chain, tmp_path, seed=1))
    expected, found = tree_bytes(inline_chain / "shards"), tree_bytes(tmp_path / "shards")
    parts = [name for name in expected if name.endswith(".parquet")]
    assert any(found.get(name) != expected[name] for name in parts)
