"""Batches go to the tasks that are not done, and no more of them than memory holds."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.exchange import exchange_of, receive, send, tasks_of_exchange
from pipeline.engine.lifecycle import run_task, tasks_of_phase
from pipeline.engine.stage import Exchange, Phase, Record, Records, Task
from schemas.errors import StageError
from tests.pipeline.engine.counting_stage import (
    COUNTING,
    CountingConfig,
    Job,
    counting_job,
    run_square,
    tasks_of_square,
)


def senders(job: Job[CountingConfig], records: Records) -> list[Task]:
    return [Task(index, {}, weight=10) for index in range(2)]


def to_everyone(job: Job[CountingConfig], task: Task) -> Iterator[tuple[int, bytes]]:
    return ((index, b"%d" % task.index) for index in range(job.config.num_tasks))


def run_on(job: Job[CountingConfig], task: Task, batches: Iterable[bytes]) -> Record:
    record: Record = run_square(job, task)
    return record | {"batches": sorted(map(int, batches))}


EXCHANGE: Exchange[Any] = Exchange(
    lambda job: job.config.num_tasks > 1, senders, to_everyone, run_on
)
PHASE = Phase("square", tasks_of_square, run_square, EXCHANGE)


def job_in(root: Path, num_tasks: int = 4) -> Job[CountingConfig]:
    return replace(
        counting_job(root, num_tasks=num_tasks), stage=replace(COUNTING, phases=(PHASE,))
    )


def listed(job: Job[CountingConfig], **options: int) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {"done": [], "tasks": []}
    for each in tasks_of_exchange((job, {}), PHASE, **options):
        found[each.tag].append(each.value)
    return found


def test_only_tasks_without_a_record_are_sent_to_and_run_on_all_batches(tmp_path: Path) -> None:
    job = job_in(tmp_path)
    tasks = tasks_of_phase(job, PHASE, {})
    for task in tasks[::2]:
        run_task(job, PHASE, task)
    found = listed(job)
    assert [record["index"] for record in found["done"]] == [0, 2]
    sent = [batch for sender in found["tasks"] for batch in send(sender)]
    assert sent == [(1, b"0"), (3, b"0"), (1, b"1"), (3, b"1")]
    assert receive(job, PHASE, tasks[1], [b"1", b"0"])["batches"] == [0, 1]
    receive(job, PHASE, tasks[3], [])
    assert listed(job)["tasks"] == []


def test_more_than_may_be_held_is_refused(tmp_path: Path) -> None:
    assert len(listed(job_in(tmp_path), max_bytes=20)["tasks"]) == 2
    with pytest.raises(
        StageError, match=r"at most 19 bytes .* found 20 to join in .*--join gather"
    ):
        listed(job_in(tmp_path), max_bytes=19)


def test_a_job_decides_whether_it_goes_this_way() -> None:
    assert exchange_of(job_in(Path("x")), PHASE) is EXCHANGE
    assert exchange_of(job_in(Path("x"), num_tasks=1), PHASE) is None
    assert exchange_of(job_in(Path("x")), COUNTING.phases[0]) is None
