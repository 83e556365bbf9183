"""Two guards against a page that would stop the stage: a CPU time limit, and crash notes.

The limit is on CPU time, not on the clock, so that a busy machine rejects the same pages as an idle
one: only those on which extraction runs away.

A tokenizer in C can overflow the stack, and a text can exhaust memory; neither raises an exception.
So a task notes the place of each page before it begins with it. A note found at the start of a task
means that an earlier attempt died. The page it names is then tried in a process of its own, and is
to blame only if that dies too (otherwise somebody stopped the run). In that case every later page
is tried as well, because a task may die only a few times. `segment` works on batches: its note
names the first page of a batch, and each page of the batch is tried.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from pipeline.storage import files
from schemas.errors import StageError

Result = TypeVar("Result")

_REPEAT_SECONDS = 1.0
_OFFSET_BYTES = 8
_CRASHES = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE})
_COMMAND = """import pickle, sys
prepare, options, work, start = pickle.load(sys.stdin.buffer)
prepare(options)
work(start)"""


class CpuLimitExceeded(BaseException):
    """The CPU time is used up; no `except Exception` of a library may swallow it."""


class CpuLimit:
    """Stop a piece of work once this process has computed for so long on it.

    Signals reach the main thread only: in another thread there is no limit. A worker of
    `pipeline/engine/pool.py` runs its tasks in its main thread. The handler is set once for all
    pieces, because that costs ten times as much as a timer.

    >>> with CpuLimit(10.0) as limit:
    ...     [limit.run(len, page) for page in ("one", "seven")]
    [3, 5]
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._is_limited = self._is_running = False
        self._previous: Any = None

    def __enter__(self) -> CpuLimit:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGVTALRM, self._exceed)
            self._is_limited = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_limited:
            self._stop()
            self._is_limited = False
            signal.signal(signal.SIGVTALRM, self._previous)

    def run(self, work: Callable[..., Result], *args: Any) -> Result:
        """Return what `work(*args)` returns; no timer runs afterwards, however it ends.

        Raises:
            CpuLimitExceeded: it took longer.
        """
        if not self._is_limited:
            return work(*args)
        try:
            try:
                self._start()
                return work(*args)
            finally:
                self._stop()
        except CpuLimitExceeded:
            # The alarm may have come while the timer was being stopped; the next is a second away.
            self._stop()
            raise

    def _start(self) -> None:
        self._is_running = True
        # Again after a while, because a destructor or a callback from C may swallow the first one.
        signal.setitimer(signal.ITIMER_VIRTUAL, self.seconds, _REPEAT_SECONDS)

    def _stop(self) -> None:
        self._is_running = False
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    def _exceed(self, signal_number: int, frame: FrameType | None) -> None:
        # Ignore an alarm that was already on its way when the work ended.
        if self._is_running:
            raise CpuLimitExceeded


@dataclass(frozen=True, slots=True)
class CrashNotes:
    """The notes of one task: `suspect` is the page at which an attempt died, if one did."""

    suspect: int | None
    note: Callable[[int], object]


@contextmanager
def crash_notes(path: str) -> Iterator[CrashNotes]:
    """Open the notes of a task; they are deleted when it ends, well or with an exception.

    For a task on an object store they lie on the machine's own disk, because after a crash the task
    is first tried again on the same machine.
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


def find_crashing(
    work: Callable[[int], Any], suspect: int, num_suspects: int = 1
) -> frozenset[int]:
    """Return the offsets of the pages, from the suspect on, that kill a process.

    Args:
        work: picklable; prints the offset of each page from the given one on, one line each, before
            it tries the page.
        suspect: where to begin.
        num_suspects: number of pages that the note stands for; if none of them crashes, the later
            pages are not tried.

    Raises:
        StageError: the trial failed in another way than by a crash.
    """
    crashing: set[int] = set()
    start = suspect
    while (crashed := _crash_from(work, start, None if crashing else num_suspects)) is not None:
        crashing.add(crashed)
        start = crashed + 1
    return frozenset(crashing)


def _crash_from(work: Callable[[int], Any], start: int, max_pages: int | None) -> int | None:
    """Return the offset of the first page from `start` on that kills a process, None if none."""
    killed_at: int | None = None
    while True:
        status, offset = _try_from(work, start, max_pages)
        if status == 0:
            return None
        if offset is not None and -status in _CRASHES:
            return offset
        if offset is None or -status != signal.SIGKILL:
            raise StageError(
                f"expected the trial of a page to end, found exit status {status} after the page "
                f"at {offset}: run the same command again, with more memory or fewer --workers"
            )
        # The kernel kills a process that exhausts memory. Somebody else may have killed the trial
        # once, but hardly twice at the same page.
        if offset == killed_at:
            return offset
        killed_at = offset


def _try_from(
    work: Callable[[int], Any], start: int, max_pages: int | None
) -> tuple[int, int | None]:
    """Try the pages from `start` on in a process; return its exit status and the last page."""
    own_path = os.pathsep.join(filter(None, sys.path))
    # Do not import modules from the current folder.
    environment = {**os.environ, "PYTHONPATH": own_path, "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-c", _COMMAND]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        pickle.dump((files.use_store_options, files.options_in_use(), work, start), process.stdin)
        process.stdin.close()
        offset = None
        for num_ended, line in enumerate(process.stdout):
            if num_ended == max_pages:
                process.kill()
                return 0, offset
            offset = int(line)
        return process.wait(), offset
