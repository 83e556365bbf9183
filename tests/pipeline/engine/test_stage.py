"""A job is a stage in a folder: the phases it needs, the paths it has, its config as JSON."""

from dataclasses import dataclass, replace

from pipeline.engine.stage import Job, Phase
from tests.pipeline.engine.counting_stage import COUNTING, counting_job


def test_a_phase_that_is_not_needed_is_left_out_and_has_no_records() -> None:
    square, total = COUNTING.phases
    seldom = Phase("total", total.tasks, total.run, is_needed=lambda job: job.config.num_tasks > 5)
    stage = replace(COUNTING, phases=(square, seldom))
    few, many = (
        Job(stage, "gs://bucket/out", replace(counting_job("").config, num_tasks=number))
        for number in (5, 6)
    )
    assert (few.phases(), few.no_records()) == ([square], {"total": []})
    assert (many.phases(), many.no_records()) == ([square, seldom], {})
    assert few.state_path("total.json") == "gs://bucket/out/_state/counting/total.json"


@dataclass(frozen=True)
class Shares:
    mix: tuple[float, ...] = (1.0, 0.5)


def test_a_config_reads_as_its_json_does_after_a_restart() -> None:
    assert Job(COUNTING, "out", Shares()).config_json() == {"mix": [1.0, 0.5]}  # type: ignore[arg-type]
