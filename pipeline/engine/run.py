"""Run a stage from its job to its summary: through Beam, or in this process where Beam is not.

    run_job ── claim the folder ─┬─ here: check inputs and output ─┐
                                 └─ an engine does that itself ────┴─ beam.py ── summary

The local run is Beam's own runner, with the tasks of a phase on a pool of processes. It checks
inputs and output first, so that a mistake is said before anything starts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from pipeline.engine.claim import claim_folder
from pipeline.engine.lifecycle import (
    finish_job,
    finished_summary,
    leaving_no_empty_state,
    open_job,
    run_task,
    tasks_of_phase,
)
from pipeline.engine.stage import AnyJob
from pipeline.engine.stopping import stop_on_signals
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
        workers: worker processes of a local run; 0 means one per core.
        beam_args: options for Beam, such as `--runner=DataflowRunner --project=...`; those of its
            file systems hold for every remote path.
        overwrite: delete this stage's output first.

    Returns:
        The stage's summary; where Beam only builds or submits the job (`--dry_run=True`,
        `--template_location`, `--no_wait_until_finish`), a word on that.

    Raises:
        LinkBertError: the inputs, the output folder or the counts are not as they must be.
        Stopped: a signal ended it; the same call resumes.
    """
    if workers < 0:
        raise ConfigError(f"expected workers of 0 or more, found {workers}: 0 means one per core")
    with files.IMPORT_LOCK:
        from pipeline.engine import beam as beam_jobs
        from pipeline.engine.options import is_local, is_only_built, is_single_process, job_options
        from pipeline.engine.watch import Watch, is_ended
    options = job_options(job, beam_args)
    is_here = is_local(options)
    if not is_here:
        job = _absolute(job)
    if is_only_built(options):
        return JobResult({"job": beam_jobs.build_only(job, options, overwrite)}, was_finished=False)
    files.check_stores(job.root, job.sources)
    with (
        stop_on_signals() as stopping,
        claim_folder(job.root, overwrite=overwrite, is_ended=is_ended) as claim,
        leaving_no_empty_state(job) if is_single_process(options) else nullcontext(),
    ):
        if is_here:
            open_job(job, overwrite)
            summary = finished_summary(job)
            if summary is not None:
                return JobResult(summary, was_finished=True)
        ending = beam_jobs.run_pipeline(
            job,
            options,
            pool_size=workers or os.cpu_count() or 1,
            overwrite=overwrite and not is_here,
            watch=Watch(job, options, claim, stopping),
        )
        if ending:
            return JobResult({"job": ending}, was_finished=False)
        summary = finished_summary(job)
    if summary is None:
        raise StageError(f"expected a finished {job.stage.name} in {job.root}, found none")
    return JobResult(summary, was_finished=False)


def _absolute(job: AnyJob) -> AnyJob:
    """Return a job whose paths mean the same in a worker that starts in another folder."""
    sources = tuple(files.absolute(source) for source in job.sources)
    return replace(job, root=files.absolute(job.root), sources=sources)


def run_here(job: AnyJob, overwrite: bool = False) -> dict[str, Any]:
    """Run a stage in this process, task by task; return its summary.

    It gives the same bytes and needs neither Beam nor a second process: what an experiment does on
    a machine that has only the shards' packages. It resumes like any run.

    Raises:
        LinkBertError: the inputs, the output folder or the counts are not as they must be.
    """
    with claim_folder(job.root, overwrite=overwrite), leaving_no_empty_state(job):
        opened = open_job(job, overwrite)
        summary = finished_summary(opened)
        if summary is not None:
            return summary
        records = opened.no_records()
        for phase in opened.phases():
            tasks = tasks_of_phase(opened, phase, records)
            records[phase.name] = [run_task(opened, phase, task) for task in tasks]
        return finish_job(opened, records)
