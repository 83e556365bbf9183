"""Every command's parser: its example, its frozen options, and numbers out of range."""

import argparse
import json

import pytest

from linkbert.cli.commands import _COMMANDS, main
from linkbert.cli.options import build_parser
from tests.conftest import REPOSITORY

EVERYWHERE = {"--quiet", "--json", "--debug", "--help", "-h"}


def subcommands() -> dict[str, argparse.ArgumentParser]:
    [action] = [
        action
        for action in build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    ]
    return dict(action.choices)


@pytest.mark.parametrize("name", sorted(_COMMANDS))
def test_each_example_parses(name: str) -> None:
    parser = subcommands()[name]
    assert parser.epilog is not None
    build_parser().parse_args(parser.epilog.removeprefix("example: linkbert ").split())


def test_the_options_are_these() -> None:
    """Others rely on them: adding one is a decision, renaming one breaks somebody's script."""
    found = {
        name: sorted(
            {
                option
                for action in parser._actions
                for option in (action.option_strings or [action.dest])
            }
            - EVERYWHERE
        )
        for name, parser in subcommands().items()
    }
    frozen = json.loads((REPOSITORY / "tests/data/options.json").read_text())
    assert found == frozen


def test_every_argument_says_what_it_is() -> None:
    silent = [
        (name, action.dest)
        for name, parser in subcommands().items()
        for action in parser._actions
        if not action.help
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--seed", "12345678901234567890123"), ("--seed", "-1"), ("--seed", "٣"),
        ("--workers", "-2"), ("--workers", "two"),
    ],
)  # fmt: skip
def test_a_number_out_of_its_range_is_wrong_usage(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["sample", "corpus", "--out", "shards", f"{option}={value}"])
    assert stop.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"argument {option}: expected a whole number from 0 to" in last
    assert repr(value) in last
