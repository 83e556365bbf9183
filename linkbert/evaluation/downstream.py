"""A downstream task for a run in training: its current weights, fine-tuned and scored on dev.

In: `KIND:DATA`, such as `classify:glue/RTE`, or a TOML file that says more:

    kind = "qa"                           classify, qa, tag or choice, as `linkbert finetune` has
    data = "squad"                        folder or files, relative to this file
    task = "rte"                          of GLUE, for classify; else the folder's name
    fraction = 0.1                        and any other option of `linkbert finetune`
    epochs = 1

Out: the scores of dev, the mean over seeds. The fine-tuned models are not kept, and no test file
is looked at. Everything follows from the weights and the file, so a run that was cut off and went
on tells the same scores.
"""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from linkbert.export.export import write_model
from linkbert.finetuning import KINDS, finetune
from linkbert.finetuning.data.files import DEV, find_files
from linkbert.finetuning.options import FinetuneOptions, usual_length
from linkbert.model.families import Network
from linkbert.training.checkpoint import weights_of
from linkbert.training.config import read_toml
from linkbert.training.distributed import Ranks
from linkbert.training.run_folder import read_run
from schemas.errors import ConfigError
from schemas.manifest import ASIDE_SUFFIX

_SCRATCH = f".downstream{ASIDE_SUFFIX}"
_OWN_KEYS = ("kind", "data", "task")
_OPTIONS = tuple(each.name for each in fields(FinetuneOptions))
_TYPES = {
    "seeds": int, "text_columns": str, "label_columns": str, "metric": str, "label_separator": str,
    "negative_label": str,
}  # fmt: skip
"""Of options whose default does not tell their type."""


@dataclass(frozen=True, slots=True)
class DownstreamTask:
    """What to fine-tune on, and how often (see `linkbert.training.downstream.Downstream`).

    Attributes:
        kind: of `linkbert.finetuning.KINDS`.
        data: the training file and that of dev.
        every: steps between two trials.
        task: one of GLUE's, for `classify`.
        options: of each fine-tuning.
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
        """Fine-tune the weights of a run and return what dev scores, in percent.

        Args:
            run: its folder, where scratch files lie meanwhile.
            model: the network; it stays as it is.
            ranks: all of the run; they fine-tune together.

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
    """Read `KIND:DATA` or a TOML file, and check that the data are there.

    Raises:
        ConfigError: there is no such kind, file or key, or a value is out of range.
        SchemaError: the data lack a training or a dev file.
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
    known = (*_OWN_KEYS, *_OPTIONS)
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(known)}"
            raise ConfigError(f"unknown key {key!r} in {where}: {hint}")
    kind = values.get("kind")
    if kind not in KINDS:
        raise ConfigError(f"expected a kind out of {', '.join(KINDS)} in {where}, found {kind!r}")
    task = values.get("task")
    if not isinstance(task, str | None):
        raise ConfigError(f"expected task to be a name in {where}, found {task!r}")
    return DownstreamTask(
        kind, _files(values.get("data"), home, where), every, task,
        _options({"max_length": usual_length(kind), **values}, where),
    )  # fmt: skip


def _files(data: Any, home: Path, where: str) -> tuple[Path, Path]:
    """Return the files of train and dev; all others stay unread until the model is done."""
    named = [data] if isinstance(data, str) else data
    if (
        not isinstance(named, list)
        or not named
        or not all(isinstance(each, str) and each for each in named)
    ):
        raise ConfigError(f"expected data, a folder or files, in {where}, found {data!r}")
    paths = [home / each for each in named]
    missing = next((path for path in paths if not path.exists()), None)
    if missing is not None:
        raise ConfigError(f"expected the data of {where} at {missing}, found nothing there")
    files = find_files(paths)
    return files.train, files.held_out[DEV]


def _options(values: Mapping[str, Any], where: str) -> FinetuneOptions:
    defaults = asdict(FinetuneOptions())
    given: dict[str, Any] = {name: value for name, value in values.items() if name in defaults}
    for name, value in given.items():
        expected = _TYPES.get(name) or type(defaults[name])
        members = value if isinstance(value, list) else [value]
        is_list = isinstance(defaults[name], tuple)
        if is_list != isinstance(value, list) or not all(_is_a(expected, each) for each in members):
            what = f"a list of {expected.__name__}" if is_list else f"of type {expected.__name__}"
            raise ConfigError(f"expected {name} to be {what} in {where}, found {value!r}")
        given[name] = tuple(value) if is_list else value
    return FinetuneOptions(**given)


def _is_a(expected: type, value: Any) -> bool:
    return type(value) is expected or (expected is float and type(value) is int)
