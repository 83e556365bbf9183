"""What tests of the head start need in processes of their own, where nobody has loaded Beam."""

import sys
import time
from dataclasses import replace
from importlib.abc import MetaPathFinder
from pathlib import Path

from pipeline.engine.stage import Job, Record, Task
from tests.pipeline.engine.counting_stage import COUNTING, CountingConfig, run_square


def wait_for(*paths: Path) -> None:
    for _ in range(1000):
        if all(path.exists() for path in paths):
            return
        time.sleep(0.02)
    raise TimeoutError(f"expected {paths} in time, found {[path.exists() for path in paths]}")


def hold_beam(*paths: Path) -> None:
    """Let nobody in this process import Beam before some files are there."""
    assert "apache_beam" not in sys.modules
    sys.meta_path.insert(0, _HoldBeam(paths))


class _HoldBeam(MetaPathFinder):
    def __init__(self, paths: tuple[Path, ...]) -> None:
        self._paths = paths

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == "apache_beam":
            wait_for(*self._paths)


def run_square_and_tell_modules(job: Job, task: Task) -> Record:
    record = run_square(job, task)  # which makes arrays
    Path(job.config.trouble_dir, f"modules-{task.index}").write_text("\n".join(sys.modules))
    return record


def telling_job(root: str, trouble_dir: str) -> Job:
    """Return a job whose first phase leaves `modules-N`, what task N has loaded at its end."""
    square, total = COUNTING.phases
    told = replace(COUNTING, phases=(replace(square, run=run_square_and_tell_modules), total))
    return Job(told, root, CountingConfig(trouble_dir=trouble_dir))
