"""Run a stage as a Beam job: descriptors of work travel through Beam, files carry the data.

On Beam's local runner, which works in one process, a phase is one step, on a pool of processes:

    Start ── OpenJob ── RunPhase 1 ── RunPhase 2 ── ... ── WriteManifests

An engine deals the tasks out one by one, and each runs in a process of its own, which it may kill.
What ends a phase and begins the next is one step, so a phase costs two rounds of workers:

    Start ── OpenJob ── List 1 ─┬─ Reshuffle ── RunTasks 1 ─┐
                                └──────────────── Add 1, list 2 ── ... ── Add n ── WriteManifests

Every element is a few hundred bytes: a job with its records, a task, or one record. Building the
job reads nothing, so it builds offline and from a template.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.engine.exchange import MAX_LOCAL_BYTES, exchange_of, group_and_run, tasks_of_exchange
from pipeline.engine.lifecycle import finish_job, open_job, tasks_of_phase
from pipeline.engine.options import early_ending, is_local, is_single_process
from pipeline.engine.outputs import versions_here
from pipeline.engine.pool import run_tasks
from pipeline.engine.stage import AnyJob, AnyPhase, Record, Records, Task
from pipeline.engine.watch import Watch
from schemas.errors import StageError

State = tuple[AnyJob, Records]
"""What flows from phase to phase: the opened job and the records so far."""


def run_pipeline(
    job: AnyJob, options: PipelineOptions, *, pool_size: int, overwrite: bool, watch: Watch
) -> str:
    """Build a job and run it; say how it ends where Beam does not run it to its end.

    Args:
        job: what to run and where.
        options: of `options.job_options`.
        pool_size: processes for a whole phase; used where Beam itself works in one process.
        overwrite: delete this stage's output first.
        watch: what to do while it runs, and when it fails or is stopped.

    Raises:
        LinkBertError: the inputs, the folder or the counts are not as they must be.
    """
    ending = early_ending(options)
    with watch.failures():
        pipeline = beam.Pipeline(options=options)
        build(
            pipeline,
            job,
            pool_size=pool_size if is_single_process(options) else 0,
            overwrite=overwrite,
        )
        watch.run(pipeline, waits=not ending)
    return ending


def build_only(job: AnyJob, options: PipelineOptions, overwrite: bool) -> str:
    """Build a job that is opened elsewhere, as a template or not at all; say how that ends."""
    ending = early_ending(options)
    pipeline = beam.Pipeline(options=options)
    build(pipeline, job, pool_size=0, overwrite=overwrite)
    pipeline.run()
    return ending


@contextmanager
def _plain_labels() -> Iterator[None]:
    """Keep Beam from naming steps after the cell of a notebook.

    It would import its data frames for that, which fail with pandas 3 (Beam 2.77).
    """
    altering = beam.pipeline.alter_label_if_ipython
    beam.pipeline.alter_label_if_ipython = lambda transform, pvalueish: None
    try:
        yield
    finally:
        beam.pipeline.alter_label_if_ipython = altering


@_plain_labels()
def build(pipeline: beam.Pipeline, job: AnyJob, *, pool_size: int, overwrite: bool) -> Any:
    """Wire a stage into a pipeline; return the collection of its one summary.

    Args:
        pipeline: empty.
        job: what to run and where; nothing of it is read.
        pool_size: processes for a whole phase; 0 where the engine spreads the tasks itself.
        overwrite: delete this stage's output first.
    """
    start = pipeline | "Start" >> beam.Create([(job, versions_here())])
    state = start | "OpenJob" >> beam.Map(_open_state, overwrite)
    max_bytes = MAX_LOCAL_BYTES if is_local(pipeline.options) else 0
    before, records = "", None
    for phase in job.phases():
        exchanges = exchange_of(job, phase) is not None
        if pool_size and not exchanges:
            state = _settle(state, before, records)
            state = state | f"RunPhase {phase.name}" >> beam.Map(_run_on_pool, phase, pool_size)
            before, records = "", None
            continue
        step = _Step(before, phase, exchanges, max_bytes)
        label = f"Add {before}, list {phase.name}" if before else f"List {phase.name}"
        state, records = state | label >> RunPhase(step, records)
        before = phase.name
    return _settle(state, before, records) | "WriteManifests" >> beam.Map(_finish)


def _settle(state: Any, before: str, records: Any) -> Any:
    """Return the state with the records of the phase before, if they are not in it yet."""
    if records is None:
        return state
    return state | f"Add {before}" >> beam.Map(_add_records, before, beam.pvalue.AsList(records))


@dataclass(frozen=True, slots=True)
class _Step:
    """The end of one phase, if there is one before, and the tasks of the next."""

    before: str
    phase: AnyPhase
    exchanges: bool
    max_bytes: int


class RunPhase(beam.PTransform):  # type: ignore[misc]
    """Add the records of the phase before to the state, then list and run the tasks of a phase."""

    def __init__(self, step: _Step, before: Any) -> None:
        super().__init__()
        self._step = step
        self._before = () if before is None else (beam.pvalue.AsList(before),)

    def expand(self, state: Any) -> Any:
        """Return the state and the records of the phase, which the next step waits for."""
        phase = self._step.phase
        listed = state | "ListTasks" >> beam.FlatMap(
            _add_and_list, self._step, *self._before
        ).with_outputs("tasks", "done", main="state")
        shuffled = listed.tasks | "Reshuffle" >> beam.Reshuffle()
        if not self._step.exchanges:
            return listed.state, shuffled | "RunTasks" >> beam.FlatMap(_run_alone, phase)
        received = group_and_run(shuffled, listed.state, phase)
        return listed.state, (received, listed.done) | "AllRecords" >> beam.Flatten()


def _add_and_list(state: State, step: _Step, records: list[Record] | None = None) -> Iterator[Any]:
    """Yield the state after the phase before and, tagged `tasks` and `done`, what is to be run."""
    if records is not None:
        state = _add_records(state, step.before, records)
    yield state
    if step.exchanges:
        yield from tasks_of_exchange(state, step.phase, step.max_bytes)
        return
    job, earlier = state
    for task in tasks_of_phase(job, step.phase, earlier):
        yield beam.pvalue.TaggedOutput("tasks", (job, task))


def _open_state(start: tuple[AnyJob, dict[str, str]], overwrite: bool) -> State:
    job, versions = start
    _refuse_other_versions(versions)
    opened = open_job(job, overwrite)
    return opened, opened.no_records()


def _run_on_pool(state: State, phase: AnyPhase, pool_size: int) -> State:
    job, records = state
    tasks = tasks_of_phase(job, phase, records)
    return _add_records(state, phase.name, list(run_tasks(job, phase, tasks, pool_size)))


def _run_alone(listed: tuple[AnyJob, Task], phase: AnyPhase) -> Iterator[Record]:
    """Run a task in a process of its own, which it may kill."""
    job, task = listed
    return run_tasks(job, phase, [task], 1)


def _add_records(state: State, phase_name: str, new: list[Record]) -> State:
    job, records = state
    ordered = sorted(new, key=lambda record: record["index"])
    return job, {**records, phase_name: ordered}


def _finish(state: State) -> dict[str, Any]:
    return finish_job(*state)


def _refuse_other_versions(launcher: dict[str, str]) -> None:
    """Compare this worker's versions with those of the process that built the job.

    Raises:
        StageError: one differs.
    """
    here = versions_here()
    different = [
        f"{name} {here.get(name, 'none')} instead of {wanted}"
        for name, wanted in launcher.items()
        if here.get(name) != wanted
    ]
    if different:
        raise StageError(
            f"expected workers with the versions of the launcher, found {', '.join(different)}: "
            "install the same on both, or launch from the workers' image"
        )
