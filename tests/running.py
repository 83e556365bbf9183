"""Run the tasks of a stage in this process, one by one: what every runner must equal."""

import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pipeline.engine.lifecycle import finish_job, open_job, run_task, tasks_of_phase
from pipeline.engine.run import run_here
from pipeline.engine.stage import AnyJob, AnyPhase, Job, Records
from pipeline.tokenizer.config import TokenizerConfig, TokenizerSources
from pipeline.tokenizer.stage import TOKENIZER


def run_inline(job: AnyJob, overwrite: bool = False) -> dict[str, Any]:
    """Open, run and finish a job; return its summary."""
    if not any(_is_exchanged(job, phase) for phase in job.phases()):
        return run_here(job, overwrite)
    opened = open_job(job, overwrite)
    records = opened.no_records()
    for phase in opened.phases():
        if _is_exchanged(opened, phase):
            _exchange_inline(opened, phase, records)
        tasks = tasks_of_phase(opened, phase, records)
        records[phase.name] = [run_task(opened, phase, task) for task in tasks]
    return finish_job(opened, records)


def _is_exchanged(job: AnyJob, phase: AnyPhase) -> bool:
    return phase.exchange is not None and phase.exchange.is_used(job)


def _exchange_inline(job: AnyJob, phase: AnyPhase, records: Records) -> None:
    """Run the tasks of a phase on batches sent in this process; their records stay on disk."""
    # Beam comes with it, which most children that run a job have no need of.
    from pipeline.engine.exchange import receive, send, tasks_of_exchange

    sent: dict[int, list[bytes]] = {}
    for listed in tasks_of_exchange((job, records), phase):
        for index, batch in send(listed.value) if listed.tag == "tasks" else ():
            sent.setdefault(index, []).append(batch)
    tasks = phase.tasks(job, records)
    for index, batches in sent.items():
        receive(job, phase, tasks[index], reversed(batches))


def tokenizer_job(corpora: Sequence[str], config: TokenizerConfig, taken_from: str = "") -> Job:
    """Return the job that writes the tokenizer of the first corpus: trained, or taken."""
    config = replace(config, is_taken=bool(taken_from))
    sources = TokenizerSources(tuple(corpora), taken_from or None)
    return Job(TOKENIZER, corpora[0], config, sources.paths())


def wait_until_served(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a process answers at a port of this machine."""
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"expected a server, found that it ended with {process.returncode}")


DEMO_STEPS = ["--set", "max_steps=12", "--set", "validation_instances=200"]
"""Options of a demo that tests can wait for."""
