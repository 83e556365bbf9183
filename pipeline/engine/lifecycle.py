"""The life of a stage in its folder: begun once, resumed after any kill, finished and added up.

All state lies in `root/_state/<stage>/`:

    _plan.json                       what this output is: config, input fingerprints, versions
    <phase>.json                     the tasks of a phase
    _tasks/<phase>-NNNNN.json        one finished task: its counts, and size and digest of its files
    _summary.json                    the stage is finished; what it printed

The same command on an unfinished folder runs only the tasks without a matching record.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from hashlib import sha256
from typing import Any

from pipeline.engine.outputs import versions_here
from pipeline.engine.stage import AnyJob, AnyPhase, Record, Records, Task
from pipeline.storage import files
from schemas import __version__
from schemas.errors import LinkBertError, StageError
from schemas.manifest import (
    ASIDE_SUFFIX,
    SCHEMA_VERSION,
    SEAL_NAME,
    SUMMARY_NAME,
    FileEntry,
    Json,
    encode_json,
)


def finished_summary(job: AnyJob) -> dict[str, Json] | None:
    """Return what the stage printed when it finished in this folder, None if it has not."""
    path = job.state_path(SUMMARY_NAME)
    return dict(json.loads(files.read_bytes(path))) if files.exists(path) else None


def open_job(job: AnyJob, overwrite: bool = False) -> AnyJob:
    """Check inputs and output folder, write what it is to be, and return the job with its inputs.

    Raises:
        StageError: the folder holds this stage's output for another config, input or version.
    """
    files.refuse_links(job.root, [*job.stage.outputs, "_state", f"_state/{job.stage.name}"])
    opened = replace(job, inputs=job.stage.fingerprint_inputs(job))
    if overwrite:  # only what can be made anew is deleted
        for name in (*job.stage.outputs, f"_state/{job.stage.name}"):
            files.remove_tree(job.path(name))
    identity = {
        "stage": job.stage.name,
        "config": job.config_json(),
        "inputs": opened.inputs,
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "versions": versions_here(),
    }
    path = job.state_path("_plan.json")
    if files.exists(path) and _has_begun(job):
        found = json.loads(files.read_bytes(path))
        if finished_summary(job) is not None:
            # What is finished was made by one version; what another would make is not asked.
            found["versions"] = identity["versions"]
        check_identity(found, identity, job.root)
    else:
        _refuse_foreign_output(job)
        files.write_json(path, identity)
    return opened


def _has_begun(job: AnyJob) -> bool:
    """Tell whether any work was done: a try that was refused before leaves nothing to compare."""
    places = [job.state_path("_tasks"), *map(job.path, job.stage.outputs)]
    return finished_summary(job) is not None or any(map(files.has_files, places))


def _refuse_foreign_output(job: AnyJob) -> None:
    for name in job.stage.outputs:
        if files.has_files(job.path(name)):
            raise StageError(
                f"expected no {name} in {job.root}, found one that nothing explains: "
                "choose another folder, or use --overwrite to delete it"
            )


@contextmanager
def leaving_no_empty_state(job: AnyJob) -> Iterator[None]:
    """Remove what a stage noted of itself, and empty folders, where it failed before any work.

    Local folders only: a store shows no empty folders, and perhaps it is the store that failed.
    """
    try:
        yield
    except LinkBertError:
        if not files.is_remote(job.root) and not _has_written(job):
            for name in (*job.stage.outputs, f"_state/{job.stage.name}"):
                files.remove_tree(job.path(name))
        raise


def _has_written(job: AnyJob) -> bool:
    """Tell whether there is more than notes at the top of the state and parts that were begun."""
    notes = (path.removeprefix(f"{job.state_path()}/") for path in files.tree(job.state_path()))
    outputs = (path for name in job.stage.outputs for path in files.tree(job.path(name)))
    return any("/" in note or note == SUMMARY_NAME for note in notes) or any(
        not path.endswith(ASIDE_SUFFIX) for path in outputs
    )


def tasks_of_phase(job: AnyJob, phase: AnyPhase, records: Records) -> list[Task]:
    """List the tasks of a phase and note them in the stage's state."""
    tasks = phase.tasks(job, records)
    files.write_json(job.state_path(f"{phase.name}.json"), [asdict(task) for task in tasks])
    return tasks


def run_task(
    job: AnyJob, phase: AnyPhase, task: Task, run: Callable[[AnyJob, Task], Record] | None = None
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


def _record_path(job: AnyJob, phase_name: str, index: int) -> str:
    return job.state_path("_tasks", f"{phase_name}-{index:05d}.json")


def done_record(job: AnyJob, phase: AnyPhase, task: Task) -> Record | None:
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


def finish_job(job: AnyJob, records: Records) -> dict[str, Json]:
    """Write the manifests, then the summary that marks the stage as finished.

    Raises:
        StageError: an input is not what it was when the stage began.
    """
    check_inputs(job.stage.name, job.inputs, job.stage.fingerprint_inputs(job))
    for folder in (*job.stage.outputs, f"_state/{job.stage.name}/_tasks"):
        files.sweep(job.path(folder))
    summary = job.stage.finish(job, records)
    _sync_files(job, records)
    seal(job.state_path(), summary, _record_digests(job, records))
    files.write_json(job.state_path(SUMMARY_NAME), summary)
    return summary


def _sync_files(job: AnyJob, records: Records) -> None:
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


def check_identity(found: dict[str, Json], wanted: dict[str, Json], root: str) -> None:
    """Compare what an output was begun as with what a job would make of it.

    Raises:
        StageError: they differ; the message says in what.
    """
    differences = [
        _told(where, old, new) for where, old, new in _differences(found, wanted) if old != new
    ]
    if differences:
        raise StageError(
            f"expected `{wanted['stage']}` of the same inputs and options in {root}, found another "
            f"one ({'; '.join(differences)}): use --overwrite to start anew, or another "
            "folder"
        )


def _told(where: str, old: Json, new: Json) -> str:
    # The digest of an input tells nobody anything.
    if not where.startswith("inputs."):
        return f"{where} was {old!r}, now {new!r}"
    became = "is new" if old is None else "is no longer read" if new is None else "has changed"
    return f"{where} {became}"


def _differences(
    found: dict[str, Json], wanted: dict[str, Json], prefix: str = ""
) -> Iterator[tuple[str, Json, Json]]:
    for key in sorted({*found, *wanted}):
        old, new = found.get(key), wanted.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", old, new


def check_inputs(stage: str, before: dict[str, str], now: dict[str, str]) -> None:
    """Compare the fingerprints of a stage's inputs at its end with those at its beginning.

    Raises:
        StageError: one has changed.
    """
    changed = [name for name in {**before, **now} if now.get(name) != before.get(name)]
    if changed:
        raise StageError(
            f"expected the inputs of `{stage}` to stay as they were, found "
            f"{', '.join(changed)} changed while they were read: wait until they are whole, then "
            "run it again with --overwrite"
        )


def _record_digests(job: AnyJob, records: Records) -> dict[str, str]:
    """Return the digests of all records, which a store need not be asked for one by one."""
    if not files.is_remote(job.root):
        return {}
    prefix = f"{job.state_path()}/"
    return {
        _record_path(job, phase, record["index"]).removeprefix(prefix): _digest_of_json(record)
        for phase, found in records.items()
        for record in found
    }


def _digest_of_json(value: Json) -> str:
    return sha256(encode_json(value) + b"\n").hexdigest()


def seal(folder: str, summary: dict[str, Any], known: dict[str, str] | None = None) -> None:
    """Write the digests of all notes in a stage's folder, the summary to come included.

    Args:
        folder: the stage's state.
        summary: what is going to be written.
        known: digests of notes that need not be read.
    """
    digests = {SUMMARY_NAME: _digest_of_json(summary)}
    for path in files.tree(folder):
        name = path.removeprefix(f"{folder}/")
        if name not in (SEAL_NAME, SUMMARY_NAME):
            digests[name] = (known or {}).get(name) or files.digest(path)[1]
    files.write_json(files.join(folder, SEAL_NAME), digests)
