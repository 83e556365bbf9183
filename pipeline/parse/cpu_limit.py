"""Stop work on one page after so much CPU time, whatever else the machine is doing.

CPU time, not the clock, so that a busy machine rejects the same pages as an idle one: none, unless
a page makes the extraction run away.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class CpuLimitExceeded(BaseException):
    """The CPU time is used up; no `except Exception` of a library may swallow it."""


class CpuLimit:
    """Raise CpuLimitExceeded once this process has computed for so long on one piece of work.

    Signals reach the main thread only: in another thread there is no limit. A worker of
    `pipeline/engine/pool.py` runs its tasks in its main thread. The signal is taken once for all
    pieces, because that costs ten times as much as a timer.

    >>> with CpuLimit(10.0) as limit:
    ...     for page in range(3):
    ...         with limit.piece:
    ...             pass
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.piece = _Piece(seconds)
        self._previous: Any = None

    def __enter__(self) -> CpuLimit:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGVTALRM, _raise_exceeded)
            self.piece.is_limited = True
        return self

    def __exit__(self, *_: object) -> None:
        if self.piece.is_limited:
            self.piece.is_limited = False
            signal.signal(signal.SIGVTALRM, self._previous)


class _Piece:
    """The block of one piece of work; it may be entered again and again, not within itself."""

    def __init__(self, seconds: float) -> None:
        self.is_limited = False
        self._seconds = seconds

    def __enter__(self) -> None:
        if self.is_limited:
            # Again after a while, in case the first one was swallowed on its way.
            signal.setitimer(signal.ITIMER_VIRTUAL, self._seconds, 1.0)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.is_limited:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _raise_exceeded(signal_number: int, frame: FrameType | None) -> None:
    raise CpuLimitExceeded
