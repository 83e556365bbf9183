"""A stage of two phases on numbers, small enough to see through, for tests of the machinery."""

import errno
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.engine.outputs import part_name, part_writer, sum_counts, write_folder_manifest
from pipeline.engine.stage import Job, Phase, Record, Records, Stage, Task
from pipeline.storage import files
from schemas.errors import DumpError


@dataclass(frozen=True, slots=True)
class CountingConfig:
    """How many tasks and what they do; `trouble_dir` is where tasks look for trouble to make."""

    num_tasks: int = 5
    rows_per_task: int = 3
    trouble_dir: str = ""


def counting_job(root: Path | str, **config: object) -> Job[CountingConfig]:
    return Job(COUNTING, str(root), CountingConfig(**config))  # type: ignore[arg-type]


def tasks_of_square(job: Job[CountingConfig], records: Records) -> list[Task]:
    return [Task(index, {"start": index}, index + 1) for index in range(job.config.num_tasks)]


def run_square(job: Job[CountingConfig], task: Task) -> Record:
    _make_trouble(job.config.trouble_dir, task.index)
    start = task.args["start"] * job.config.rows_per_task
    rows = range(start, start + job.config.rows_per_task)
    with part_writer(job, "edges", task.index) as writer:
        if Path(job.config.trouble_dir or "/none", f"die-writing-{task.index}").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        writer.write(
            {
                "source_id": list(rows),
                "target_id": [row * row for row in rows],
                "num_mentions": [1] * len(rows),
            }
        )
    if Path(job.config.trouble_dir or "/none", f"tell-{task.index}").exists():
        Path(job.config.trouble_dir, f"modules-{task.index}").write_text("\n".join(sys.modules))
    return {
        "counts": {"rows": len(rows)},
        "files": {f"edges/{part_name(task.index)}": len(rows)},
    }


def tasks_of_total(job: Job[CountingConfig], records: Records) -> list[Task]:
    return [Task(0, {"rows": sum_counts(records["square"])["rows"]})]


def run_total(job: Job[CountingConfig], task: Task) -> Record:
    files.write_json(job.path("totals", "total.json"), task.args)
    return {"counts": {}, "files": {"totals/total.json": 0}}


def finish(job: Job[CountingConfig], records: Records) -> dict[str, Any]:
    rows = sum_counts(records["square"])["rows"]
    write_folder_manifest(job, "edges", records["square"], table="edges", rows_in=rows)
    write_folder_manifest(job, "totals", records["total"])
    return {"rows": rows}


def fingerprint(job: Job[CountingConfig]) -> dict[str, str]:
    return {}


def wait_for(*paths: Path) -> None:
    """Wait until some files are there."""
    for _ in range(20_000):
        if all(path.exists() for path in paths):
            return
        time.sleep(0.02)
    raise TimeoutError(f"expected {paths} in time, found {[path.exists() for path in paths]}")


def _make_trouble(trouble_dir: str, index: int) -> None:
    """Do what a file in the folder asks of task N; leave `begun-N` there unless it is to die.

    Such files are `tell-N` (which modules are loaded), `die-N`, `die-once-N`, `interrupt-N`,
    `sleep-N`, `raise-N` and `full-N`.
    """
    if not trouble_dir:
        return
    once = Path(trouble_dir, f"die-once-{index}")
    if once.exists():
        once.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    if Path(trouble_dir, f"die-{index}").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    Path(trouble_dir, f"begun-{index}").touch()
    if Path(trouble_dir, f"interrupt-{index}").exists():
        os.kill(os.getpid(), signal.SIGINT)
    if Path(trouble_dir, f"sleep-{index}").exists():
        aside = Path(trouble_dir, "falling-asleep")
        aside.write_text(str(os.getpid()))
        aside.rename(Path(trouble_dir, "sleeping"))  # whole or not there: others wait for it
        time.sleep(20)
    if Path(trouble_dir, f"raise-{index}").exists():
        raise DumpError(f"expected a calm task, found trouble in task {index}: remove it")
    if Path(trouble_dir, f"full-{index}").exists():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


COUNTING = Stage(
    name="counting",
    phases=(
        Phase("square", tasks_of_square, run_square),
        Phase("total", tasks_of_total, run_total),
    ),
    outputs=("edges", "totals"),
    fingerprint_inputs=fingerprint,
    finish=finish,
)


def tree_bytes(root: Path) -> dict[str, bytes]:
    """Return every output file of a folder by relative path, state and lock left out."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "_state" not in path.relative_to(root).parts
    }


def read_json(path: Path) -> Any:
    return json.loads(path.read_bytes())
