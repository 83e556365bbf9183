"""A downstream task for a run in training: its current weights, fine-tuned and scored on dev.

In: `KIND:DATA`, such as `classify:glue/RTE`, or a TOML file that says more:

    kind = "qa"                           classify, qa, tag or choice, as in `linkbert finetune`
    data = "squad"                        folder or files, relative to this file
    task = "rte"                          GLUE task, for classify; else the folder's name
    fraction = 0.1                        and any other option of `linkbert finetune`
    epochs = 1

Out: the scores on dev, averaged over seeds. The fine-tuned models are not kept, and test files are
not read. Everything follows from the weights and the file, so a run that was interrupted and
resumed reports the same scores.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from linkbert.export.export import write_model
from linkbert.finetuning import KINDS, finetune
from linkbert.finetuning.data.files import DEV, find_files
from linkbert.finetuning.options import FinetuneOptions, usual_length
from linkbert.model.families import Network
from linkbert.training.checkpoint import weights_of
from linkbert.training.config import check_keys, read_toml, typed_values
from linkbert.training.distributed import Ranks
from linkbert.training.run_folder import read_run
from schemas.errors import ConfigError
from schemas.manifest import ASIDE_SUFFIX

_SCRATCH = f".downstream{ASIDE_SUFFIX}"
_OPTIONS = {each.name: str(each.type) for each in fields(FinetuneOptions)}


@dataclass(frozen=True, slots=True)
class DownstreamTask:
    """What to fine-tune on, and how often (see `linkbert.training.downstream.Downstream`).

    Attributes:
        kind: one of `linkbert.finetuning.KINDS`.
        data: the training file and the dev file.
        every: steps between two trials.
        task: one of GLUE's tasks, for `classify`.
        options: those of each fine-tuning.
    """

    kind: str
    data: tuple[Path, Path]
    every: int
    task: str | None = None
    options: FinetuneOptions = field(default_factory=FinetuneOptions)

    @property
    def name(self) -> str:
        """The kind, and the folder of the data."""
        return f"{self.kind} {self.data[0].resolve().parent.name}"

    def score(self, run: Path, model: Network, ranks: Ranks) -> dict[str, float]:
        """Fine-tune the weights of a run and return the scores on dev, in percent.

        Args:
            run: its folder, which also holds scratch files meanwhile.
            model: the network; it is not changed.
            ranks: all ranks of the run; they fine-tune together.

        Raises:
            SchemaError: the data do not fit the task.
        """
        scratch = run / _SCRATCH
        folder = scratch / "model"
        if ranks.is_writer:
            shutil.rmtree(scratch, ignore_errors=True)
            folder.mkdir(parents=True)
            write_model(run, read_run(run), weights_of(model), folder)
        ranks.wait()
        found = finetune(
            self.kind, folder, self.data, scratch / "out", options=self.options, task=self.task
        )
        ranks.wait()
        if ranks.is_writer:
            shutil.rmtree(scratch)
        return {metric: score["mean"] for metric, score in found["best"][DEV].items()}


def read_downstream(given: str, every: int) -> DownstreamTask:
    """Read `KIND:DATA` or a TOML file, and check that the data exist.

    Raises:
        ConfigError: there is no such kind, file or key, or a value is out of range.
        SchemaError: the data lack a training file or a dev file.
    """
    if every < 1:
        raise ConfigError(f"expected --downstream-steps of at least 1, found {every}")
    kind, colon, data = given.partition(":")
    if colon:
        return _task({"kind": kind, "data": data}, Path(), "--downstream", every)
    path = Path(given)
    if path.suffix != ".toml":
        raise ConfigError(
            f"expected --downstream KIND:DATA or FILE.toml, found {given!r}: write "
            "classify:FOLDER, or see the documentation of pretrain for the file"
        )
    return _task(read_toml(path), path.parent, str(path), every)


def _task(values: Mapping[str, Any], home: Path, where: str, every: int) -> DownstreamTask:
    check_keys(values, where, ("kind", "data", "task", *_OPTIONS))
    kind, task = values.get("kind"), values.get("task")
    if kind not in KINDS:
        raise ConfigError(
            f"expected kind to be one of {', '.join(KINDS)} in {where}, found {kind!r}"
        )
    if not isinstance(task, str | None):
        raise ConfigError(f"expected task to be a name in {where}, found {task!r}")
    files = _files(values.get("data"), home, where)
    given = {name: value for name, value in values.items() if name in _OPTIONS}
    options = typed_values({"max_length": usual_length(kind), **given}, _OPTIONS, where)
    return DownstreamTask(kind, files, every, task, FinetuneOptions(**options))


def _files(data: Any, home: Path, where: str) -> tuple[Path, Path]:
    """Return the training file and the dev file; the others must stay unread during training."""
    named = [data] if isinstance(data, str) else data
    if (
        not isinstance(named, list)
        or not named
        or not all(isinstance(each, str) and each for each in named)
    ):
        raise ConfigError(f"expected data to be a folder or files in {where}, found {data!r}")
    paths = [home / each for each in named]
    missing = next((path for path in paths if not path.exists()), None)
    if missing is not None:
        raise ConfigError(f"expected the data of {where} at {missing}, found nothing there")
    files = find_files(paths)
    return files.train, files.held_out[DEV]
