"""Worker processes that may die: each runs one task at a time, a dead one's task runs again.

Beam's local runner either uses one core, hangs when a worker process dies, or loses elements in
its threads, and it deals tasks out by count. So the step that runs tasks brings its own processes:
the next free one takes the next task, a killed one is replaced within a moment, and a task that
kills its worker twice is set aside while the rest finishes.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from pipeline.stage import Job, Phase, Record, Task, run_task
from schemas.errors import StageError
from schemas.progress import Progress

logger = logging.getLogger(__name__)

_MAX_DEATHS_PER_TASK = 2
_OBJECTS_BETWEEN_COLLECTIONS = 200_000


@dataclass(slots=True)
class _Worker:
    """One process, the pipe to it, and the task it is on."""

    process: BaseProcess
    connection: Connection
    task: Task | None = None


def warm_up(phase: Phase) -> None:
    """Begin to load what runs a phase in a process that worker processes are forked from.

    It takes a quarter of a second, which may pass while this process loads Beam.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([phase.run.__module__])
    forkserver.ensure_running()


def run_tasks(job: Job, phase: Phase, tasks: list[Task], num_workers: int) -> Iterator[Record]:
    """Run the tasks of one phase on worker processes; yield each record as it ends.

    Raises:
        StageError: a task killed its worker twice, after all others have ended; or a file cannot be
            read or written.
        Exception: whatever a task raised, at once.
    """
    pool = _Pool(job, phase, min(num_workers, len(tasks)))
    try:
        yield from pool.run(tasks)
    finally:
        pool.kill()


class _Pool:
    """The processes of one phase."""

    def __init__(self, job: Job, phase: Phase, num_workers: int) -> None:
        self._job, self._phase = job, phase
        warm_up(phase)
        self._context = multiprocessing.get_context("forkserver")
        self._workers = [self._start() for _ in range(num_workers)]

    def run(self, tasks: list[Task]) -> Iterator[Record]:
        # Heavy tasks first: the last to end is then a light one.
        waiting = deque(sorted(tasks, key=lambda task: (-task.weight, task.index)))
        deaths: dict[int, int] = {}
        killers: list[Task] = []
        progress = Progress(
            f"{self._job.stage.name} {self._phase.name}",
            sum(task.weight for task in tasks),
            self._phase.unit,
        )
        while waiting or any(worker.task for worker in self._workers):
            self._hand_out(waiting)
            for worker in self._ready():
                task = worker.task
                assert task is not None
                answer = _receive(worker.connection)
                worker.task = None
                if answer is None:
                    self._replace(worker)
                    deaths[task.index] = deaths.get(task.index, 0) + 1
                    fatal = deaths[task.index] >= _MAX_DEATHS_PER_TASK
                    (killers if fatal else waiting).append(task)
                    logger.warning("a worker died on task %d of %s", task.index, self._phase.name)
                elif isinstance(answer, OSError):
                    raise StageError(_disk_message(self._job, self._phase, answer)) from answer
                elif isinstance(answer, BaseException):
                    raise answer
                else:
                    progress.advance(task.weight)
                    yield answer
        progress.close()
        if killers:
            raise StageError(_killers_message(self._job, self._phase, killers))

    def kill(self) -> None:
        """End every process at once; what it was writing never got its name."""
        for worker in self._workers:
            worker.process.kill()
            worker.connection.close()
        for worker in self._workers:
            worker.process.join()

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_serve, args=(theirs, self._job, self._phase), daemon=True
        )
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _replace(self, worker: _Worker) -> None:
        worker.process.join()
        worker.connection.close()
        fresh = self._start()
        worker.process, worker.connection = fresh.process, fresh.connection

    def _hand_out(self, waiting: deque[Task]) -> None:
        for worker in self._workers:
            if worker.task is None and waiting:
                worker.task = waiting.popleft()
                # A process that died idle refuses the task; the closed pipe shows at once below.
                with suppress(BrokenPipeError, ConnectionError):
                    worker.connection.send(worker.task)

    def _ready(self) -> list[_Worker]:
        busy = {worker.connection: worker for worker in self._workers if worker.task is not None}
        return [busy[connection] for connection in wait(list(busy)) if connection in busy]


def _serve(connection: Connection, job: Job, phase: Phase) -> None:
    """Run tasks until the pipe closes; leave when the parent does, even in mid-task."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    # A task makes many objects and hardly a cycle: to look for some so often would take a tenth.
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            answer: Record | BaseException = run_task(job, phase, task)
        except Exception as error:
            error.add_note(f"in task {task.index} of {job.stage.name} {phase.name}: {task.args}")
            answer = error
        connection.send(answer)


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _receive(connection: Connection) -> Any:
    """Return the worker's answer, None when the process died."""
    try:
        return connection.recv()
    except (EOFError, ConnectionError):
        return None


def _disk_message(job: Job, phase: Phase, error: OSError) -> str:
    # Said here because Beam cannot copy an OSError and would keep nothing of it but its last line.
    return (
        f"expected {job.stage.name} {phase.name} to read its input and to write into {job.root}, "
        f"found {error}: check the path, the rights and the space left; the same command goes on "
        "from here"
    )


def _killers_message(job: Job, phase: Phase, killers: list[Task]) -> str:
    described = "; ".join(f"task {task.index} {task.args}" for task in killers)
    return (
        f"expected every task of {job.stage.name} {phase.name} to end, found {len(killers)} that "
        f"killed their worker {_MAX_DEATHS_PER_TASK} times, out of memory perhaps ({described}): "
        "the others are done; run the same command again with fewer --workers"
    )
