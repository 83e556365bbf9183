"""Signals that ask a run to stop, collected so that it stops at a place it can go on from."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
"""What a person sends, and what batch systems announce the end of their time with."""


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect signals as a wish to stop; a second one does what it always does."""
    received: list[int] = []
    # Only the main thread may set handlers; elsewhere (a test, a notebook) none arrive.
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    previous = {number: signal.getsignal(number) for number in _STOP_SIGNALS}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def receive(number: int, frame: object) -> None:
        received.append(number)
        restore()

    for number in _STOP_SIGNALS:
        signal.signal(number, receive)
    try:
        yield received
    finally:
        restore()
