"""A server of dumps on this machine that misbehaves as a test asks."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class DumpServer:
    """What lies on the server, and what it does wrong.

    Attributes:
        files: bytes by path.
        cut_after: breaks off each answer after so many bytes.
        stalls: answers for a file that say nothing until the client leaves.
        wrong: answers for a file with a changed byte.
        busy: answers with status 503.
        resumes: whether it knows ranges.
        moved: answers with a redirect to the same file elsewhere.
        seen: path, range and user agent of each request.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    cut_after: int | None = None
    stalls: int = 0
    wrong: int = 0
    busy: int = 0
    resumes: bool = True
    moved: bool = False
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    most_at_once: int = 0
    url: str = ""
    _at_once: int = 0
    _lock: Any = field(default_factory=threading.Lock)
    _end: Any = field(default_factory=threading.Event)

    def add_dump(self, wiki: str, date: str, files: dict[str, bytes], status: str = "done") -> None:
        """Put a dump on the server, and its date on the index of the wiki."""
        described = {
            name: {"size": len(data), "sha1": hashlib.sha1(data).hexdigest(), "url": "/elsewhere"}
            for name, data in files.items()
        }
        jobs = {"articlesmultistreamdump": {"status": status, "files": described}}
        self.files[f"/{wiki}/{date}/dumpstatus.json"] = json.dumps({"jobs": jobs}).encode()
        for name, data in files.items():
            self.files[f"/{wiki}/{date}/{name}"] = data
        index = self.files.get(f"/{wiki}/", b'<a href="../">../</a><a href="latest/">latest/</a>')
        self.files[f"/{wiki}/"] = index + f'<a href="{date}/">{date}/</a>'.encode()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        asked = request.headers.get("Range", "")
        self.seen.append((request.path, asked, request.headers.get("User-Agent", "")))
        path = request.path.removeprefix("/moved")
        is_file = path.endswith((".bz2", ".xml"))
        if is_file and self.moved and path == request.path:
            request.send_response(302)
            request.send_header("Location", f"{self.url}/moved{path}")
            request.send_header("Content-Length", "0")
            request.end_headers()
        elif is_file and self.busy:
            self.busy -= 1
            request.send_response(503)
            request.send_header("Retry-After", "7")
            request.send_header("Content-Length", "0")
            request.end_headers()
        elif path not in self.files:
            request.send_error(404)
        else:
            self._send(request, self.files[path], asked, is_file)

    def _send(
        self, request: BaseHTTPRequestHandler, data: bytes, asked: str, is_file: bool
    ) -> None:
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.resumes else 0
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(data) - start))
        request.end_headers()
        if is_file and self.stalls:
            self.stalls -= 1
            self._end.wait(30)
            return
        if is_file and self.wrong:
            self.wrong -= 1
            data = data[:-1] + bytes([data[-1] ^ 1])
        limit = self.cut_after if is_file else None
        request.wfile.write(data[start:] if limit is None else data[start : start + limit])

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the requests that are answered at the same time."""
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        yield
        with self._lock:
            self._at_once -= 1

    @contextmanager
    def running(self) -> Iterator[DumpServer]:
        """Serve in a thread while the block runs."""
        dumps = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with dumps.counted():
                    dumps.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.url = f"http://127.0.0.1:{server.server_port}"
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield self
            finally:
                self._end.set()
                server.shutdown()
                thread.join()
