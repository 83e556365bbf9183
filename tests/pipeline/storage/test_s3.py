"""S3 as a server of its own: the chain writes the same bytes, a refusal is one line."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkbert.inspection.check import check
from pipeline.storage import files, remote
from tests.conftest import REPOSITORY
from tests.forked import Forked
from tests.pipeline.chain import MINI, mini_chain
from tests.pipeline.engine.counting_stage import tree_bytes
from tests.running import run_inline, wait_until_served

boto3 = pytest.importorskip("boto3", reason="the extra aws is not installed")
pytest.importorskip("moto", reason="the test server of S3 is not installed")

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file that makes the server spoil requests, once it is there."""
    return tmp_path_factory.mktemp("s3") / "spoilt"


@pytest.fixture(scope="module")
def server(spoilt: Path) -> Iterator[str]:
    """Serve S3 on loopback from a process of its own; return its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    module = "tests.pipeline.storage.spoiling_s3"
    command = [sys.executable, "-m", module, str(port), str(spoilt)]
    with open(spoilt.with_name("log"), "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until_served(port, process)
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


@pytest.fixture
def bucket(server: str) -> str:
    boto3.client("s3", endpoint_url=server).create_bucket(Bucket="bucket")
    return "s3://bucket"


COMMAND = """
import sys
from pipeline.engine.run import run_job
from pipeline.engine.workers import start_forkserver
from pipeline.storage import remote
from tests.pipeline.chain import mini_chain
from tests.pipeline.storage.fake_store import SHORT_PAUSES_SECONDS, with_store
start_forkserver("tests.pipeline.chain", "tests.pipeline.storage.fake_store", "boto3")
remote.PAUSES_SECONDS = remote._CHECK_PAUSES_SECONDS = SHORT_PAUSES_SECONDS
remote._CHECK_SECONDS = 120.0  # on a machine however busy
for job in mini_chain("s3://bucket", "s3://bucket/mini.xml", "shuffle", is_short=True):
    run_job(with_store(job), workers=2, beam_args=sys.argv[1:])
"""


def test_the_chain_writes_the_same_bytes_through_faults_and_a_kill(
    tmp_path: Path, bucket: str, server: str, spoilt: Path
) -> None:
    for job in mini_chain(tmp_path / "local", join="shuffle", is_short=True):
        run_inline(job)
    client = boto3.client("s3", endpoint_url=server)
    client.upload_file(str(MINI), "bucket", "mini.xml")
    spoilt.touch()
    assert "AWS_ENDPOINT_URL" not in os.environ
    command = [sys.executable, "-c", COMMAND, f"--s3_endpoint_url={server}"]
    first = Forked(command, cwd=REPOSITORY)
    while "/corpus/_state/graph/_tasks/index" not in spoilt.with_name("log").read_text():
        assert first.poll() is None
        time.sleep(0.1)
    first.kill()
    first.wait()
    assert Forked(command, cwd=REPOSITORY).wait() == 0
    from tests.pipeline.storage.spoiling_s3 import WAYS

    ways = spoilt.read_text().splitlines()
    spoilt.unlink()
    assert set(ways) == set(WAYS)
    for entry in client.list_objects_v2(Bucket="bucket")["Contents"]:
        key = entry["Key"]
        target = tmp_path / "bucket" / key
        target.parent.mkdir(parents=True, exist_ok=True)
        client.download_file("bucket", key, str(target))
    (tmp_path / "bucket/mini.xml").unlink()
    assert tree_bytes(tmp_path / "bucket") == tree_bytes(tmp_path / "local")
    assert not (tmp_path / "bucket/corpus/_state/_writer.json").exists()
    assert check(tmp_path / "bucket").problems == []


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
