"""What this process does while an engine runs a job: wait, stop it, and understand its failure.

Beam's own words for a failure are hundreds of lines of traces in three languages. They go to a
file; what a person reads is the one line that says what to do.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.runners.runner import PipelineState

from pipeline.engine import flink
from pipeline.engine.claim import Claim, Note
from pipeline.engine.failures import cause_of, innermost, log_to_file
from pipeline.engine.options import (
    DATAFLOW,
    ends_with_this_process,
    flink_master,
    is_local,
    runner_of,
)
from pipeline.engine.stage import AnyJob
from pipeline.engine.stopping import Stopped, Stopping
from pipeline.storage import files
from schemas.errors import LinkBertError, StageError

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.5


class Watch:
    """What this process does while an engine runs a job, and when the job fails or is stopped."""

    def __init__(
        self, job: AnyJob, options: PipelineOptions, claim: Claim, stopping: Stopping
    ) -> None:
        self._job, self._options, self._claim, self._stopping = job, options, claim, stopping
        self._name = str(options.view_as(GoogleCloudOptions).job_name)
        self._log_path = ""
        self._flink = flink_master(options)

    def run(self, pipeline: beam.Pipeline, *, waits: bool) -> None:
        """Run a pipeline to its end, unless it is only to be handed over."""
        if is_local(self._options):
            pipeline.run().wait_until_finish()
            return
        with self._stopping.deferred():
            result = pipeline.run()
            self._claim.write(**self._job_note())
            self._claim.is_left = not waits
        if not waits:
            return
        try:
            result.wait_until_finish()
        except KeyboardInterrupt:
            self._cancel(result)

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Turn what an engine says of a failure into the line that a person needs."""
        if is_local(self._options):
            with self._causes():
                yield
            return
        self._log_path = _log_path(self._job, self._name)
        with log_to_file(self._log_path), self._causes():
            yield

    @contextmanager
    def _causes(self) -> Iterator[None]:
        try:
            yield
        except LinkBertError:
            self._say_where_the_rest_is()
            raise
        except Exception as error:
            if self._stopping.number:
                raise Stopped(number=self._stopping.number) from error
            text = str(error)
            if self._flink and "schemas.errors" not in text:
                text = flink.root_cause(self._flink, self._name) or text
            cause = cause_of(text)
            if cause is None and is_local(self._options):
                raise
            self._say_where_the_rest_is()
            raise cause or self._unknown(text) from error

    def _unknown(self, text: str) -> StageError:
        return StageError(
            f"expected {runner_of(self._options)} to run {self._job.stage.name}, found "
            f"{innermost(text)}: see {self._log_path}; the same command resumes"
        )

    def _say_where_the_rest_is(self) -> None:
        if self._log_path:
            page = f"; the job's page is {self._page()}" if self._page() else ""
            logger.error("all that the engine said is in %s%s", self._log_path, page)

    def _page(self) -> str:
        if self._flink:
            found = flink.job_named(self._flink, self._name)
            return f"{self._flink}/#/job/{found['jid']}" if found else self._flink
        if runner_of(self._options) == DATAFLOW:
            return "https://console.cloud.google.com/dataflow/jobs"
        return ""

    def _job_note(self) -> Note:
        """Return what others can do about the job when this process is gone."""
        found = flink.job_named(self._flink, self._name) if self._flink else None
        note = {"job": self._name, "stop": f"job {self._name} of {runner_of(self._options)}"}
        if found:
            page = f"{self._flink}/jobs/{found['jid']}"
            note |= {"flink": self._flink, "stop": f"curl -X PATCH {page}?mode=cancel"}
        elif runner_of(self._options) == DATAFLOW:
            note["stop"] = f"gcloud dataflow jobs cancel {self._name}"
        elif ends_with_this_process(self._options):
            del note["job"], note["stop"]
        return note

    def _cancel(self, result: Any) -> None:
        """Cancel the job on its engine and wait until the engine says that it has ended."""
        note = self._job_note()
        logger.info("stopping %s on the engine; a second Ctrl-C leaves at once", self._name)
        try:
            if self._flink:
                flink.cancel(self._flink, self._name)
            else:
                result.cancel()
            while not self._has_ended(result):
                time.sleep(_POLL_SECONDS)
        except KeyboardInterrupt:
            self._claim.is_left = "job" in note
            how = f": {note['stop']}" if "stop" in note else ""
            raise Stopped(
                f"left, and {self._name} may run on; stop it by hand{how}", self._stopping.number
            ) from None
        except Exception as error:
            if "job" in note:
                self._claim.is_left = True
                raise StageError(
                    f"expected {runner_of(self._options)} to stop {self._name}, found {error}: "
                    f"stop it by hand: {note['stop']}"
                ) from error
        raise Stopped(
            f"stopped, and {self._name} has ended; the same command resumes", self._stopping.number
        )

    def _has_ended(self, result: Any) -> bool:
        if self._flink:
            return flink.has_ended(self._flink, self._name)
        return bool(PipelineState.is_terminal(result.state))


def is_ended(note: Note) -> bool:
    """Tell whether the job of a writer's note has certainly ended."""
    return bool(note.get("flink")) and flink.has_ended(note["flink"], note["job"])


def _log_path(job: AnyJob, name: str) -> str:
    """Return the file for an engine's traces: in the output's state, or here for a store."""
    if files.is_remote(job.root):
        return os.path.abspath(f"{name}.log")
    return job.path("_state", f"{job.stage.name}-engine.log")
