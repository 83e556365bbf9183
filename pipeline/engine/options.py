"""Beam's options for a job: safe defaults, and a word at once where an engine is not there."""

from __future__ import annotations

import os
import socket
import uuid
from argparse import ArgumentParser
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NoReturn
from urllib.parse import urlsplit

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import (
    DebugOptions,
    DirectOptions,
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    PrismRunnerOptions,
    SetupOptions,
    StandardOptions,
    TestOptions,
    WorkerOptions,
)
from apache_beam.version import __version__ as beam_version

from pipeline.engine import flink
from pipeline.engine.stage import AnyJob
from pipeline.storage import files
from schemas.errors import ConfigError

LOCAL_RUNNER = "FnApiRunner"
DATAFLOW, FLINK, PRISM = "DataflowRunner", "FlinkRunner", "PrismRunner"

_ANSWER_SECONDS = 5.0
_EMBEDDED = "embed"


def job_options(job: AnyJob, beam_args: Sequence[str]) -> PipelineOptions:
    """Return Beam's options for a job; those of its file systems hold from now on.

    Raises:
        ConfigError: they are unsafe, or do not fit the job, or name an engine that is not there.
    """
    options = pipeline_options(beam_args)
    runner = runner_of(options)
    if runner == DATAFLOW:
        _check_for_dataflow(job, options)
    elif runner == PRISM:
        _check_prism(options)
        _check_endpoint(options)
    elif runner == FLINK:
        _check_flink(options)
    elif runner == "PortableRunner":
        _check_endpoint(options)
    google = options.view_as(GoogleCloudOptions)
    if not google.job_name:
        google.job_name = f"linkbert-{job.stage.name}-{uuid.uuid4().hex[:8]}"
    FileSystems.set_options(options)
    return options


def pipeline_options(beam_args: Sequence[str]) -> PipelineOptions:
    """Return Beam's options with the local runner named and its unsafe mode refused.

    Plain DirectRunner becomes another runner where it finds a network, so it is never left open.

    Raises:
        ConfigError: `multi_threading`, which loses elements without an error; or an unknown option.
    """
    unknown = _unknown_words(beam_args)
    options = PipelineOptions(list(beam_args))
    if runner_of(options) in (None, "DirectRunner"):
        own = [arg for arg in beam_args if not arg.startswith("--runner")]
        options = PipelineOptions([f"--runner={LOCAL_RUNNER}", *own])
    if unknown and is_local(options):  # another engine may have options of its own
        _refuse(unknown[0])
    mode = options.view_as(DirectOptions).direct_running_mode
    if mode == "multi_threading":
        raise ConfigError(
            "expected --direct_running_mode in_memory or multi_processing, found multi_threading, "
            "which loses elements without an error: leave it out, --workers uses all cores"
        )
    if mode == "multi_processing":
        _disarm_timed_flush()
    setup = options.view_as(SetupOptions)
    if setup.save_main_session is None:
        # Beam would pickle the caller's globals for Dataflow; all there is lives in modules.
        setup.save_main_session = False
    debug = options.view_as(DebugOptions)
    if debug.number_of_worker_harness_threads is None:
        # A task computes; a second one in the same process would only double its memory.
        debug.number_of_worker_harness_threads = 1
    return options


def _beam_parser() -> ArgumentParser:
    """Return the parser of all options that Beam has in this process."""
    found: list[ArgumentParser] = []
    PipelineOptions([]).get_all_options(add_extra_args_fn=found.append)
    return found[0]


def _unknown_words(beam_args: Sequence[str]) -> list[str]:
    """Return the words that are not options of Beam here.

    Raises:
        ConfigError: an option has a value that it cannot have.
    """

    def refuse(message: str) -> NoReturn:
        raise ConfigError(
            f"expected options of Beam after `--`, found one with a fault ({message}): change it"
        )

    parser = _beam_parser()
    parser.error = refuse  # type: ignore[method-assign]
    return parser.parse_known_args(list(beam_args))[1]


def _refuse(word: str) -> NoReturn:
    near = get_close_matches(word.split("=")[0], list(_beam_parser()._option_string_actions), 1)
    hint = f"did you mean {near[0]}? " if near else "change it; "
    raise ConfigError(
        f"expected options of Beam after `--`, found {word}: {hint}options of linkbert stand before"
    )


def runner_of(options: PipelineOptions) -> str | None:
    """Return the name of the runner."""
    name: str | None = options.view_as(StandardOptions).runner
    return name


def is_local(options: PipelineOptions) -> bool:
    """Tell whether Beam runs the job on this machine, with its own runner."""
    return runner_of(options) == LOCAL_RUNNER


def is_single_process(options: PipelineOptions) -> bool:
    """Tell whether Beam itself works in this process alone, so that tasks go to a pool."""
    mode = options.view_as(DirectOptions).direct_running_mode
    return is_local(options) and bool(mode == "in_memory")


def is_only_built(options: PipelineOptions) -> bool:
    """Tell whether the job is built here and opened elsewhere, if at all."""
    template = options.view_as(GoogleCloudOptions).template_location
    return bool(options.view_as(TestOptions).dry_run or template)


def early_ending(options: PipelineOptions) -> str:
    """Say how it ends where Beam does not run the job to its end, and have Beam not wait for it."""
    standard = options.view_as(StandardOptions)
    if options.view_as(TestOptions).dry_run:
        return "built, not submitted"
    if template := options.view_as(GoogleCloudOptions).template_location:
        standard.no_wait_until_finish = True
        return f"template written to {template}"
    return "submitted" if standard.no_wait_until_finish else ""


def flink_master(options: PipelineOptions) -> str:
    """Return the address of Flink's REST interface, empty where there is none to ask."""
    master: str | None = options.view_as(FlinkRunnerOptions).flink_master
    if runner_of(options) != FLINK or not master or master.startswith("["):
        return ""
    return master if "://" in master else f"http://{master}"


def _check_flink(options: PipelineOptions) -> None:
    jar: str | None = options.view_as(FlinkRunnerOptions).flink_job_server_jar
    if jar and "://" not in jar and not os.path.isfile(jar):
        raise ConfigError(
            f"expected Beam's runner for Flink as a jar, found no file {jar}: download "
            "beam-runners-flink-1.19-job-server of your Beam's version from Maven Central, or "
            "leave --flink_job_server_jar out and Beam downloads it"
        )
    if flink_master(options):
        flink.overview(flink_master(options))


def _check_prism(options: PipelineOptions) -> None:
    path: str | None = options.view_as(PrismRunnerOptions).prism_location
    if path and "://" not in path and not os.path.isfile(path):
        raise ConfigError(
            f"expected the Prism runner as a program, found no file {path}: build it with `go "
            f"install github.com/apache/beam/sdks/v2/go/cmd/prism@v{beam_version}`, or leave "
            "--prism_location out and Beam downloads it"
        )


def ends_with_this_process(options: PipelineOptions) -> bool:
    """Tell whether the engine does: Beam's job service in it, or a Prism that Beam started."""
    endpoint: str | None = options.view_as(PortableOptions).job_endpoint
    return endpoint == _EMBEDDED or (runner_of(options) == PRISM and not endpoint)


def _check_endpoint(options: PipelineOptions) -> None:
    endpoint: str | None = options.view_as(PortableOptions).job_endpoint
    if not endpoint or endpoint == _EMBEDDED:
        return
    place = urlsplit(f"//{endpoint}")
    try:
        socket.create_connection((place.hostname, place.port), _ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"expected a job service of Beam at {endpoint}, found {error}: start it, or name "
            "another with --job_endpoint"
        ) from error


def _check_for_dataflow(job: AnyJob, options: PipelineOptions) -> None:
    """Refuse what would only fail on the workers, minutes later.

    Raises:
        ConfigError: a path that no worker sees, or no word on how workers get this package.
    """
    for path in (job.root, *job.sources):
        if not files.is_remote(path):
            raise ConfigError(
                f"expected paths that Dataflow's workers can open, found {path}: "
                "copy it to a bucket and name it as gs://BUCKET/..."
            )
    setup = options.view_as(SetupOptions).setup_file
    if not setup and not options.view_as(WorkerOptions).sdk_container_image:
        raise ConfigError(
            "expected --setup_file=./setup.py or --sdk_container_image=IMAGE, found neither: "
            "without one of them the workers do not have this package"
        )


def _disarm_timed_flush() -> None:
    """Turn off the timer that flushes a worker's output buffer without a lock (Beam 2.77)."""
    from apache_beam.runners.portability.fn_api_runner import worker_handlers

    if hasattr(worker_handlers, "DATA_BUFFER_TIME_LIMIT_MS"):
        worker_handlers.DATA_BUFFER_TIME_LIMIT_MS = 0
