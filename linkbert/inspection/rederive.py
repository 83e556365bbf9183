"""Make a part of a corpus again from what it was made from, and compare every byte.

The tables of a folder may be consistent and yet not be what the dump says. So for each stage that
reads pages a random task is run again in a scratch folder, and its files are compared with those
that the manifests name: `parse` from the dump itself, `resolve` and `segment` from the tables.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from pipeline.engine.outputs import load_manifest
from pipeline.engine.stage import Job, Record, Stage, Task
from pipeline.graph.config import GraphConfig
from pipeline.graph.stage import GRAPH
from pipeline.parse.config import ParseConfig
from pipeline.parse.stage import PARSE
from pipeline.segment.config import SegmentConfig
from pipeline.segment.stage import SEGMENT
from pipeline.storage import files
from schemas.errors import LinkBertError


@dataclass(slots=True)
class Rederived:
    """The outcome: how many rows were equal, what differs, and what could not be tried."""

    num_rows: int = 0
    problems: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Trial:
    stage: Stage[Any]
    config: Callable[..., Any]
    phase: str
    # The table whose parts the tasks write, one each.
    table: str


_TRIALS = (
    _Trial(PARSE, ParseConfig, "parse", "pages"),
    _Trial(GRAPH, GraphConfig, "resolve", "mentions"),
    _Trial(SEGMENT, SegmentConfig, "segment", "segments"),
)


def rederive(corpus: Path) -> Rederived:
    """Run one random task of each stage again, if its inputs are still at hand.

    Args:
        corpus: a local corpus folder.
    """
    found = Rederived()
    for trial in _TRIALS:
        state = corpus / "_state" / trial.stage.name
        if (state / "_summary.json").is_file():
            try:
                _try_one(corpus, trial, state, found)
            except (LinkBertError, OSError, ValueError, KeyError, TypeError) as error:
                found.problems.append(
                    f"expected to run a task of {trial.stage.name} in {corpus} again, found {error}"
                )
    return found


def _try_one(corpus: Path, trial: _Trial, state: Path, found: Rederived) -> None:
    tasks = [Task(**values) for values in json.loads((state / f"{trial.phase}.json").read_bytes())]
    task = tasks[_draw(corpus, trial, len(tasks))]
    if reason := _why_not_again(task):
        found.skipped.append(reason)
        return
    identity = json.loads((state / "_plan.json").read_bytes())
    values = {
        name: tuple(v) if isinstance(v, list) else v for name, v in identity["config"].items()
    }
    record = json.loads((state / "_tasks" / f"{trial.phase}-{task.index:05d}.json").read_bytes())
    if _left_out_crashing(record):
        found.skipped.append(
            f"task {task.index} of {trial.stage.name} has pages that kill a process"
        )
        return
    with tempfile.TemporaryDirectory() as scratch:
        _lay_out(corpus, Path(scratch), trial, record)
        job = Job(trial.stage, scratch, trial.config(**values), inputs=identity["inputs"])
        [phase] = [phase for phase in trial.stage.phases if phase.name == trial.phase]
        again = phase.run(job, task)
        _compare(corpus, Path(scratch), record, again, found)


def _why_not_again(task: Task) -> str | None:
    """Say why a task cannot be run again if its part of the dump is out of reach."""
    source = task.args.get("path")
    if source is None:
        return None
    try:
        if files.is_remote(source):
            files.check_stores("", [source])
        is_there = files.exists(source)
    except (LinkBertError, OSError, ValueError, ImportError) as error:
        return f"the store of the dump {source} does not answer ({error})"
    if is_there and "piece" not in task.args:
        return None
    return f"the dump {source} is not there, or cannot be read in the middle"


def _left_out_crashing(record: Record) -> bool:
    """Tell whether a task left out pages that had killed it, as they would kill this process."""
    counts = record["counts"]
    return "crashed" in counts or "crashed" in counts.get("rejected", {})


def _draw(corpus: Path, trial: _Trial, num_tasks: int) -> int:
    """Draw a task by the content, so that nobody can choose it and every check draws the same."""
    identity = load_manifest(str(corpus / trial.table)).fingerprint()
    return int.from_bytes(sha256(identity.encode()).digest()[:8], "little") % num_tasks


def _lay_out(corpus: Path, scratch: Path, trial: _Trial, record: Record) -> None:
    """Link the inputs into the scratch folder; the task's output gets folders of its own."""
    written = {entry["name"].split("/")[0] for entry in record["files"]}
    for folder in corpus.iterdir():
        if folder.name not in written and folder.name != "_state":
            os.symlink(folder.resolve(), scratch / folder.name)
    state = scratch / "_state" / trial.stage.name
    state.mkdir(parents=True)
    for note in (corpus / "_state" / trial.stage.name).glob("*.json"):
        shutil.copy(note, state)


def _compare(corpus: Path, scratch: Path, record: Record, again: Record, found: Rederived) -> None:
    if again["counts"] != record["counts"]:
        found.problems.append(
            f"expected the counts {record['counts']}, found {again['counts']} when task "
            f"{record['index']} was run again for {corpus}"
        )
    for entry in record["files"]:
        name = entry["name"]
        if name.startswith("_state/"):
            continue
        made = files.digest(str(scratch / name))[1]
        lies = files.digest(str(corpus / name))[1]
        if not made == lies == entry["sha256"]:
            found.problems.append(
                f"expected {corpus / name} as its inputs give it (SHA-256 {made[:12]}), "
                f"found {lies[:12]}, recorded {entry['sha256'][:12]}"
            )
        else:
            found.num_rows += entry["num_rows"]
