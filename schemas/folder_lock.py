"""One writer per local folder: a lock that goes with its process, however that ends."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import StageError
from schemas.manifest import Json


@contextmanager
def lock_folder(
    folder: str | os.PathLike[str], name: str = ".lock", writer: dict[str, Json] | None = None
) -> Iterator[None]:
    """Hold a local folder for this process alone; a killed process lets go by itself.

    Args:
        folder: created if missing.
        name: of the lock file, a path below the folder, or an absolute one for a folder that is
            replaced as a whole.
        writer: what to tell a second process about this one; its process id unless given.

    Raises:
        StageError: another process holds it.
    """
    path = Path(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StageError(
                f"expected {folder} to be free, found another run writing into it"
                f"{_who(path)}: wait for it to end, or choose another folder"
            ) from error
        lock.truncate(0)
        lock.write(json.dumps(writer or {"process": os.getpid()}).encode())
        lock.flush()
        try:
            yield
        finally:
            # What a process was called tells nothing once it has ended, and bytes stay the same.
            lock.truncate(0)


def _who(path: Path) -> str:
    """Say what the holder wrote into its lock; empty where that cannot be read."""
    try:
        found = json.loads(path.read_bytes())
        return f" ({', '.join(f'{key} {value}' for key, value in found.items())})"
    except (OSError, ValueError, AttributeError):
        return ""
