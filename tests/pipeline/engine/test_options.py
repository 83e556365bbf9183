import pytest

from pipeline.engine.options import (
    early_ending,
    ends_with_this_process,
    flink_master,
    is_local,
    is_single_process,
    pipeline_options,
)
from schemas.errors import ConfigError


@pytest.mark.parametrize(
    ("args", "ends"),
    [
        (["--runner=PrismRunner"], True),
        (["--runner=PrismRunner", "--job_endpoint=localhost:8073"], False),
        (["--runner=PortableRunner", "--job_endpoint=embed"], True),
        (["--runner=PortableRunner", "--job_endpoint=localhost:8099"], False),
        (["--runner=FlinkRunner", "--flink_master=localhost:8081"], False),
    ],
)
def test_whose_end_ends_a_job(args: list[str], ends: bool) -> None:
    assert ends_with_this_process(pipeline_options(args)) == ends


@pytest.mark.parametrize(
    ("args", "address"),
    [
        (["--runner=FlinkRunner", "--flink_master=localhost:8081"], "http://localhost:8081"),
        (["--runner=FlinkRunner", "--flink_master=https://flink"], "https://flink"),
        (["--runner=FlinkRunner"], ""),
        (["--runner=PrismRunner", "--flink_master=localhost:8081"], ""),
    ],
)
def test_where_flink_is_asked(args: list[str], address: str) -> None:
    assert flink_master(pipeline_options(args)) == address


def test_tasks_go_to_a_pool_where_beam_works_in_one_process() -> None:
    for args, expected in (([], (True, True)), (["--runner=PrismRunner"], (False, False))):
        options = pipeline_options(args)
        assert (is_local(options), is_single_process(options)) == expected


def test_a_job_that_is_not_run_to_its_end_says_so() -> None:
    assert early_ending(pipeline_options(["--dry_run=True"])) == "built, not submitted"
    assert early_ending(pipeline_options(["--no_wait_until_finish"])) == "submitted"
    assert early_ending(pipeline_options([])) == ""


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--s3_endpoint=http://here"], "found --s3_endpoint=.*did you mean --s3_endpoint_url"),
        (["--workers", "4"], "found --workers: .*linkbert stand before"),
        (["-x"], "found -x"),
        (["corpus"], "found corpus"),
        (["--direct_num_workers=many"], "direct_num_workers: invalid int value: 'many'"),
        (["--runner"], "expected one argument"),
    ],
)
def test_what_the_local_runner_would_ignore_is_refused(args: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        pipeline_options(args)


def test_another_engine_may_have_options_that_are_unknown_here() -> None:
    pipeline_options(["--runner=FlinkRunner", "--an_option_of_flink=1"])
