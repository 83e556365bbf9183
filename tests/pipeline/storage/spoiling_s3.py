"""Moto's S3 as a program that spoils one request in twenty, in six ways in turn.

    python -m tests.pipeline.storage.spoiling_s3 PORT LOG

It spoils nothing until the file LOG is there, and writes into it, a line each, how it spoilt what.
"""

import itertools
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

EVERY = 20
CODES = {"500": "500 Internal Server Error", "503": "503 Slow Down", "429": "429 Too Many Requests"}
WAYS = (*CODES, "reset", "lost answer", "half a body")

StartResponse = Callable[..., Any]


class SpoilingS3:
    """A WSGI application in front of moto's."""

    def __init__(self, log: Path) -> None:
        self._inner = DomainDispatcherApplication(create_backend_app)
        self._log, self._lock = log, threading.Lock()
        self._turns = itertools.count(1)
        self._ways = itertools.cycle(WAYS)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        way = self._next_way(environ)
        if way in CODES:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response(CODES[way], [("Content-Length", "0")])
            return []
        if way == "reset":
            _hang_up(environ)
        answer = self._inner(environ, start_response)
        if way == "lost answer":
            b"".join(answer)
            _hang_up(environ)
        return _half_of(answer, environ) if way == "half a body" else answer

    def _next_way(self, environ: dict[str, Any]) -> str:
        with self._lock:
            if not self._log.exists() or next(self._turns) % EVERY:
                return ""
            way = next(self._ways)
            # An answer without a body has no half.
            if way == "half a body" and environ["REQUEST_METHOD"] != "GET":
                way = "lost answer"
            with open(self._log, "a") as log:
                log.write(f"{way}\n")
        return way


def _half_of(answer: Iterable[bytes], environ: dict[str, Any]) -> Iterator[bytes]:
    body = b"".join(answer)
    yield body[: len(body) // 2]
    _hang_up(environ)


def _hang_up(environ: dict[str, Any]) -> NoReturn:
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError


if __name__ == "__main__":
    application = SpoilingS3(Path(sys.argv[2]))
    make_server("127.0.0.1", int(sys.argv[1]), application, threaded=True).serve_forever()
