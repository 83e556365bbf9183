"""metrics.jsonl, one line per step, and what its derived figures mean.

Keys of a line: step, tokens, loss_mlm, loss_drp, mlm_accuracy, drp_accuracy, lr, grad_norm (null
where it is not finite, as when fp16 overflows), seconds, tokens_per_second, memory_bytes, and mfu
where the peak of the GPU is known. Seconds run from one batch to the next, waiting for data
included, validation and checkpoints not. Memory is the peak of this rank: of the GPU's, or of the
process on a CPU. validation.jsonl has one line per validation, downstream.jsonl one per trial on a
downstream task. Times and memory are in metrics.jsonl and in TensorBoard's events alone: everything
else of a run is reproducible.

RUN/tensorboard holds the same figures as events, where the package tensorboard is installed (extra
`tensorboard`); without it a run goes on and says so once. Events are on the disk before a
checkpoint is, and a continued run tells TensorBoard from which step on older events are void, so
what it shows is one curve without gaps or doubles.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import torch

from linkbert.model.network import Batch, ModelConfig
from linkbert.training.config import PretrainConfig
from linkbert.training.trackers import Tracker

logger = logging.getLogger(__name__)

METRICS_NAME = "metrics.jsonl"
VALIDATION_NAME = "validation.jsonl"
DOWNSTREAM_NAME = "downstream.jsonl"
EVENTS_FOLDER = "tensorboard"

PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
"""Dense half-precision peaks by device, from NVIDIA's data sheets (SXM variants)."""


class RunLogs:
    """All that a run writes for people to look at, cut to the step that it goes on from."""

    def __init__(self, run: Path, last_step: int, config: PretrainConfig) -> None:
        self._steps = StepLog(run / METRICS_NAME, last_step)
        self._validations = StepLog(run / VALIDATION_NAME, last_step)
        self._downstream_path = run / DOWNSTREAM_NAME
        self._downstream: StepLog | None = None
        has_events = config.tensorboard or config.log == "tensorboard"
        self._events = EventLog(run / EVENTS_FOLDER, last_step, has_events)
        self._tracker = Tracker(config.log, run, config.to_dict())

    def write_step(self, line: dict[str, Any]) -> None:
        """Write the figures of a step."""
        self._steps.write(line)
        self._events.write(line["step"], line, "train")
        self._tracker.write(line["step"], dict(_numbers(line, "train")))

    def write_validation(self, step: int, splits: dict[str, dict[str, Any]]) -> None:
        """Write the figures of a validation."""
        self._validations.write({"step": step, "splits": splits})
        for name, figures in splits.items():
            self._events.write(step, figures, name)
            self._tracker.write(step, dict(_numbers(figures, name)))

    def write_downstream(self, step: int, scores: dict[str, float]) -> None:
        """Write the scores of a trial on a downstream task."""
        # Opened by the first trial: few runs have a task. Those after it are made anew.
        self._downstream = self._downstream or StepLog(self._downstream_path, step - 1)
        self._downstream.write({"step": step, "scores": scores})
        self._events.write(step, scores, "downstream")
        self._tracker.write(step, dict(_numbers(scores, "downstream")))

    def flush(self) -> None:
        """Flush everything to disk before a checkpoint, which must not be ahead."""
        self._events.flush()

    def close(self) -> None:
        """Close all files."""
        for log in (self._steps, self._validations, self._events, self._tracker, self._downstream):
            if log is not None:
                log.close()


class StepLog:
    """Append lines about steps to a file; those beyond `last_step` are cut when it is opened."""

    def __init__(self, path: Path, last_step: int) -> None:
        kept = [line for line in _whole_lines(path) if json.loads(line)["step"] <= last_step]
        aside = path.with_suffix(".tmp")
        aside.write_bytes(b"".join(kept))
        os.replace(aside, path)
        self._file: IO[bytes] = open(path, "ab")  # noqa: SIM115 (closed by `close`)

    def write(self, line: dict[str, Any]) -> None:
        """Append one line and hand it to the operating system."""
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


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
        """Flush what was written to disk."""
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


def seconds_in_steps(run: Path) -> float:
    """Return the time all steps of a run took, over all its parts."""
    lines = _whole_lines(run / METRICS_NAME)
    seconds: list[float] = [json.loads(line)["seconds"] for line in lines]
    return round(sum(seconds), 1)


def _whole_lines(path: Path) -> list[bytes]:
    """Return the lines of a file, except a last one that a kill cut off."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [line for line in lines if line.endswith(b"\n")]


def model_flops(model: ModelConfig, batch: Batch) -> float:
    """Return the floating-point operations that one training step on a batch needs.

    Matrix products alone, backward counted as twice forward, the vocabulary scored at masked
    positions only, attention over real tokens only: work that an implementation does beyond this
    (padding, recomputation) lowers its utilisation.
    """
    hidden = model.hidden_size
    layer_weights = 4 * hidden * hidden + 2 * hidden * model.intermediate_size
    linear = layer_weights * model.num_layers * len(batch.token_ids_N)
    attention = 2 * model.num_layers * hidden * float((batch.lengths_B.double() ** 2).sum())
    head = hidden * (hidden + model.vocab_size) * len(batch.labels_M)
    return 6.0 * (linear + attention + head)


def peak_flops(device: torch.device) -> float | None:
    """Return the half-precision peak of a device, None where it is not known."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for key, peak in PEAK_FLOPS.items() if key in name), None)


def peak_memory(device: torch.device) -> int:
    """Return the most memory used so far, in bytes: the GPU's, or this process's on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
