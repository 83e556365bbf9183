"""Run a stage from its job to its summary: here at once, or through Beam wherever it says.

    run_job ─┬─ no options ── lock, check ─┬─ workers begin with the tasks ──┐
             │                             └─ Beam is loaded ─ beam_jobs.py ─┴─ summary
             └─ for Beam ──── beam_jobs.py, on its local runner or on another engine

A local run checks inputs and output first, so that a mistake is said before anything starts. To
load Beam and build a job takes up to a second; meanwhile the tasks run that Beam will ask for.
"""

from __future__ import annotations

import fcntl
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.engine.lifecycle import finished_summary, open_job
from pipeline.engine.pool import tasks_ahead
from pipeline.engine.stage import AnyJob
from pipeline.storage import files
from schemas.errors import ConfigError, StageError


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a job ended: the stage's summary, and whether it had been finished before."""

    summary: dict[str, Any]
    was_finished: bool


def run_job(
    job: AnyJob, *, workers: int = 0, beam_args: Sequence[str] = (), overwrite: bool = False
) -> JobResult:
    """Run a stage, or resume it; on a finished output only say so.

    Args:
        job: what to run and where.
        workers: worker processes of a local run; 0 means one a core.
        beam_args: options for Beam, such as `--runner=DataflowRunner --project=...`.
        overwrite: delete this stage's output first.

    Returns:
        The stage's summary; where Beam only builds or submits the job (`--dry_run=True`,
        `--template_location`, `--no_wait_until_finish`), a word on that.

    Raises:
        LinkBertError: the inputs, the output folder or the counts are not as they must be.
    """
    if workers < 0:
        raise ConfigError(f"expected workers of 0 or more, found {workers}: 0 means one a core")
    pool_size = workers or os.cpu_count() or 1
    # Without options Beam need not be loaded to know what they say.
    options = _load_beam().job_options(job, beam_args) if beam_args else None
    is_here = options is None or _load_beam().is_local(options)
    with _folder_lock(job.root):
        ahead: AbstractContextManager[None] = nullcontext()
        if is_here:
            opened = open_job(job, overwrite)
            summary = finished_summary(job)
            if summary is not None:
                return JobResult(summary, was_finished=True)
            if options is None:
                ahead = tasks_ahead(opened, pool_size)
        with ahead:
            ending = _load_beam().run_pipeline(
                job, options, pool_size=pool_size, overwrite=overwrite and not is_here
            )
        if ending:
            return JobResult({"job": ending}, was_finished=False)
        summary = finished_summary(job)
    if summary is None:
        raise StageError(f"expected a finished {job.stage.name} in {job.root}, found none")
    return JobResult(summary, was_finished=False)


def _load_beam() -> ModuleType:
    """Import what imports Beam.

    That makes hundreds of thousands of objects, which all stay: to look for garbage among them, now
    and when the process ends, would take a quarter longer now and 0.1 to 0.3 s then.
    """
    if "pipeline.engine.beam" in sys.modules:
        return sys.modules["pipeline.engine.beam"]
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        from pipeline.engine import beam as beam_jobs
    finally:
        if was_enabled:
            gc.enable()
    gc.freeze()
    return beam_jobs


@contextmanager
def _folder_lock(root: str) -> Iterator[None]:
    """Hold a local folder for this process alone; the lock goes with the process, however it ends.

    Raises:
        StageError: another process holds it.
    """
    if files.is_remote(root):
        yield
        return
    files.refuse_links(root, ["_state", "_state/_lock"])
    path = Path(root, "_state", "_lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StageError(
                f"expected {root} to be free, found another run writing into it: "
                "wait for it to end, or choose another folder"
            ) from error
        yield
