"""Stop work on one page after so much CPU time, whatever else the machine is doing.

CPU time, not the clock, so that a busy machine rejects the same pages as an idle one: none, unless
a page makes the extraction run away.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class CpuLimitExceeded(BaseException):
    """The CPU time is used up; no `except Exception` of a library may swallow it."""


@contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """Raise CpuLimitExceeded in the block once this process has computed for so long in it.

    Signals reach the main thread only: in another thread there is no limit. A worker of
    `pipeline/pool.py` runs its tasks in its main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGVTALRM, _raise_exceeded)
    # Again after a while, in case the first one was swallowed on its way.
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)


def _raise_exceeded(signal_number: int, frame: FrameType | None) -> None:
    raise CpuLimitExceeded
