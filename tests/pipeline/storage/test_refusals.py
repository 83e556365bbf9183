"""A store's refusal is one line, from its clients' errors and from what real clients make of it."""

import importlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipeline.storage import files, remote
from pipeline.storage.refusals import explained, is_transient
from schemas.errors import StageError


class AnswerError(Exception):
    def __init__(self, code: int, message: str = "no") -> None:
        super().__init__(message)
        self.code = code


class WrappedError(Exception):
    def __init__(self, inner: Exception) -> None:
        super().__init__("Match operation failed")
        self.exception_details = {"s3://bucket/x": inner}


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (AnswerError(500), True), (AnswerError(503), True), (AnswerError(429), True),
        (AnswerError(404), False),
        (WrappedError(AnswerError(503)), True), (WrappedError(AnswerError(403)), False),
        (ConnectionResetError(), True), (ValueError(), False),
    ],
)  # fmt: skip
def test_what_passes_by_itself_is_told_by_the_status_inside(error: Exception, passes: bool) -> None:
    assert is_transient(error) == passes


@pytest.mark.parametrize(
    ("path", "error", "line"),
    [
        ("s3://b/x", ValueError("Unable to locate credentials"), "set AWS_ACCESS_KEY_ID"),
        ("gs://b/x", ValueError("Your default credentials were not found"), "-- --no_auth"),
        ("s3://b/x", AnswerError(404, "NoSuchBucket"), "expected a bucket s3://b, found none"),
        ("gs://b/x", WrappedError(AnswerError(403)), "expected the right to use gs://b/x"),
        ("gs://b/x", AnswerError(404), r"found none \(404\)"),
        ("s3://b/x", ConnectionResetError("reset"), "check the network"),
        ("s3://b/x", AssertionError("Missing boto3 requirement"), r"'linkbert\[aws\]'"),
    ],
)
def test_a_refusal_is_a_line_with_what_to_do(path: str, error: Exception, line: str) -> None:
    with pytest.raises(Exception, match=line):
        raise explained(error, path)


def test_an_error_that_is_no_refusal_stays() -> None:
    error = KeyError("a fault of ours")
    assert explained(error, "gs://b/x") is error


STATUS = {"missing": 404, "forbidden": 403}
XML = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>"


class Refusing(BaseHTTPRequestHandler):
    """A store, and a machine's metadata, that refuses as the name of the bucket says, or waits."""

    ends = threading.Event()

    def do_GET(self) -> None:
        status = next((code for name, code in STATUS.items() if name in self.path), 0)
        if not status:
            self.ends.wait()
            return
        if "/b/" in self.path:
            message = "The specified bucket does not exist." if status == 404 else "no"
            body = json.dumps({"error": {"code": status, "message": message}})
        else:
            body = XML.format(code="NoSuchBucket" if status == 404 else "AccessDenied")
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body.encode())

    do_HEAD = do_PUT = do_GET  # noqa: N815, the server's names

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    Refusing.ends.set()
    server.shutdown()
    server.server_close()


CREDENTIALS = {"s3": "set AWS_ACCESS_KEY_ID", "gs": "-- --no_auth"}


@pytest.mark.parametrize(
    ("bucket", "told"),
    [
        ("missing", "^expected a bucket {store}://a-missing, found none: create it"),
        ("forbidden", "^expected the right to use {store}://a-forbidden/c, found that the store"),
        ("silent", "^expected an answer for {store}://a-silent/c within 0.5 seconds, found none"),
        ("nobody", "^expected credentials for {store}://a-nobody, found none: .*{credentials}"),
        ("nowhere", "{store}://a-nowhere/c .*: check the network"),
    ],
)
@pytest.mark.parametrize("store", ["s3", "gs"])
def test_what_a_real_client_is_refused_is_one_line(
    store: str, bucket: str, told: str, address: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    extra = {"s3": "boto3", "gs": "google.cloud.storage"}[store]
    try:
        importlib.import_module(extra)
    except ImportError:
        pytest.skip(f"{extra} is not installed")
    if bucket == "nowhere":
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
    _give_credentials(monkeypatch, tmp_path, address, bucket != "nobody")
    is_answered = bucket not in ("silent", "nowhere")
    monkeypatch.setattr(remote, "_CHECK_SECONDS", 60.0 if is_answered else 0.5)
    with pytest.raises(StageError, match=told.format(store=store, credentials=CREDENTIALS[store])):
        files.check_stores(f"{store}://a-{bucket}/c")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("gs:///c", "^expected a path with a bucket, such as gs://BUCKET/corpus, found gs:///c"),
        ("s3://", "^expected a path with a bucket, such as s3://BUCKET/corpus, found s3://"),
        (
            "s3://no such/c",
            "^expected the store of s3://no such/c to answer, found .*Invalid b",
        ),
    ],
)
def test_a_path_that_no_store_can_have_is_one_line(
    path: str, told: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("boto3", reason="the extra aws is not installed")
    _give_credentials(monkeypatch, tmp_path, address, True)
    monkeypatch.setattr(remote, "_CHECK_SECONDS", 60.0)
    with pytest.raises(StageError, match=told):
        files.check_stores(path)


def _give_credentials(
    monkeypatch: pytest.MonkeyPatch, home: Path, address: str, are_there: bool
) -> None:
    """Point the clients at a server, with credentials or with a machine that has none to give."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "CLOUDSDK_CONFIG"):
        monkeypatch.setenv(name, str(home / "none"))
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://{address}")
    monkeypatch.setenv("GCE_METADATA_IP", address)
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://{address}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    options: dict[str, Any] = {"s3_endpoint_url": f"http://{address}", "s3_region_name": "us"}
    if are_there:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        options |= {"no_auth": True}
    monkeypatch.setattr(remote.FileSystems, "_pipeline_options", None)
    remote.use_options(options)
