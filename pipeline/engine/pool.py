"""Worker processes that may die: each runs one task at a time, a dead one's task runs again.

Beam's local runner either uses one core, hangs when a worker process dies, or loses elements in
its threads, and it deals tasks out by count. So the step that runs tasks brings its own processes:
the next free one takes the next task, a killed one is replaced within a moment, and a task that
kills its worker twice is set aside while the rest finishes.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import pyarrow as pa

from pipeline.engine.lifecycle import run_task
from pipeline.engine.stage import AnyJob, AnyPhase, Record, Task
from pipeline.engine.workers import start_forkserver, without_script
from pipeline.storage import files
from schemas.errors import StageError
from schemas.progress import Progress

logger = logging.getLogger(__name__)

_MAX_DEATHS_PER_TASK = 2
_OBJECTS_BETWEEN_COLLECTIONS = 200_000
_KEPT_BYTES = 1 << 26
# Of malloc.h; see mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


@dataclass(slots=True)
class _Worker:
    """One process, the pipe to it, and the task it is on."""

    process: BaseProcess
    connection: Connection
    task: Task | None = None


def run_tasks(
    job: AnyJob, phase: AnyPhase, tasks: list[Task], num_workers: int
) -> Iterator[Record]:
    """Run the tasks of one phase on worker processes; yield each record as it ends.

    Raises:
        StageError: a task killed its worker twice, after all others have ended; or a file cannot be
            read or written.
        Exception: whatever a task raised, at once.
    """
    if not tasks:
        return
    pool = _Pool(job, phase, min(num_workers, len(tasks)))
    try:
        yield from pool.run(tasks)
    finally:
        pool.close()


class _Pool:
    """The processes of one phase."""

    def __init__(self, job: AnyJob, phase: AnyPhase, num_workers: int) -> None:
        self._job, self._phase = job, phase
        paths = [job.root, *job.sources]
        self._store_options = files.store_options(paths)
        self._context = multiprocessing.get_context("forkserver")
        # To load Beam for a store takes two CPU seconds: once, not in each worker of each phase.
        stores = ["pipeline.storage.remote"] if any(map(files.is_remote, paths)) else []
        start_forkserver(phase.run.__module__, *stores)
        self._workers: list[_Worker] = []
        for _ in range(num_workers):
            self._workers.append(self._start())

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
            for worker in self._answering():
                answer = _receive(worker.connection)
                task, worker.task = worker.task, None
                assert task is not None
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

    def close(self) -> None:
        """End every process at once; what it was writing never got its name."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        # The server that workers are forked from has the environment of when it started.
        given = (theirs, self._job, self._phase, self._store_options, dict(os.environ))
        process = self._context.Process(target=_serve, args=given, daemon=True)
        with without_script():
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

    def _answering(self) -> list[_Worker]:
        busy = {worker.connection: worker for worker in self._workers if worker.task is not None}
        return [busy[connection] for connection in wait(list(busy)) if connection in busy]


def _serve(
    connection: Connection,
    job: AnyJob,
    phase: AnyPhase,
    store_options: dict[str, Any],
    environment: dict[str, str],
) -> None:
    """Run tasks until the pipe closes; leave when the parent does, even in mid-task."""
    # Ctrl-C and the end of a terminal reach all its processes: they are for the main one, which
    # ends the others.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    os.environ.clear()
    os.environ.update(environment)
    _tune_process()
    files.use_store_options(store_options)
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


def _tune_process() -> None:
    """Save a fifth of a worker's CPU time (`tests/benchmarks/bench_workers.py`)."""
    # A task makes many objects and hardly a cycle: looking for them so often would take a tenth.
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    # It takes and frees some MB at a time: giving them back in between would take a fifteenth.
    with suppress(AttributeError):  # not glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES // 2)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
    # At its first array pyarrow imports pandas, which takes half a second and serves no task here.
    refuse = _RefusePandas()
    sys.meta_path.insert(0, refuse)
    pa.array([])
    sys.meta_path.remove(refuse)


class _RefusePandas(MetaPathFinder):
    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


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


def _disk_message(job: AnyJob, phase: AnyPhase, error: OSError) -> str:
    # Said here because Beam cannot copy an OSError and would keep nothing of it but its last line.
    return (
        f"expected `{job.stage.name}` to read its input and to write into {job.root}, found "
        f"{error} in its phase {phase.name}: check the path, the permissions and the free space; "
        "the same command goes on from here"
    )


def _killers_message(job: AnyJob, phase: AnyPhase, killers: list[Task]) -> str:
    described = "; ".join(f"task {task.index} {task.args}" for task in killers)
    return (
        f"expected every task of `{job.stage.name}` to end, found {len(killers)} of its phase "
        f"{phase.name} that killed their worker {_MAX_DEATHS_PER_TASK} times, out of memory "
        f"perhaps ({described}): the others are done; run the same command again with fewer "
        "--workers"
    )
