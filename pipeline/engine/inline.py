"""Run a stage in this process, task by task, without Beam: the same bytes, for small machines.

What an experiment needs on a machine that has neither apache_beam nor mwparserfromhell. It resumes
like any run: finished tasks leave their records.
"""

from __future__ import annotations

from typing import Any

from pipeline.engine.lifecycle import finish_job, finished_summary, open_job, plan_phase, run_task
from pipeline.engine.stage import AnyJob, Records


def run_stage(job: AnyJob, overwrite: bool = False) -> dict[str, Any]:
    """Open, run and finish a job, or only tell what it came to; return its summary.

    Raises:
        LinkBertError: the inputs, the output folder or the counts are not as they must be.
    """
    opened = open_job(job, overwrite)
    finished = finished_summary(opened)
    if finished is not None:
        return finished
    records: Records = {}
    for phase in opened.stage.phases:
        tasks = plan_phase(opened, phase, records)
        records[phase.name] = [run_task(opened, phase, task) for task in tasks]
    return finish_job(opened, records)
