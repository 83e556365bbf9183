"""What a stage is: rounds of independent tasks, bound to a folder and a config.

A `Stage` is a few pure functions in a few phases; a `Job` binds it to a folder and a config. The
phases run one after the other. The tasks of a phase are independent: each reads files, writes files
under deterministic names and returns a small record of counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import Field, asdict, dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from pipeline.storage import files
from schemas.manifest import Json, encode_json

Record = dict[str, Json]
"""What a task returns: `counts` {name: int}, `files` {path under the root: rows} and more JSON."""

Records = dict[str, list[Record]]
"""The records of the phases that have ended, by phase, in the order of their tasks."""


class Config(Protocol):
    """A frozen dataclass; with the inputs it decides every byte of a stage's output."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


ConfigT = TypeVar("ConfigT", bound=Config)


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of work: `args` is JSON, `weight` (bytes or rows) serves balance and progress."""

    index: int
    args: dict[str, Json]
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Exchange(Generic[ConfigT]):
    """How the tasks of a phase can get what they need: as batches keyed by task, not from files.

    Attributes:
        is_used: whether this job goes this way.
        tasks: those that send; their weight is the number of bytes.
        send: yields batches, each with the index of the task that needs it.
        receive: runs a task on all batches sent to it, which come in any order.
    """

    is_used: Callable[[Job[ConfigT]], bool]
    tasks: Callable[[Job[ConfigT], Records], list[Task]]
    send: Callable[[Job[ConfigT], Task], Iterator[tuple[int, bytes]]]
    receive: Callable[[Job[ConfigT], Task, Iterable[bytes]], Record]


@dataclass(frozen=True, slots=True)
class Phase(Generic[ConfigT]):
    """One round of independent tasks; all functions live at the top of a module.

    Attributes:
        name: distinct within the stage.
        tasks: lists what is to be done, from the records of the phases before.
        run: does one task.
        exchange: another way for tasks to get what they need.
        unit: what the weights of the tasks count, for progress; empty where it means little.
        is_needed: whether this job has tasks for it, as far as its options say, without reading
            anything; a phase that is not needed costs an engine nothing.
    """

    name: str
    tasks: Callable[[Job[ConfigT], Records], list[Task]]
    run: Callable[[Job[ConfigT], Task], Record]
    exchange: Exchange[ConfigT] | None = None
    unit: str = ""
    is_needed: Callable[[Job[ConfigT]], bool] | None = None


@dataclass(frozen=True, slots=True)
class Stage(Generic[ConfigT]):
    """What a stage is: its phases, the folders it writes, what it reads and how it ends.

    Attributes:
        name: the subcommand.
        phases: rounds of tasks, in order.
        outputs: folders under the root that belong to this stage alone.
        fingerprint_inputs: names and digests of everything the job reads; checks that it is there.
        finish: writes the manifests and returns the summary that the command prints.
    """

    name: str
    phases: tuple[Phase[ConfigT], ...]
    outputs: tuple[str, ...]
    fingerprint_inputs: Callable[[Job[ConfigT]], dict[str, str]]
    finish: Callable[[Job[ConfigT], Records], dict[str, Json]]


@dataclass(frozen=True, slots=True)
class Job(Generic[ConfigT]):
    """A stage bound to a folder.

    Attributes:
        stage: what to do.
        root: the folder it writes into.
        config: a frozen dataclass; with the inputs it decides every byte of the output.
        sources: paths read from outside the root; they may move, their content may not change.
        inputs: fingerprints, empty until `open_job`.
    """

    stage: Stage[ConfigT]
    root: str
    config: ConfigT
    sources: tuple[str, ...] = ()
    inputs: dict[str, str] = field(default_factory=dict)

    def phases(self) -> list[Phase[ConfigT]]:
        """Return the phases that this job needs, in order."""
        return [
            phase for phase in self.stage.phases if phase.is_needed is None or phase.is_needed(self)
        ]

    def no_records(self) -> Records:
        """Return the records before the first phase: none of those that are left out."""
        needed = {phase.name for phase in self.phases()}
        return {phase.name: [] for phase in self.stage.phases if phase.name not in needed}

    def path(self, *parts: str) -> str:
        """Return a path under the root."""
        return files.join(self.root, *parts)

    def state_path(self, *parts: str) -> str:
        """Return a path in this stage's state folder."""
        return files.join(self.root, "_state", self.stage.name, *parts)

    def config_json(self) -> dict[str, Json]:
        """Return the effective config as JSON holds it."""
        return dict(json.loads(encode_json(asdict(self.config))))


AnyJob = Job[Any]
"""A job of any stage, for what does not look at its config."""

AnyPhase = Phase[Any]
