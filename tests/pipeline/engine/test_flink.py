"""What is asked of Flink's REST interface, and what its answers mean."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.engine import flink
from schemas.errors import StageError

JOBS = [
    {"jid": "1", "name": "other", "state": "RUNNING"},
    {"jid": "2", "name": "ours", "state": "RUNNING"},
]


class FakeFlink(BaseHTTPRequestHandler):
    """What Flink answers to the few questions that are asked of it."""

    def do_GET(self) -> None:
        self._answer(
            {
                "/overview": {"taskmanagers": 2},
                "/jobs/overview": {"jobs": JOBS},
                "/jobs/2/exceptions": {"root-exception": "the cause"},
            }[self.path]
        )

    def do_PATCH(self) -> None:
        assert self.path == "/jobs/2?mode=cancel"
        JOBS[1]["state"] = "CANCELED"
        self._answer({})

    def _answer(self, value: object) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def master() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeFlink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_job_is_found_by_its_name_asked_for_its_cause_and_cancelled(master: str) -> None:
    assert flink.overview(master)["taskmanagers"] == 2
    assert flink.root_cause(master, "ours") == "the cause"
    assert not flink.has_ended(master, "ours")
    flink.cancel(master, "ours")
    assert flink.has_ended(master, "ours")
    assert flink.has_ended(master, "never submitted")


def test_a_cluster_that_is_gone_tells_nothing_of_a_job() -> None:
    nowhere = "http://127.0.0.1:9"
    with pytest.raises(StageError, match="start it"):
        flink.overview(nowhere)
    assert flink.root_cause(nowhere, "ours") == ""
    assert not flink.has_ended(nowhere, "ours")
