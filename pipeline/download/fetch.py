"""One file over HTTP: resumed where it was cut, checked by its SHA-1, named only when it is whole.

Until then it lies beside its place as `.<name>.part`. A connection that breaks, stalls or answers
with a server's error is tried again as long as bytes arrive now and then.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import requests

from schemas.errors import DumpError

# What a break in the connection may lose.
_CHUNK_BYTES = 1 << 16
_CONNECT_SECONDS, _READ_SECONDS = 20.0, 60.0
_MAX_FRUITLESS = 6
_MAX_PAUSE_SECONDS = 300.0
_sleep = time.sleep
_BUSY = frozenset((408, 429, 500, 502, 503, 504))


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as `dumpstatus.json` describes it."""

    name: str
    url: str
    num_bytes: int
    sha1: str


def fetch(
    session: requests.Session,
    file: RemoteFile,
    folder: Path,
    told: Callable[[int], object],
) -> Path:
    """Return the path of a file in a folder, loaded unless it lies there whole.

    Args:
        session: with the headers to send.
        file: what to load.
        folder: where to; it exists.
        told: is called with numbers of bytes as they arrive, those that were there before first;
            a negative number takes back what turned out to be wrong.

    Raises:
        DumpError: the server does not have it, breaks off again and again, or gives other bytes.
    """
    target = folder / file.name
    if target.is_file() and _sha1(target) == file.sha1:
        told(file.num_bytes)
        return target
    part = folder / f".{file.name}.part"
    with _locked(part) as output:
        for _ in range(2):  # a part that proves wrong is loaded once more from its start
            _load(session, file, output, told)
            output.flush()
            if _sha1(part) == file.sha1:
                os.fsync(output.fileno())
                os.replace(part, target)
                return target
            told(-output.tell())
            output.truncate(0)
            output.seek(0)
        raise DumpError(
            f"expected {file.url} to have the SHA-1 {file.sha1}, found another twice: the server "
            "or the way to it changes bytes, try another --mirror"
        )


@contextmanager
def _locked(part: Path) -> Iterator[IO[bytes]]:
    """Open a part at its end; no second process writes to it meanwhile."""
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    with open(descriptor, "r+b") as output:
        try:
            fcntl.flock(output, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DumpError(
                f"expected {part} to be free, found another download writing it: wait for it"
            ) from error
        output.seek(0, os.SEEK_END)
        yield output


def _load(
    session: requests.Session,
    file: RemoteFile,
    output: IO[bytes],
    told: Callable[[int], object],
) -> None:
    """Append to a part until it has its size."""
    if output.tell() > file.num_bytes:
        output.truncate(0)
        output.seek(0)
    told(output.tell())
    fruitless, cause = 0, ""
    while output.tell() < file.num_bytes:
        before, pause = output.tell(), 0.0
        try:
            cause, pause = _append(session, file, output, told)
        except requests.RequestException as error:
            cause = type(error).__name__
        fruitless = 0 if output.tell() > before else fruitless + 1
        if fruitless == _MAX_FRUITLESS:
            raise DumpError(
                f"expected {file.num_bytes:,} bytes from {file.url}, found {output.tell():,} and "
                f"then {cause} {fruitless} times: the same command goes on from there"
            )
        if output.tell() < file.num_bytes:
            _sleep(max(pause, float(2**fruitless)))


def _append(
    session: requests.Session,
    file: RemoteFile,
    output: IO[bytes],
    told: Callable[[int], object],
) -> tuple[str, float]:
    """Append what one answer brings; return why it ended early and how long to wait."""
    start = output.tell()
    headers = {"Range": f"bytes={start}-", "Accept-Encoding": "identity"}
    limits = (_CONNECT_SECONDS, _READ_SECONDS)
    with session.get(file.url, headers=headers, stream=True, timeout=limits) as answer:
        if answer.status_code in _BUSY:
            return f"status {answer.status_code}", _pause_of(answer)
        if answer.status_code not in (200, 206):
            raise DumpError(
                f"expected the file {file.url}, found status {answer.status_code} "
                f"({answer.reason}): choose another --date or --mirror"
            )
        if answer.status_code == 200 and start:  # a server that does not resume
            told(-start)
            output.truncate(0)
            output.seek(0)
        for chunk in answer.iter_content(_CHUNK_BYTES):
            chunk = chunk[: file.num_bytes - output.tell()]
            output.write(chunk)
            told(len(chunk))
    return "the end of the connection", 0.0


def _pause_of(answer: requests.Response) -> float:
    """Return the seconds that a server asks to wait."""
    asked = answer.headers.get("Retry-After", "")
    return min(float(asked), _MAX_PAUSE_SECONDS) if asked.isdecimal() else 0.0


def _sha1(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha1").hexdigest()
