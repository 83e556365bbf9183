"""Run a stage as a Beam job: descriptors of work travel through Beam, files carry the data.

    Start ── OpenJob ─┬─ for each phase ────────────────────────────────┬─ WriteManifests
                      │  PlanTasks ─ Reshuffle ─ RunTasks ─ AddRecords  │
                      │  RunOnPool                                      │
                      └─────────────────────────────────────────────────┘

Every element is a few hundred bytes: a job with its records, a task, or one record. Building the
job reads nothing, so it builds offline and from a template.

An engine deals the tasks out one by one, and each runs in one process of its own. Beam's local
runner, which works in one process, hands all of a phase to a pool of processes that balances them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    DebugOptions,
    DirectOptions,
    GoogleCloudOptions,
    PipelineOptions,
    SetupOptions,
    StandardOptions,
    TestOptions,
    WorkerOptions,
)

from pipeline.engine.exchange import MAX_LOCAL_BYTES, RunExchange, exchange_of
from pipeline.engine.lifecycle import finish_job, open_job, plan_phase
from pipeline.engine.pool import run_tasks
from pipeline.engine.stage import AnyJob, AnyPhase, Record, Records, Task
from pipeline.storage import files
from schemas import errors
from schemas.errors import ConfigError, LinkBertError

_LOCAL_RUNNER = "FnApiRunner"
_DATAFLOW = "DataflowRunner"

State = tuple[AnyJob, Records]
"""What flows from phase to phase: the opened job and the records so far."""


def job_options(job: AnyJob, beam_args: Sequence[str]) -> PipelineOptions:
    """Return Beam's options for a job.

    Raises:
        ConfigError: they are unsafe, or do not fit the job.
    """
    options = pipeline_options(beam_args)
    if _runner(options) == _DATAFLOW:
        _check_for_dataflow(job, options)
    return options


def run_pipeline(
    job: AnyJob, options: PipelineOptions | None, *, pool_size: int, overwrite: bool
) -> str:
    """Build a job and run it; say how it ends where Beam does not run it to its end.

    Args:
        job: what to run and where.
        options: of `job_options`; None for those without arguments.
        pool_size: processes for a whole phase; used where Beam itself works in one process.
        overwrite: delete this stage's output first.

    Raises:
        LinkBertError: the inputs, the folder or the counts are not as they must be.
    """
    options = options or pipeline_options(())
    ending = _early_ending(options)
    try:
        with beam.Pipeline(options=options) as pipeline:
            build(
                pipeline,
                job,
                pool_size=pool_size if _is_single_process(options) else 0,
                overwrite=overwrite,
            )
    except RuntimeError as error:
        raise _cause_of(error) from error
    return ending


def is_local(options: PipelineOptions) -> bool:
    """Tell whether Beam runs the job on this machine, with its own runner."""
    return _runner(options) == _LOCAL_RUNNER


def _runner(options: PipelineOptions) -> str | None:
    name: str | None = options.view_as(StandardOptions).runner
    return name


def build(pipeline: beam.Pipeline, job: AnyJob, *, pool_size: int, overwrite: bool) -> Any:
    """Wire a stage into a pipeline; return the collection of its one summary.

    Args:
        pipeline: empty.
        job: what to run and where; nothing of it is read.
        pool_size: processes for a whole phase; 0 where the engine spreads the tasks itself.
        overwrite: delete this stage's output first.
    """
    state = pipeline | "Start" >> beam.Create([job]) | "OpenJob" >> beam.Map(_open_state, overwrite)
    max_bytes = MAX_LOCAL_BYTES if is_local(pipeline.options) else 0
    for phase in job.stage.phases:
        exchange = exchange_of(job, phase)
        carry = RunExchange(phase, max_bytes) if exchange else None
        state = state | f"RunPhase {phase.name}" >> RunPhase(phase, pool_size, carry)
    return state | "WriteManifests" >> beam.Map(_finish)


class RunPhase(beam.PTransform):  # type: ignore[misc]
    """Plan the tasks of one phase, run them, and add their records to the state."""

    def __init__(self, phase: AnyPhase, pool_size: int, exchange: RunExchange | None) -> None:
        super().__init__()
        self._phase, self._pool_size, self._exchange = phase, pool_size, exchange

    def expand(self, state: Any) -> Any:
        """Return the state after the phase; the side input makes the next phase wait for it."""
        if self._exchange is None and self._pool_size:
            return state | "RunOnPool" >> beam.Map(_run_on_pool, self._phase, self._pool_size)
        records = (
            state | "Exchange" >> self._exchange
            if self._exchange
            else state
            | "PlanTasks" >> beam.FlatMap(_plan_tasks, self._phase)
            | "Reshuffle" >> beam.Reshuffle()
            | "RunTasks" >> beam.FlatMap(_run_alone, self._phase)
        )
        return state | "AddRecords" >> beam.Map(
            _add_records, self._phase.name, beam.pvalue.AsList(records)
        )


def _open_state(job: AnyJob, overwrite: bool) -> State:
    return open_job(job, overwrite), {}


def _run_on_pool(state: State, phase: AnyPhase, pool_size: int) -> State:
    job, records = state
    tasks = plan_phase(job, phase, records)
    return _add_records(state, phase.name, list(run_tasks(job, phase, tasks, pool_size)))


def _plan_tasks(state: State, phase: AnyPhase) -> list[tuple[AnyJob, Task]]:
    job, records = state
    return [(job, task) for task in plan_phase(job, phase, records)]


def _run_alone(planned: tuple[AnyJob, Task], phase: AnyPhase) -> Iterator[Record]:
    """Run a task in a process of its own, which it may kill."""
    job, task = planned
    return run_tasks(job, phase, [task], 1)


def _add_records(state: State, phase_name: str, new: list[Record]) -> State:
    job, records = state
    ordered = sorted(new, key=lambda record: record["index"])
    return job, {**records, phase_name: ordered}


def _finish(state: State) -> dict[str, Any]:
    return finish_job(*state)


def _cause_of(error: RuntimeError) -> BaseException:
    """Return what stopped a task, which some runners pass on as the text of a RuntimeError."""
    system = re.search(r"^\w+: \[Errno (\d+)\] (.*)$", str(error), re.M)
    if system is not None:
        return OSError(int(system[1]), system[2])
    if str(error).startswith("KeyboardInterrupt"):
        return KeyboardInterrupt()
    found = re.search(r"^schemas\.errors\.(\w+): (.*?)(?: \[while running|$)", str(error), re.M)
    if found is None:
        return error
    error_class: type[LinkBertError] = getattr(errors, found[1])
    return error_class(found[2])


def pipeline_options(beam_args: Sequence[str]) -> PipelineOptions:
    """Return Beam's options with the local runner named and its unsafe mode refused.

    Plain DirectRunner becomes another runner where it finds a network, so it is never left open.

    Raises:
        ConfigError: `multi_threading`, which loses elements without an error.
    """
    options = PipelineOptions(list(beam_args))
    if _runner(options) in (None, "DirectRunner"):
        options = PipelineOptions([f"--runner={_LOCAL_RUNNER}", *_without_runner(beam_args)])
    mode = options.view_as(DirectOptions).direct_running_mode
    if mode == "multi_threading":
        raise ConfigError(
            "expected --direct_running_mode in_memory or multi_processing, found multi_threading, "
            "which loses elements without an error: leave it out, --workers uses all cores"
        )
    if mode == "multi_processing":
        _disarm_timed_flush()
    setup = options.view_as(SetupOptions)
    if setup.save_main_session is None:
        # Beam would pickle the caller's globals for Dataflow; all there is lives in modules.
        setup.save_main_session = False
    debug = options.view_as(DebugOptions)
    if debug.number_of_worker_harness_threads is None:
        # A task computes; a second one in the same process would only double its memory.
        debug.number_of_worker_harness_threads = 1
    return options


def _check_for_dataflow(job: AnyJob, options: PipelineOptions) -> None:
    """Refuse what would only fail on the workers, minutes later.

    Raises:
        ConfigError: a path that no worker sees, or no word on how workers get this package.
    """
    for path in (job.root, *job.sources):
        if not files.is_remote(path):
            raise ConfigError(
                f"expected paths that Dataflow's workers can open, found {path}: "
                "copy it to a bucket and name it as gs://BUCKET/..."
            )
    setup = options.view_as(SetupOptions).setup_file
    if not setup and not options.view_as(WorkerOptions).sdk_container_image:
        raise ConfigError(
            "expected --setup_file=./setup.py or --sdk_container_image=IMAGE, found neither: "
            "without one of them the workers do not have this package"
        )


def _early_ending(options: PipelineOptions) -> str:
    """Say how it ends where Beam does not run the job to its end, and have Beam not wait for it."""
    standard = options.view_as(StandardOptions)
    if options.view_as(TestOptions).dry_run:
        return "built, not submitted"
    if template := options.view_as(GoogleCloudOptions).template_location:
        standard.no_wait_until_finish = True
        return f"template written to {template}"
    return "submitted" if standard.no_wait_until_finish else ""


def _without_runner(beam_args: Sequence[str]) -> list[str]:
    return [arg for arg in beam_args if not arg.startswith("--runner")]


def _is_single_process(options: PipelineOptions) -> bool:
    mode = options.view_as(DirectOptions).direct_running_mode
    return is_local(options) and bool(mode == "in_memory")


def _disarm_timed_flush() -> None:
    """Turn off the timer that flushes a worker's output buffer without a lock (Beam 2.77)."""
    from apache_beam.runners.portability.fn_api_runner import worker_handlers

    if hasattr(worker_handlers, "DATA_BUFFER_TIME_LIMIT_MS"):
        worker_handlers.DATA_BUFFER_TIME_LIMIT_MS = 0
