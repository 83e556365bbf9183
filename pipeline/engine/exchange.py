"""Run a phase whose tasks get their data through Beam: batches keyed by task, grouped by key.

    list ──▶ senders ──Reshuffle──▶ SendBatches ──▶ (task, bytes) ──GroupByKey──▶ ReceiveBatches

What moves is payload, so this is for runners that hold it on their disks. Beam's local runner keeps
all of it in memory, several times over, and loses batches above about 2 GB in its parallel mode:
there it is refused above a bound. A task that is done gets no batches on a resume.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam

from pipeline.engine.lifecycle import done_record, run_task, tasks_of_phase
from pipeline.engine.stage import AnyJob, AnyPhase, Exchange, Record, Records, Task
from schemas.errors import StageError

MAX_LOCAL_BYTES = 1 << 30
"""What Beam's local runner may carry at once; it takes three to seven times as much memory."""

State = tuple[AnyJob, Records]


def exchange_of(job: AnyJob, phase: AnyPhase) -> Exchange[Any] | None:
    """Return the exchange of a phase, if this job goes that way."""
    return phase.exchange if phase.exchange and phase.exchange.is_used(job) else None


def group_and_run(senders: Any, state: Any, phase: AnyPhase) -> Any:
    """Send batches, group them by task, and run each task on its own; return the records.

    Args:
        senders: what `tasks_of_exchange` yields as `tasks`, dealt out.
        state: the collection of the one state.
        phase: one with an exchange.
    """
    return (
        senders
        | "SendBatches" >> beam.FlatMap(send).with_output_types(tuple[int, bytes])
        | "GroupByTask" >> beam.GroupByKey()
        | "ReceiveBatches" >> beam.Map(_receive, phase, beam.pvalue.AsSingleton(state))
    )


def tasks_of_exchange(state: State, phase: AnyPhase, max_bytes: int = 0) -> Iterator[Any]:
    """Yield, as `tasks`, the senders if any task needs them; as `done`, records that are there.

    Raises:
        StageError: more than `max_bytes` would be sent.
    """
    job, records = state
    assert phase.exchange is not None, phase.name
    tasks = tasks_of_phase(job, phase, records)
    done = [done_record(job, phase, task) for task in tasks]
    yield from (beam.pvalue.TaggedOutput("done", record) for record in done if record is not None)
    needed = frozenset(
        task.index for task, record in zip(tasks, done, strict=True) if record is None
    )
    if not needed:
        return
    senders = phase.exchange.tasks(job, records)
    num_bytes = sum(sender.weight for sender in senders)
    if max_bytes and num_bytes > max_bytes:
        raise StageError(
            f"expected at most {max_bytes:,} bytes to go through the local runner's memory, found "
            f"{num_bytes:,} to join in {job.root}: use --join gather, which reads files instead"
        )
    yield from (
        beam.pvalue.TaggedOutput("tasks", (job, phase, sender, needed)) for sender in senders
    )


def send(sender: tuple[AnyJob, AnyPhase, Task, frozenset[int]]) -> Iterator[tuple[int, bytes]]:
    """Yield the batches of one sender for the tasks that need them."""
    job, phase, task, needed = sender
    assert phase.exchange is not None, phase.name
    return (batch for batch in phase.exchange.send(job, task) if batch[0] in needed)


def receive(job: AnyJob, phase: AnyPhase, task: Task, batches: Iterable[bytes]) -> Record:
    """Run one task on what was sent to it; return its record."""
    exchange = phase.exchange
    assert exchange is not None, phase.name
    return run_task(job, phase, task, lambda job, task: exchange.receive(job, task, batches))


def _receive(sent: tuple[int, Iterable[bytes]], phase: AnyPhase, state: State) -> Record:
    index, batches = sent
    job, records = state
    return receive(job, phase, phase.tasks(job, records)[index], batches)
