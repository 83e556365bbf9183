"""Ctrl-C, SIGTERM and SIGHUP end a stage in one way: nothing is lost, the same command resumes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """A stage was stopped by a signal; its text, if any, says what became of an engine's job."""

    def __init__(self, text: str = "", number: int = signal.SIGINT) -> None:
        super().__init__(text)
        self.number = number

    @property
    def status(self) -> int:
        """Return the exit status by which a shell knows the signal: 130, 143 or 129."""
        return 128 + self.number


class Stopping:
    """What signals have asked for while a stage runs.

    Attributes:
        number: the signal that came first, 0 if none has.
        is_deferred: whether a first signal only leaves its number, for a moment that must not be
            cut in two.
    """

    def __init__(self) -> None:
        self.number = 0
        self.is_deferred = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Take a signal."""
        is_first, self.number = not self.number, self.number or number
        if not (is_first and self.is_deferred):
            raise Stopped(number=number)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let a first signal take effect only at the end of the block."""
        self.is_deferred = True
        try:
            yield
        finally:
            self.is_deferred = False
        if self.number:
            raise Stopped(number=self.number)


@contextmanager
def stop_on_signals() -> Iterator[Stopping]:
    """Raise `Stopped` for signals that end a program, while the block runs.

    What is ignored stays ignored, as `nohup` and shells' background jobs want it. Only the main
    thread receives signals; in another one nothing changes.
    """
    stopping = Stopping()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    previous = {number: signal.getsignal(number) for number in _SIGNALS}
    taken = [number for number, handler in previous.items() if handler is not signal.SIG_IGN]
    for number in taken:
        signal.signal(number, stopping.ask)
    try:
        yield stopping
    except KeyboardInterrupt as stop:
        # Beam makes the exception anew on its way, without the number and with words of its own.
        text = "" if "[while running" in str(stop) else str(stop)
        raise Stopped(text, stopping.number or signal.SIGINT) from None
    finally:
        for number in taken:
            # None where it was not Python that set it.
            signal.signal(number, previous[number] or signal.SIG_DFL)
