"""Run the tasks of a stage in this process, one by one: what every runner must equal."""

from typing import Any

from pipeline.stage import Job, Records, finish_job, open_job, plan_phase, run_task


def run_inline(job: Job, overwrite: bool = False) -> dict[str, Any]:
    """Open, run and finish a job; return its summary."""
    opened = open_job(job, overwrite)
    records: Records = {}
    for phase in opened.stage.phases:
        tasks = plan_phase(opened, phase, records)
        records[phase.name] = [run_task(opened, phase, task) for task in tasks]
    return finish_job(opened, records)
