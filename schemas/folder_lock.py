"""One writer per local folder: a lock that goes with its process, however that ends."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from schemas.errors import StageError
from schemas.manifest import Json


@contextmanager
def lock_folder(
    folder: str | os.PathLike[str], name: str = ".lock", writer: dict[str, Json] | None = None
) -> Iterator[None]:
    """Hold a local folder for this process alone; a killed process lets go by itself.

    Args:
        folder: created if missing; removed again if nothing was written into it.
        name: of the lock file, a path below the folder, or an absolute one for a folder that is
            replaced as a whole.
        writer: what to tell a second process about this one; its process id unless given.

    Raises:
        StageError: another process holds it.
    """
    path = Path(folder, name)
    made = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    with _opened_for_this_process(path, folder) as lock:
        lock.truncate(0)
        lock.write(json.dumps(writer or {"process": os.getpid()}).encode())
        lock.flush()
        try:
            yield
        finally:
            # What a process was called tells nothing once it has ended, and bytes stay the same.
            lock.truncate(0)
            _remove_empty(path, made)


def _opened_for_this_process(path: Path, folder: str | os.PathLike[str]) -> IO[bytes]:
    """Open a lock file and lock it.

    Raises:
        StageError: another process holds it.
    """
    while True:
        lock = open(path, "a+b")  # noqa: SIM115, the caller closes it
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise StageError(
                f"expected {folder} to be free, found another run writing into it"
                f"{_who(path)}: wait for it to end, or choose another folder"
            ) from error
        # One that removed its lock in between would leave this process with a file without a name.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock.fileno()), os.stat(path)):
                return lock
        lock.close()


def _remove_empty(path: Path, made: list[Path]) -> None:
    """Remove a lock and the folders made for it, innermost first, where nothing else came in."""
    if not made or any(each != path for each in path.parent.iterdir()):
        return
    path.unlink()
    with suppress(OSError):  # not empty
        for folder in made:
            folder.rmdir()


def _who(path: Path) -> str:
    """Say what the holder wrote into its lock; empty where that cannot be read."""
    try:
        found = json.loads(path.read_bytes())
        return f" ({', '.join(f'{key} {value}' for key, value in found.items())})"
    except (OSError, ValueError, AttributeError):
        return ""
