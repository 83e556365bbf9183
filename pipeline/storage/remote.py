"""Files on an object store, through Beam's filesystems: whole uploads, reads that survive a fault.

A store answers 429 or 503 now and then, or drops a connection. Beam's own clients try again for
some of that; what they let through is tried again here, with pauses that double. An upload goes
from a local spool, so that it can be repeated and so that a writer that fails half-way leaves no
object behind. An answer 412 to an upload means that the object changed meanwhile: right if it is
the one that was to be written (an answer was lost, or the task ran twice), refused if not.
"""

from __future__ import annotations

import hashlib
import io
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import IO, Any, TypeVar, cast

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from schemas.errors import StageError

logger = logging.getLogger(__name__)

PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Waits between tries of one request: a minute in all, the time for which stores ask."""

_TRANSIENT_CODES = frozenset({408, 429, 500, 502, 503, 504})
_PRECONDITION_FAILED = 412
_CHUNK_BYTES = 1 << 20

Answer = TypeVar("Answer")


def open_read(path: str) -> IO[bytes]:
    """Open an object for reading its bytes as they are; seekable."""
    return cast(IO[bytes], io.BufferedReader(_Reader(path), _CHUNK_BYTES))


@contextmanager
def write_whole(path: str) -> Iterator[IO[bytes]]:
    """Open a local spool that becomes the object when the block ends well.

    Raises:
        StageError: another writer put another object there meanwhile.
    """
    with tempfile.TemporaryFile() as spool:
        yield spool
        spool.flush()
        retry(lambda: _upload(path, spool), path)


def exists(path: str) -> bool:
    """Tell whether an object of this name exists."""
    return bool(retry(lambda: FileSystems.exists(path), path))


def size(path: str) -> int:
    """Return the size of an object in bytes."""
    return int(retry(lambda: FileSystems.get_filesystem(path).size(path), path))


def matching(pattern: str) -> list[tuple[str, int]]:
    """Return path and size of the objects that match a glob pattern, sorted."""
    [found] = retry(lambda: FileSystems.match([pattern]), pattern)
    return sorted((entry.path, int(entry.size_in_bytes)) for entry in found.metadata_list)


def delete(paths: list[str]) -> None:
    """Delete objects; those that are gone already are fine."""
    for path in paths:
        retry(partial(_delete, path), path)


def retry(action: Callable[[], Answer], path: str) -> Answer:
    """Do something until no transient fault stops it, or until all pauses are used up."""
    for pause in PAUSES_SECONDS:
        try:
            return action()
        except Exception as error:
            if not is_transient(error):
                raise
            logger.info("%s: %s; trying again in %g s", path, error, pause)
            time.sleep(pause)
    return action()


def is_transient(error: BaseException) -> bool:
    """Tell whether a request that failed so may succeed a moment later.

    >>> is_transient(TimeoutError()), is_transient(FileNotFoundError())
    (True, False)
    """
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return any(code in _TRANSIENT_CODES for code in _codes_of(error))


def _codes_of(error: BaseException) -> Iterator[int]:
    """Yield the HTTP status in an error of any store's client, also where Beam wrapped it."""
    for name in ("code", "status_code"):
        value = getattr(error, name, None)
        if isinstance(value, int):
            yield int(value)
    if isinstance(error, BeamIOError):
        for detail in (error.exception_details or {}).values():
            if isinstance(detail, BaseException):
                yield from _codes_of(detail)


def _upload(path: str, spool: IO[bytes]) -> None:
    spool.seek(0)
    sink: Any = None
    try:
        sink = FileSystems.create(
            path, "application/octet-stream", compression_type=CompressionTypes.UNCOMPRESSED
        )
        shutil.copyfileobj(spool, sink, _CHUNK_BYTES)
        sink.close()
    except Exception as error:
        # An upload that is let go would close itself, and so appear, half as it is.
        if hasattr(sink, "terminate"):
            with suppress(Exception):
                sink.terminate()
        if _PRECONDITION_FAILED not in _codes_of(error):
            raise
        with open_read(path) as there:
            is_same = _digest(there) == _digest(spool)
        if not is_same:
            raise StageError(
                f"expected to be the only writer of {path}, found that another wrote something "
                "else there: let one run at a time use this folder, then run it again"
            ) from error


def _digest(file: IO[bytes]) -> bytes:
    file.seek(0)
    state = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        state.update(chunk)
    return state.digest()


def _delete(path: str) -> None:
    try:
        FileSystems.delete([path])
    except BeamIOError:
        if FileSystems.exists(path):
            raise


class _Reader(io.RawIOBase):
    """An object as a raw file that opens itself anew, where it was, after a transient fault."""

    def __init__(self, path: str) -> None:
        self._path, self._position = path, 0
        self._file: Any = None
        self._size = size(path)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"expected a place in {self._path}, found {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), max(0, self._size - self._position))
        if not wanted:
            return 0
        data = retry(lambda: self._read(wanted), self._path)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _read(self, wanted: int) -> bytes:
        with ExitStack() as on_fault:
            # A connection on which something went wrong is not used again; `retry` opens another.
            on_fault.callback(self._drop)
            if self._file is None:
                self._file = FileSystems.open(
                    self._path, compression_type=CompressionTypes.UNCOMPRESSED
                )
            if self._file.tell() != self._position:
                self._file.seek(self._position)
            data: bytes = self._file.read(wanted)
            if not data:
                raise ConnectionError(f"{self._path} ends at {self._position:,} of {self._size:,}")
            on_fault.pop_all()
        return data

    def _drop(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def close(self) -> None:
        if not self.closed:
            self._drop()
        super().close()
