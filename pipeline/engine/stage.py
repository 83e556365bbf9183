"""A stage as tasks that can be killed: plan once, record each finished task, resume, add up.

A `Stage` is a few pure functions in a few phases; a `Job` binds it to a folder and a config.
The phases run one after the other; the tasks of a phase are independent, read files, write files
under deterministic names and return a small record of counts. All state lies in
`root/_state/<stage>/`:

    _plan.json                       config, input fingerprints, versions: what this output is
    _tasks/<phase>-NNNNN.json        one finished task: its counts, and size and digest of its files
    _summary.json                    the stage is finished; what it printed

The same command on an unfinished folder runs only the tasks without a matching record.
`pipeline/engine/run.py` runs a job, through Beam; nothing here knows of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pipeline.engine.plans import compare_plans
from pipeline.engine.sealing import check_footers, check_inputs, seal
from pipeline.storage import files
from schemas import __version__
from schemas.errors import StageError
from schemas.manifest import (
    MANIFEST_NAME,
    SCHEMA_VERSION,
    FileEntry,
    Manifest,
    encode_json,
    encode_manifest,
    parse_manifest,
)
from schemas.parquet import TableWriter

Json = Any
Record = dict[str, Json]
"""What a task returns: `counts` {name: int}, `files` {path under the root: rows} and more JSON."""

Records = dict[str, list[Record]]
"""The records of the phases that have ended, by phase, in the order of their tasks."""


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of work: `args` is JSON, `weight` (bytes or rows) serves balance and progress."""

    index: int
    args: dict[str, Json]
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Exchange:
    """How the tasks of a phase can get what they need: as batches keyed by task, not from files.

    Attributes:
        is_used: whether this job goes this way.
        plan: the tasks that send; their weight is the number of bytes.
        send: yields batches, each with the index of the task that needs it.
        receive: runs a task on all batches sent to it, which come in any order.
    """

    is_used: Callable[[Job], bool]
    plan: Callable[[Job, Records], list[Task]]
    send: Callable[[Job, Task], Iterator[tuple[int, bytes]]]
    receive: Callable[[Job, Task, Iterable[bytes]], Record]


@dataclass(frozen=True, slots=True)
class Phase:
    """One round of independent tasks; all functions live at the top of a module.

    Attributes:
        name: distinct within the stage.
        plan: the tasks, from the records of the phases before.
        run: does one task.
        exchange: another way for tasks to get what they need.
        unit: what the weights of the tasks count, for progress; empty where it means little.
    """

    name: str
    plan: Callable[[Job, Records], list[Task]]
    run: Callable[[Job, Task], Record]
    exchange: Exchange | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """What a stage is: its phases, the folders it writes, what it reads and how it ends.

    Attributes:
        name: the subcommand.
        phases: rounds of tasks, in order.
        outputs: folders under the root that belong to this stage alone.
        fingerprint_inputs: names and digests of everything the job reads; checks that it is there.
        finish: writes the manifests and returns the summary that the command prints.
    """

    name: str
    phases: tuple[Phase, ...]
    outputs: tuple[str, ...]
    fingerprint_inputs: Callable[[Job], dict[str, str]]
    finish: Callable[[Job, Records], dict[str, Json]]


@dataclass(frozen=True, slots=True)
class Job:
    """A stage bound to a folder.

    Attributes:
        stage: what to do.
        root: the folder it writes into.
        config: a frozen dataclass; with the inputs it decides every byte of the output.
        sources: paths read from outside the root; they may move, their content may not change.
        inputs: fingerprints, empty until `open_job`.
    """

    stage: Stage
    root: str
    config: Any
    sources: tuple[str, ...] = ()
    inputs: dict[str, str] = field(default_factory=dict)

    def path(self, *parts: str) -> str:
        """Return a path under the root."""
        return files.join(self.root, *parts)

    def state_path(self, *parts: str) -> str:
        """Return a path in this stage's state folder."""
        return files.join(self.root, "_state", self.stage.name, *parts)

    def config_json(self) -> dict[str, Json]:
        """Return the effective config as JSON holds it."""
        return dict(json.loads(encode_json(asdict(self.config))))


def finished_summary(job: Job) -> dict[str, Json] | None:
    """Return what the stage printed when it finished in this folder, None if it has not."""
    path = job.state_path("_summary.json")
    return dict(json.loads(files.read_bytes(path))) if files.exists(path) else None


def open_job(job: Job, overwrite: bool = False) -> Job:
    """Check inputs and output folder, write the plan, and return the job with its inputs.

    Raises:
        StageError: the folder holds this stage's output for another config, input or version.
    """
    files.refuse_links(job.root, [*job.stage.outputs, "_state", f"_state/{job.stage.name}"])
    if overwrite:
        for name in (*job.stage.outputs, f"_state/{job.stage.name}"):
            files.remove_tree(job.path(name))
    opened = replace(job, inputs=job.stage.fingerprint_inputs(job))
    plan = {
        "stage": job.stage.name,
        "config": job.config_json(),
        "inputs": opened.inputs,
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
    }
    plan_path = job.state_path("_plan.json")
    if files.exists(plan_path):
        compare_plans(json.loads(files.read_bytes(plan_path)), plan, job.root)
    else:
        _refuse_foreign_output(job)
        files.write_json(plan_path, plan)
    return opened


def _refuse_foreign_output(job: Job) -> None:
    for name in job.stage.outputs:
        if files.has_files(job.path(name)):
            raise StageError(
                f"expected no {name} in {job.root}, found one that no plan explains: "
                "choose another folder, or use --overwrite to delete it"
            )


def plan_phase(job: Job, phase: Phase, records: Records) -> list[Task]:
    """Return the tasks of a phase and note them beside the plan."""
    tasks = phase.plan(job, records)
    assert [task.index for task in tasks] == list(range(len(tasks))), phase.name
    files.write_json(job.state_path(f"{phase.name}.json"), [asdict(task) for task in tasks])
    return tasks


def run_task(
    job: Job, phase: Phase, task: Task, run: Callable[[Job, Task], Record] | None = None
) -> Record:
    """Run one task, by `run` or the phase's own function, unless its record shows it done."""
    done = done_record(job, phase, task)
    if done is not None:
        return done
    record = (run or phase.run)(job, task)
    entries = []
    for name, num_rows in record.get("files", {}).items():
        num_bytes, digest = files.digest(job.path(name))
        entries.append(asdict(FileEntry(name, num_rows, num_bytes, digest)))
    record = {**record, "files": entries, "index": task.index}
    files.write_json(_record_path(job, phase.name, task.index), record, is_synced=False)
    return record


def _record_path(job: Job, phase_name: str, index: int) -> str:
    return job.state_path("_tasks", f"{phase_name}-{index:05d}.json")


def done_record(job: Job, phase: Phase, task: Task) -> Record | None:
    """Return the record of a task that is done and whose files are as it left them, else None."""
    record_path = _record_path(job, phase.name, task.index)
    if not files.exists(record_path):
        return None
    try:
        record: Record = json.loads(files.read_bytes(record_path))
    except ValueError:
        # Cut off by a loss of power.
        return None
    for entry in record["files"]:
        path = job.path(entry["name"])
        if not files.exists(path) or files.digest(path) != (entry["num_bytes"], entry["sha256"]):
            return None
    return record


def finish_job(job: Job, records: Records) -> dict[str, Json]:
    """Write the manifests, then the summary that marks the stage as finished.

    Raises:
        StageError: an input is not what it was when the stage began.
    """
    check_inputs(job.stage.name, job.inputs, job.stage.fingerprint_inputs(job))
    for folder in (*job.stage.outputs, f"_state/{job.stage.name}/_tasks"):
        files.sweep(job.path(folder))
    summary = job.stage.finish(job, records)
    _sync_files(job, records)
    if not files.is_remote(job.root):
        seal(job.state_path(), summary)
    files.write_json(job.state_path("_summary.json"), summary)
    return summary


def _sync_files(job: Job, records: Records) -> None:
    """Wait until what the tasks wrote is on the disk, and their records."""
    names = [
        name
        for phase_name, found in records.items()
        for record in found
        for name in (
            _record_path(job, phase_name, record["index"]),
            *(job.path(entry["name"]) for entry in record["files"]),
        )
    ]
    # Pieces that only the next phase needed are gone by now.
    files.sync(name for name in names if files.exists(name))


@contextmanager
def part_writer(
    job: Job, folder: str, index: int, table: str = "", metadata: dict[bytes, bytes] | None = None
) -> Iterator[TableWriter]:
    """Write `root/folder/part-NNNNN.parquet`, whole or not at all.

    Args:
        job: whose root it lies under.
        folder: the table's folder.
        index: the number of the part.
        table: the table whose schema it follows; the folder's name unless given.
        metadata: schema metadata, such as the token dtype.
    """
    with (
        files.write_whole(job.path(folder, part_name(index))) as file,
        # Closed on an error too: the file under it is discarded then, but must still be open.
        closing(TableWriter(file, table or folder, metadata)) as writer,
    ):
        yield writer


def part_name(index: int) -> str:
    """Return the file name of a part.

    >>> part_name(7)
    'part-00007.parquet'
    """
    return f"part-{index:05d}.parquet"


def sum_counts(records: list[Record]) -> dict[str, int]:
    """Add up the counts of records by name, names sorted.

    >>> sum_counts([{"counts": {"red": 1}}, {"counts": {"red": 2, "self": 1}}])
    {'red': 3, 'self': 1}
    """
    total: dict[str, int] = {}
    for record in records:
        for name, count in record["counts"].items():
            total[name] = total.get(name, 0) + count
    return dict(sorted(total.items()))


def write_folder_manifest(
    job: Job,
    folder: str,
    records: list[Record],
    *,
    table: str = "",
    rows_in: int = 0,
    drops: Mapping[str, int] | None = None,
    extra: dict[str, Json] | None = None,
) -> Manifest:
    """Write `root/folder/_manifest.json` from the records of the tasks that filled the folder.

    Args:
        job: the job; its config and inputs are noted.
        folder: a folder under the root.
        records: all records that may name files in it.
        table: the schema the files follow, empty for arrays.
        rows_in: rows or pages read to make it.
        drops: how many of those were left out, by reason.
        extra: what only this stage knows.

    Raises:
        StageError: rows in are not rows out plus drops, or a footer disagrees with its record.
    """
    entries = _entries_in(folder, records)
    drops = dict(sorted((drops or {}).items()))
    rows_out = sum(entry.num_rows for entry in entries)
    if table:
        check_footers(job.path(folder), entries)
        if rows_in != rows_out + sum(drops.values()):
            raise StageError(
                f"expected rows in = rows out + drops for {folder}, found {rows_in} in, "
                f"{rows_out} out, drops {drops}: this is a fault of the stage, please report it"
            )
    manifest = Manifest(
        stage=job.stage.name,
        config=job.config_json(),
        inputs=job.inputs,
        rows_in=rows_in,
        rows_out=rows_out,
        drops=drops,
        files=tuple(entries),
        versions=_versions(),
        extra=extra or {},
        table=table,
    )
    with files.write_whole(job.path(folder, MANIFEST_NAME), is_synced=True) as file:
        file.write(encode_manifest(manifest))
    return manifest


def load_manifest(folder: str) -> Manifest:
    """Read the manifest of a folder, local or remote.

    Raises:
        StageError: there is none.
        SchemaError: it is damaged or of another schema version.
    """
    path = files.join(folder, MANIFEST_NAME)
    if not files.exists(path):
        raise StageError(
            f"expected a finished folder, found no {MANIFEST_NAME} in {folder}: "
            f"run `linkbert {_WRITERS.get(folder.rsplit('/', 1)[-1], 'parse')}` first"
        )
    return parse_manifest(files.read_bytes(path), path)


_WRITERS = {
    "nodes": "graph",
    "edges": "graph",
    "mentions": "graph",
    "csr": "graph",
    "index": "graph",
    "tokenizer": "tokenizer",
    "segments": "segment",
    "tokens": "segment",
    "train": "sample",
}


def _entries_in(folder: str, records: list[Record]) -> list[FileEntry]:
    prefix = f"{folder}/"
    found = (FileEntry(**entry) for record in records for entry in record["files"])
    chosen = [entry for entry in found if entry.name.startswith(prefix)]
    named = [replace(entry, name=entry.name.removeprefix(prefix)) for entry in chosen]
    return sorted(named, key=lambda entry: entry.name)


def _versions() -> dict[str, str]:
    import numpy
    import pyarrow

    return {"linkbert": __version__, "numpy": numpy.__version__, "pyarrow": pyarrow.__version__}
