"""S3 as its own server answers: a stage writes the bytes of a local one, a refusal is one line."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.engine.run import run_job
from pipeline.engine.stage import Job
from pipeline.storage import files, remote
from schemas.errors import StageError
from tests.pipeline.engine.counting_stage import COUNTING, CountingConfig, tree_bytes
from tests.running import run_inline

boto3 = pytest.importorskip("boto3", reason="the extra aws is not installed")
pytest.importorskip("moto", reason="the test server of S3 is not installed")

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve S3 on loopback from a process of its own; return its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with open(tmp_path_factory.mktemp("s3") / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        while process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        assert process.poll() is None
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(autouse=True)
def environment(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(remote, "PAUSES_SECONDS", (0.001,))


@pytest.fixture
def bucket(server: str) -> str:
    boto3.client("s3", endpoint_url=server).create_bucket(Bucket="bucket")
    return "s3://bucket"


def test_the_options_after_the_dashes_reach_every_process(
    tmp_path: Path, bucket: str, server: str
) -> None:
    assert "AWS_ENDPOINT_URL" not in os.environ
    job = Job(COUNTING, f"{bucket}/out", CountingConfig(num_tasks=2))
    options = (f"--s3_endpoint_url={server}",)
    assert run_job(job, workers=2, beam_args=options).summary == {"rows": 6}
    run_inline(Job(COUNTING, str(tmp_path), CountingConfig(num_tasks=2)))
    expected = tree_bytes(tmp_path)
    assert {name: files.read_bytes(f"{bucket}/out/{name}") for name in expected} == expected
    assert not files.exists(f"{bucket}/out/_state/_writer.json")
    assert run_job(job, workers=2, beam_args=options).was_finished


def test_an_empty_object_is_an_object(
    bucket: str, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.use_options({"s3_endpoint_url": server})
    with files.write_whole(f"{bucket}/empty"):
        pass
    assert files.size(f"{bucket}/empty") == 0
    files.remove(f"{bucket}/empty")
    files.remove(f"{bucket}/empty")
    assert not files.exists(f"{bucket}/empty")


def test_a_bucket_that_is_missing_is_named(server: str) -> None:
    remote.use_options({"s3_endpoint_url": server})
    with pytest.raises(StageError, match=r"expected a bucket s3://none, found none: create it"):
        files.check_stores(["s3://none/corpus"])


def test_an_endpoint_that_does_not_answer_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    remote.use_options({"s3_endpoint_url": f"http://127.0.0.1:{port}"})
    with pytest.raises(StageError, match="check the network"):
        files.check_stores(["s3://bucket/corpus"])


def test_credentials_that_are_missing_are_asked_for(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    remote.use_options({"s3_endpoint_url": server})
    with pytest.raises(StageError, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        files.check_stores(["s3://bucket/corpus"])
