"""The arguments of a Flex template's launcher become those of a command."""

import pytest

from pipeline.dataflow.launch import command_line
from schemas.errors import ConfigError


def test_options_of_beam_follow_the_arguments_of_the_command() -> None:
    given = ["--runner=DataflowRunner", "--command=parse 'gs://b/a b.xml' --out gs://b/c", "--x=1"]
    wanted = ["parse", "gs://b/a b.xml", "--out", "gs://b/c", "--", "--runner=DataflowRunner"]
    assert command_line(given) == [*wanted, "--x=1"]


@pytest.mark.parametrize(
    "given",
    [
        ["--command=pretrain gs://b/shards"],
        ["--command=graph gs://b/corpus -- --runner=DirectRunner"],
        ["--command="],
        ["--runner=DataflowRunner"],
    ],
)
def test_what_is_no_stage_of_beam_is_refused(given: list[str]) -> None:
    with pytest.raises(ConfigError, match="expected --command="):
        command_line(given)
