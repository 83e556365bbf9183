"""One line of progress every few seconds, in the same words for every stage and for training.

Lines go to the log of this module; the command line shows them on stderr, `--quiet` hides them.
"""

from __future__ import annotations

import logging
import time

logger = logging.getLogger(__name__)

_LINE_EVERY_SECONDS = 5.0


class Progress:
    """Count work done and log done/total, rate and time left about every five seconds.

    Args:
        label: what is being done.
        total: the work there is, in any unit.
        unit: the name of the unit in the rate, or empty where only the share is of interest.
    """

    def __init__(self, label: str, total: float, unit: str = "") -> None:
        self._label, self._total, self._unit = label, max(total, 1e-9), unit
        self._done = 0.0
        self._started = self._last_line = time.monotonic()

    def advance(self, amount: float, note: str = "") -> None:
        """Count `amount` more as done; log a line, with `note`, when the last one is old."""
        self._done += amount
        now = time.monotonic()
        if now - self._last_line >= _LINE_EVERY_SECONDS:
            self._last_line = now
            logger.info("%s", self.line(now - self._started, note))

    def close(self) -> None:
        """Log the last line."""
        logger.info("%s", self.line(time.monotonic() - self._started))

    def line(self, seconds: float, note: str = "") -> str:
        """Return the line for the work done in so many seconds.

        >>> progress = Progress("parse ranges", 200)
        >>> progress.advance(50)
        >>> progress.line(10.0)
        'parse ranges: 25 %, 0:10 so far, 0:30 left'
        """
        share = min(self._done / self._total, 1.0)
        parts = [f"{self._label}: {share:.0%}".replace("%", " %")]
        if self._unit:
            parts[0] += f" ({self._done:,.0f} of {self._total:,.0f} {self._unit})"
            parts.append(f"{self._done / max(seconds, 1e-9):,.0f} {self._unit}/s")
        parts.append(f"{clock(seconds)} so far")
        if 0 < share < 1:
            parts.append(f"{clock(seconds * (1 - share) / share)} left")
        return ", ".join([*parts, note] if note else parts)


def clock(seconds: float) -> str:
    """Return a duration as a person reads it.

    >>> clock(75.4), clock(3_725)
    ('1:15', '1:02:05')
    """
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
