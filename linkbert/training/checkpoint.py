"""Checkpoints: everything a run needs to go on as if it had never stopped, in safe formats.

    RUN/checkpoints/step-NNNNNNNN/model.safetensors       weights
                                  optimizer.safetensors   AdamW's moments and step
                                  state.json              counters, config, digests of the two files

A checkpoint is written aside and renamed, so it is there whole or not at all. Loading executes
nothing that a file holds. A damaged one is reported and the one before it is used.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from schemas.errors import CheckpointError
from schemas.manifest import write_json
from schemas.model_folder import sha256_of

logger = logging.getLogger(__name__)

MODEL_NAME = "model.safetensors"
OPTIMIZER_NAME = "optimizer.safetensors"
STATE_NAME = "state.json"
FOLDER_NAME = "checkpoints"


@dataclass(slots=True)
class TrainingState:
    """The counters of a run; the order of data, masks and dropout follow from them."""

    step: int = 0  # optimizer steps done
    position: int = 0  # instances read, which is the place in the training order
    tokens: int = 0  # tokens read, [CLS] and [SEP] included
    relation_counts: list[int] = field(default_factory=lambda: [0, 0, 0])
    first_loss: float | None = None
    recent_loss: float | None = None  # running mean, to notice spikes
    best_step: int | None = None  # of the checkpoint with the lowest validation loss
    best_loss: float | None = None
    num_worse: int = 0  # validations since then
    scaler: dict[str, Any] = field(default_factory=dict)  # of fp16 gradients
    threads: int | None = None  # that compute on a CPU: sums depend on their number


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint read back."""

    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    state: TrainingState
    identity: dict[str, Any]


def checkpoint_path(run: Path, step: int) -> Path:
    """Return the folder of the checkpoint after so many steps."""
    return run / FOLDER_NAME / f"step-{step:08d}"


def checkpoint_steps(run: Path) -> list[int]:
    """Return the steps that have a checkpoint, ascending."""
    folders = (run / FOLDER_NAME).glob("step-*")
    return sorted(int(path.name[5:]) for path in folders if path.name[5:].isdigit())


def save_checkpoint(
    run: Path,
    state: TrainingState,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    identity: dict[str, Any],
) -> Path:
    """Write a checkpoint aside and rename it; `identity` is what a continuation must share.

    Raises:
        CheckpointError: it cannot be written, as when the disk is full.
    """
    final = checkpoint_path(run, state.step)
    aside = final.with_name(f".{final.name}.{uuid.uuid4().hex}.tmp")
    try:
        aside.mkdir(parents=True)
        save_file(weights_of(model), aside / MODEL_NAME)
        save_file(optimizer_tensors(model, optimizer), aside / OPTIMIZER_NAME)
        for name in (MODEL_NAME, OPTIMIZER_NAME):
            share_as_usual(aside / name)
        digests = {name: sha256_of(aside / name) for name in (MODEL_NAME, OPTIMIZER_NAME)}
        values = {"state": asdict(state), "identity": identity, "sha256": digests}
        write_json(aside / STATE_NAME, values)
        _synchronise(aside)
        if final.exists():
            shutil.rmtree(final)
        os.replace(aside, final)
    except (OSError, SafetensorError) as error:
        kept = checkpoint_steps(run)
        last = checkpoint_path(run, kept[-1]).name if kept else "none"
        raise CheckpointError(
            f"expected to write checkpoint {final.name}, found {error}: free space in "
            f"{run}, then run the same command again (last good checkpoint: {last})"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return final


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint and check its digests.

    Raises:
        CheckpointError: it is incomplete or damaged.
    """
    try:
        values = json.loads((folder / STATE_NAME).read_bytes())
        for name, digest in values["sha256"].items():
            if sha256_of(folder / name) != digest:
                raise ValueError(f"{name} does not have the digest recorded for it")
        return Checkpoint(
            model=load_file(folder / MODEL_NAME),
            optimizer=load_file(folder / OPTIMIZER_NAME),
            state=_state(values["state"]),
            identity=values["identity"],
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(
            f"expected a checkpoint, found a damaged one in {folder} ({error}): remove it"
        ) from error


def _state(values: dict[str, Any]) -> TrainingState:
    """Return the counters; older versions wrote one more, which nothing reads."""
    known = {each.name for each in fields(TrainingState)}
    return TrainingState(**{name: value for name, value in values.items() if name in known})


def load_newest(run: Path) -> Checkpoint | None:
    """Read the newest good checkpoint of a run, or None."""
    for step in reversed(checkpoint_steps(run)):
        try:
            return load_checkpoint(checkpoint_path(run, step))
        except CheckpointError as error:
            logger.warning("%s; trying the one before", error)
    return None


def restore(checkpoint: Checkpoint, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put the weights and moments of a checkpoint into a model and its optimizer.

    Raises:
        CheckpointError: they are of another model.
    """
    try:
        load_weights(model, checkpoint.model)
        names = _parameter_names(model, optimizer)
        moments: dict[int, dict[str, Tensor]] = {index: {} for index in range(len(names))}
        for index, name in enumerate(names):
            for key in ("step", "exp_avg", "exp_avg_sq"):
                moments[index][key] = checkpoint.optimizer[f"{key}/{name}"]
        described = optimizer.state_dict()
        optimizer.load_state_dict({**described, "state": moments})
    except (RuntimeError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"expected a checkpoint of this model, found another ({str(error).splitlines()[0]})"
        ) from error


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return AdamW's state by `key/parameter name`."""
    names = _parameter_names(model, optimizer)
    return {
        f"{key}/{names[index]}": tensor.detach().cpu().contiguous()
        for index, values in optimizer.state_dict()["state"].items()
        for key, tensor in values.items()
    }


def discard_old(run: Path, keep: int, is_regular: Callable[[int], bool], best: int | None) -> None:
    """Remove checkpoints that are no longer needed: the newest and the best one always stay.

    Of the regular steps the newest `keep` stay. Others were saved because time had passed or a
    signal came, and go with the next one: a run leaves the same files however it was interrupted.
    """
    steps = checkpoint_steps(run)
    regular = [step for step in steps if is_regular(step)]
    kept = {*regular[-keep:], *steps[-1:], best}
    for step in set(steps) - kept:
        shutil.rmtree(checkpoint_path(run, step), ignore_errors=True)


def discard_leftovers(run: Path) -> None:
    """Remove what a killed run had written aside."""
    for path in (run / FOLDER_NAME).glob(".step-*.tmp"):
        shutil.rmtree(path, ignore_errors=True)


def _parameter_names(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    """Return the names of the optimizer's parameters, in its order."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = optimizer.param_groups
    return [names[id(parameter)] for group in groups for parameter in group["params"]]


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights of a model by name; tied ones appear under one name only."""
    stored = model.state_dict()
    once = [name for name, _ in (*model.named_parameters(), *model.named_buffers())]
    return {name: stored[name].detach().cpu().contiguous() for name in once if name in stored}


def load_weights(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Put the weights that `weights_of` returned into a model.

    Raises:
        RuntimeError: they are of another model.
    """
    missing, unexpected = model.load_state_dict(weights, strict=False)
    lost = set(missing) & set(weights_of(model))
    if lost or unexpected:
        raise RuntimeError(f"not the names of its weights: {sorted(lost or unexpected)[0]}")


def share_as_usual(path: Path) -> None:
    """Give a file the mode that new files get: safetensors makes some for their owner alone."""
    usual = path.with_name(f".{path.name}.mode")
    usual.touch()
    shutil.copymode(usual, path)
    usual.unlink()


def _synchronise(folder: Path) -> None:
    """Flush files to disk before the rename makes them count."""
    for path in (*folder.iterdir(), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
