"""A run's figures in an experiment tracker, through the tracker's own library.

Where figures go, and whether anything leaves the machine, is set as the libraries have it:
WANDB_MODE=offline and WANDB_DIR, MLFLOW_TRACKING_URI. What a run learns depends on none of it: a
tracker that fails is told of once and left, and metrics.jsonl has every figure all the same.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError, StageError

logger = logging.getLogger(__name__)

TRACKERS = ("none", "tensorboard", "wandb", "mlflow")

_PROJECT = "linkbert"


def check_tracker(kind: str) -> None:
    """Refuse a tracker whose package is not installed.

    Raises:
        ConfigError: it is not.
    """
    if kind == "none":
        return
    try:
        importlib.import_module(kind)
    except ImportError as error:
        raise ConfigError(
            f"expected the package {kind} for log={kind}, found none: "
            f"pip install 'linkbert[{kind}]'"
        ) from error


class Tracker:
    """One run in Weights & Biases or MLflow; for other kinds it does nothing.

    Args:
        kind: of `TRACKERS`.
        run: the folder, whose name the run has. Going on, wandb adds to the same run, and MLflow
            begins another of the same name.
        settings: reported beside the figures.

    Raises:
        StageError: the tracker cannot be reached.
    """

    def __init__(self, kind: str, run: Path, settings: dict[str, Any]) -> None:
        self._kind = kind
        self._library: Any = None
        self._run: Any = None
        if kind not in ("wandb", "mlflow"):
            return
        library: Any = importlib.import_module(kind)
        try:
            if kind == "wandb":
                name = hashlib.sha256(str(run.resolve()).encode()).hexdigest()[:16]
                self._run = library.init(
                    project=_PROJECT, name=run.name, id=name, resume="allow", config=settings
                )
            else:
                library.set_experiment(_PROJECT)
                self._run = library.start_run(run_name=run.name)
                library.log_params(settings)
        except Exception as error:  # whatever network, account or folder gives
            raise StageError(
                f"expected {kind} to begin a run, found {_in_one_line(error)}: see its settings, "
                "or leave --log out"
            ) from error
        self._library = library

    def write(self, step: int, figures: dict[str, float]) -> None:
        """Send the figures of a step."""
        if self._library is None:
            return
        try:
            if self._kind == "wandb":
                self._run.log(figures, step=step)
            else:
                self._library.log_metrics(figures, step=step)
        except Exception as error:
            told = "%s failed at step %d and gets no more figures: %s"
            logger.warning(told, self._kind, step, error)
            self._library = None

    def close(self) -> None:
        """End the run."""
        if self._library is None:
            return
        try:
            if self._kind == "wandb":
                self._run.finish()
            else:
                self._library.end_run()
        except Exception as error:
            logger.warning("%s could not end its run: %s", self._kind, _in_one_line(error))


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
