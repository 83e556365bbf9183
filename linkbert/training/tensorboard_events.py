"""The figures of a run as TensorBoard events, beside metrics.jsonl, which holds the same.

Events need the package tensorboard (extra `tensorboard`); without it a run goes on and says so
once. Events are on the disk before a checkpoint is, and a continued run tells TensorBoard from
which step on older events are void, so what it shows is one curve without gaps or doubles.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

FOLDER_NAME = "tensorboard"


class EventLog:
    """Write scalars under RUN/tensorboard; does nothing where the package is missing.

    Args:
        folder: where event files lie.
        last_step: the step of the checkpoint that the run goes on from, 0 for a new run.
        is_wanted: whether to write at all.
    """

    def __init__(self, folder: Path, last_step: int, is_wanted: bool = True) -> None:
        self._writer: Any = None
        if not is_wanted:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            logger.info('no TensorBoard events: pip install "linkbert[tensorboard]" writes them')
            return
        before = any(folder.glob("events.*")) if folder.is_dir() else False
        purge_step = last_step + 1 if before else None
        self._writer = SummaryWriter(str(folder), purge_step=purge_step)

    def write(self, step: int, figures: dict[str, Any], group: str) -> None:
        """Write every number among (nested) figures as `group/name/name`."""
        if self._writer is not None:
            for name, value in _numbers(figures, group):
                self._writer.add_scalar(name, value, step)

    def flush(self) -> None:
        """Bring what was written to the disk."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Flush and close the file."""
        if self._writer is not None:
            self._writer.close()


def _numbers(figures: dict[str, Any], path: str) -> Iterator[tuple[str, float]]:
    """Yield names and values, without the step itself, lists and what is not a number.

    >>> list(_numbers({"step": 3, "loss": 0.5, "linked": {"loss": 2}, "interval": [0, 1]}, "a"))
    [('a/loss', 0.5), ('a/linked/loss', 2.0)]
    """
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{path}/{name}")
        elif isinstance(value, (int, float)) and name != "step":
            yield f"{path}/{name}", float(value)
