"""Progress on a terminal: one line with a bar, rewritten in place until the work is done.

In a file or a pipe, and on a terminal of type `dumb`, progress is plain lines. NO_COLOR
(https://no-color.org) turns colours off.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from typing import TextIO

from schemas.progress import IS_LAST_KEY, SHARE_KEY, SHORTER_KEY

_BAR_COLUMNS = 20
_ERASE = "\r\x1b[2K"
_COLOUR, _PLAIN = "\x1b[36m", "\x1b[0m"


def is_live(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether a stream is a terminal that can rewrite a line."""
    return stream.isatty() and environment.get("TERM", "dumb") != "dumb"


class LiveLine(logging.StreamHandler[TextIO]):
    """Write progress records as one changing line, and all other records above it."""

    def __init__(self, stream: TextIO, environment: Mapping[str, str] = os.environ) -> None:
        super().__init__(stream)
        self._is_coloured = not environment.get("NO_COLOR")
        self._is_open = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        share = getattr(record, SHARE_KEY, None)
        if share is None:
            self.clear()
            super().emit(record)
            return
        lines = [self.format(record), *getattr(record, SHORTER_KEY, ())]
        self.stream.write(_ERASE + self._drawn(lines, share))
        self._is_open = not getattr(record, IS_LAST_KEY, False)
        if not self._is_open:
            self.stream.write(self.terminator)
        self.flush()

    def clear(self) -> None:
        """Erase an unfinished line, so that something else can be written there."""
        if self._is_open:
            self._is_open = False
            self.stream.write(_ERASE)
            self.flush()

    def _drawn(self, lines: Sequence[str], share: float) -> str:
        """Return the bar and the longest text that fits: a wrapped line could not be rewritten."""
        room = max(shutil.get_terminal_size().columns - _BAR_COLUMNS - 2, 0)
        filled = round(share * _BAR_COLUMNS)
        done, left = "━" * filled, "─" * (_BAR_COLUMNS - filled)
        bar = f"{_COLOUR}{done}{_PLAIN}{left}" if self._is_coloured else done + left
        text = next((line for line in lines if len(line) <= room), lines[-1])
        return f"{bar} {text[:room]}"
