"""Read the one file of a 7z archive as a stream, with the package py7zr where it is installed.

py7zr pushes what it unpacks into a writer of ours, in a thread; a short queue hands the pieces on
and holds the thread back, so that memory stays flat whatever the archive holds. Nothing is ever
written to the disk, and names in the archive are not looked at.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import IO, Any, Final

from schemas.errors import DumpError

_QUEUED_PIECES: Final = 4
_POLL_SECONDS: Final = 0.1


class _AbandonedError(Exception):
    """Nobody reads on."""


class _Pipe:
    """What py7zr writes to: a file that hands its pieces on and can be read by nobody else."""

    def __init__(self) -> None:
        self.pieces: queue.Queue[bytes | Exception | None] = queue.Queue(_QUEUED_PIECES)
        self.is_abandoned = False
        self._num_bytes = 0

    def create(self, filename: str) -> _Pipe:
        """Return the writer for a member of the archive: there is only one."""
        return self

    def put(self, piece: bytes | Exception | None) -> None:
        """Hand a piece on as soon as there is room."""
        while not self.is_abandoned:
            try:
                self.pieces.put(piece, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return
        raise _AbandonedError

    def write(self, data: Any) -> int:
        """Hand on what was unpacked."""
        self.put(bytes(data))
        self._num_bytes += len(data)
        return len(data)

    def size(self) -> int:
        """Return how much was written."""
        return self._num_bytes

    def read(self, size: int | None = None) -> bytes:
        """Give nothing: what was written is gone."""
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Stay at the end."""
        return self._num_bytes

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is open."""


def read_7z(py7zr: Any, file: IO[bytes]) -> Iterator[bytes]:
    """Yield the bytes of the one file in a 7z archive.

    Args:
        py7zr: the package.
        file: the archive, which can be sought in.

    Raises:
        DumpError: it is damaged, cut off, encrypted, or holds another number of files.
    """
    pipe = _Pipe()
    thread = threading.Thread(target=_unpack, args=(py7zr, file, pipe), daemon=True)
    thread.start()
    try:
        while (piece := pipe.pieces.get()) is not None:
            if isinstance(piece, DumpError):
                raise piece
            if isinstance(piece, Exception):
                raise DumpError(
                    f"expected a whole 7z archive, found damage ({piece or type(piece).__name__}): "
                    "compare the file's checksum and download it again"
                ) from piece
            yield piece
    finally:
        pipe.is_abandoned = True
        thread.join()


def _unpack(py7zr: Any, file: IO[bytes], pipe: _Pipe) -> None:
    """Unpack into the pipe; its last item is None, or what went wrong."""
    try:
        with py7zr.SevenZipFile(file) as archive:
            names = [member.filename for member in archive.list() if not member.is_directory]
            if len(names) != 1:
                raise DumpError(
                    f"expected one file in the 7z archive, found {len(names)}: "
                    "unpack it and give the dump that it holds"
                )
            archive.extractall(factory=pipe)
        pipe.put(None)
    except _AbandonedError:
        return
    except Exception as error:
        if not pipe.is_abandoned:
            pipe.put(error)
