"""Find the page that kills the process which works on it, so that it does not stop a dump.

Tokenizers in C can overflow the stack; no exception tells. So a task notes the place of each page
before it begins with it. Where a note is found at the start, an attempt before this one died: the
page it names is tried in a process of its own, and only if that dies too is the page to blame (else
somebody stopped the run). Then every later page is tried as well, because a task may not die often.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.storage import files
from schemas.errors import StageError

_OFFSET_BYTES = 8
_CRASHES = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE})
_COMMAND = "import pickle, sys; work, start = pickle.load(sys.stdin.buffer); work(start)"


@dataclass(frozen=True, slots=True)
class CrashNotes:
    """The notes of one task: `suspect` is the page at which an attempt died, if one did."""

    suspect: int | None
    note: Callable[[int], object]


@contextmanager
def crash_notes(path: str) -> Iterator[CrashNotes]:
    """Open the notes of a task; they are deleted when it ends, well or with an exception.

    Those of a task on an object store lie on the machine's own disk: after a crash the task is
    tried again there first.
    """
    if files.is_remote(path):
        name = hashlib.sha256(path.encode()).hexdigest()
        path = os.path.join(tempfile.gettempdir(), f"linkbert-{name}")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        found = os.pread(descriptor, _OFFSET_BYTES, 0)
        suspect = int.from_bytes(found, "little") if len(found) == _OFFSET_BYTES else None

        def note(offset: int) -> None:
            os.pwrite(descriptor, offset.to_bytes(_OFFSET_BYTES, "little"), 0)

        yield CrashNotes(suspect, note)
    finally:
        os.close(descriptor)
        Path(path).unlink(missing_ok=True)


def find_crashing(work: Callable[[int], Any], suspect: int) -> frozenset[int]:
    """Return the offsets of the pages, from the suspect on, that kill a process.

    Args:
        work: picklable; prints the offset of each page from the given one on, a line each, before
            it tries the page.
        suspect: where to begin; without a crash there, the later pages are not tried.

    Raises:
        StageError: the trial ended in another way than well or by a crash.
    """
    crashing: set[int] = set()
    start = suspect
    while (crashed := _crash_from(work, start, only_first=not crashing)) is not None:
        crashing.add(crashed)
        start = crashed + 1
    return frozenset(crashing)


def _crash_from(work: Callable[[int], Any], start: int, only_first: bool) -> int | None:
    """Return the offset of the first page from `start` on that kills a process, None if none."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", _COMMAND]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        pickle.dump((work, start), process.stdin)
        process.stdin.close()
        offset = None
        for line in process.stdout:
            if only_first and offset is not None:
                process.kill()
                return None
            offset = int(line)
        status = process.wait()
    if status == 0:
        return None
    if offset is None or -status not in _CRASHES:
        raise StageError(
            f"expected the trial of a page to end, found exit status {status} after the page at "
            f"{offset}: run the same command again, with more memory or fewer --workers"
        )
    return offset
