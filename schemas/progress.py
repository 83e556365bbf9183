"""How far long work has come, in the same words for every stage and for training.

About every five seconds a line goes to the log of this module at INFO; the command line shows it on
stderr, `--quiet` hides it. Records at DEBUG come more often, for a display that writes one line
over again and again (`linkbert/cli/live_line.py`).
"""

from __future__ import annotations

import logging
import time

logger = logging.getLogger(__name__)

SHARE_KEY, IS_LAST_KEY, SHORTER_KEY = "share", "is_last", "shorter"
"""What a record carries beside its text: the share done, 0 to 1, whether none will follow, and the
same with less in it, ever shorter, for a narrow display."""

_LINE_EVERY_SECONDS = 5.0
_LOOK_EVERY_SECONDS = 0.2
_BYTES = ((1e6, "MB"), (1e3, "kB"), (1.0, "bytes"))


class Progress:
    """Count work done and log done/total, rate and time left.

    Args:
        label: what is being done.
        total: the work there is, in any unit.
        unit: the name of the unit in the rate, or empty where only the share is of interest;
            `bytes` are shown as MB or kB.
    """

    def __init__(self, label: str, total: float, unit: str = "") -> None:
        # A phase that bears the name of its stage is said once.
        self._label, self._total = " ".join(dict.fromkeys(label.split())), total
        self._scale, self._unit = 1.0, unit
        if unit == "bytes":
            self._scale, self._unit = next(
                (scale, name) for scale, name in _BYTES if total >= 10 * scale or scale == 1.0
            )
        self._done = 0.0
        self._started = self._last_line = self._last_look = time.monotonic()

    def advance(self, amount: float, note: str = "") -> None:
        """Count `amount` more as done; log a line, with `note`, when the last one is old."""
        self._done += amount
        now = time.monotonic()
        # What is done has its line from `close`.
        if now - self._last_line >= _LINE_EVERY_SECONDS and self._done < self._total:
            self._last_line = now
            self._log(logging.INFO, now, note)
        elif now - self._last_look >= _LOOK_EVERY_SECONDS:
            self._last_look = now
            self._log(logging.DEBUG, now, note)

    def close(self) -> None:
        """Log the last line, unless there was nothing to do."""
        if self._total:
            self._log(logging.INFO, time.monotonic(), is_last=True)

    def _log(self, level: int, now: float, note: str = "", *, is_last: bool = False) -> None:
        if logger.isEnabledFor(level):
            full, *shorter = self._lines(now - self._started, note)
            carried = {SHARE_KEY: self._share(), IS_LAST_KEY: is_last, SHORTER_KEY: shorter}
            logger.log(level, "%s", full, extra=carried)

    def _share(self) -> float:
        return min(self._done / self._total, 1.0) if self._total else 1.0

    def line(self, seconds: float, note: str = "") -> str:
        """Return the line for the work done in so many seconds.

        >>> progress = Progress("parse ranges", 200)
        >>> progress.advance(50)
        >>> progress.line(10.0)
        'parse ranges: 25 %, 0:10 so far, 0:30 left'
        """
        return self._lines(seconds, note)[0]

    def _lines(self, seconds: float, note: str) -> list[str]:
        """Return the line, and what is left of it without one part after another."""
        share = self._share()
        head = f"{self._label}: {share:.0%}".replace("%", " %")
        amount = rate = ""
        if self._unit:
            done, total = self._done / self._scale, self._total / self._scale
            amount = f" ({done:,.0f} of {total:,.0f} {self._unit})"
            speed = done / max(seconds, 1e-9)
            rate = f"{speed:,.0f} {self._unit}/s" if speed >= 100 else f"{speed:.3g} {self._unit}/s"
        so_far = f"{clock(seconds)} so far"
        left = f"{clock(seconds * (1 - share) / share)} left" if 0 < share < 1 else ""
        kept = [
            (head + amount, rate, so_far, left, note),
            (head + amount, rate, left or so_far, note),
            (head + amount, left or so_far, note),
            (head + amount, left or so_far),
            (head, left or so_far, note),
            (head, left or so_far),
        ]
        return [", ".join(filter(None, parts)) for parts in kept]


def clock(seconds: float) -> str:
    """Return a duration as a person reads it.

    >>> clock(75.4), clock(3_725)
    ('1:15', '1:02:05')
    """
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def duration(seconds: float) -> str:
    """Return an estimate of time in words: no clock, which would promise seconds after days.

    >>> duration(29), duration(75.4), duration(3_725), duration(246_648)
    ('29 s', '1 min 15 s', '1 h 2 min', '2 days 20 h')
    """
    parts: list[str] = []
    left = round(seconds)
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min"), (1, "s")):
        number, left = divmod(left, size)
        if number or parts:
            parts.append(f"{number} {'day' if (number, unit) == (1, 'days') else unit}")
    return " ".join(parts[:2]) or "0 s"
