"""A command's options are its stage's config: name, type, default, choices and help."""

import argparse
from dataclasses import dataclass, field, fields
from pathlib import Path

import pytest

from linkbert.cli.commands import _COMMANDS
from linkbert.cli.fields import add_fields, config_of
from linkbert.cli.options import build_parser
from linkbert.evaluation.config import EvaluationOptions
from linkbert.finetuning.options import FinetuneOptions
from pipeline.graph.config import SubsetConfig
from pipeline.ingest.config import IngestConfig
from pipeline.parse.config import ParseConfig
from pipeline.sample.config import SampleConfig
from pipeline.segment.config import SegmentConfig
from pipeline.tokenizer.config import TokenizerConfig
from schemas.errors import ConfigError


@dataclass(frozen=True)
class Config:
    kind: str = field(default="a", metadata={"help": "which", "choices": ("a", "b")})
    num_parts: int = field(default=3, metadata={"help": "how many"})
    shares: tuple[float, float] = field(
        default=(1.0, 2.0), metadata={"help": "of each", "metavar": "SHARE"}
    )
    names: tuple[str, ...] = field(default=(), metadata={"help": "any"})
    language: str | None = field(default=None, metadata={"help": "its code"})
    is_strict: bool = field(default=False, metadata={"help": "refuse more"})
    inner: int = 5


def parser_of(**given: tuple[str, ...]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    add_fields(parser, Config, **given)
    return parser


def test_what_nobody_gives_is_the_config_as_it_stands() -> None:
    assert config_of(Config, parser_of().parse_args([])) == Config()


def test_each_type_is_read_as_its_field_says() -> None:
    argv = [
        "--kind",
        "b",
        "--num-parts",
        "7",
        "--shares",
        "0.5",
        "1",
        "--names",
        "x",
        "y",
        "--language",
        "ltg",
        "--is-strict",
    ]
    expected = Config("b", 7, (0.5, 1.0), ("x", "y"), "ltg", True)
    assert config_of(Config, parser_of().parse_args(argv)) == expected
    assert config_of(Config, parser_of().parse_args(argv), inner=6).inner == 6


@pytest.mark.parametrize(
    "argv", [["--kind", "c"], ["--num-parts", "x"], ["--shares", "1"], ["--inner", "4"]]
)
def test_what_no_field_takes_is_wrong_usage(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        parser_of().parse_args(argv)
    assert stop.value.code == 2
    assert argv[0] in capsys.readouterr().err


def test_a_command_may_require_a_field_and_leave_one_out() -> None:
    parser = parser_of(required=("kind",), left_out=("shares",))
    found = {action.dest: action for action in parser._actions}
    assert found["kind"].required
    assert "shares" not in found


@pytest.mark.parametrize(
    ("command", "config_class"),
    [
        ("parse", ParseConfig), ("ingest", IngestConfig), ("subset", SubsetConfig),
        ("tokenizer", TokenizerConfig), ("segment", SegmentConfig), ("sample", SampleConfig),
        ("run", ParseConfig), ("run", SampleConfig), ("finetune", FinetuneOptions),
        ("evaluate", EvaluationOptions),
    ],
)  # fmt: skip
def test_each_option_of_a_stage_has_the_default_of_its_field(
    command: str, config_class: type
) -> None:
    assert command in _COMMANDS
    [commands] = [a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction)]
    actions = {action.dest: action for action in commands.choices[command]._actions}
    told = [each for each in fields(config_class) if "help" in each.metadata]
    assert told
    for each in told:
        action = actions[each.name]
        # The two whose default depends on the kind of task.
        own = config_class is FinetuneOptions and each.name in ("seeds", "max_length")
        if not (action.required or own):
            default = list(each.default) if isinstance(each.default, tuple) else each.default
            assert action.default == default, each.name


def test_an_option_may_name_a_file_whose_text_the_field_is(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_fields(parser, ParseConfig)
    rules = tmp_path / "rules.toml"
    text = '[[text]]\nnames = ["Ж"]\ntext = "{1}"\n'
    given = parser.parse_args(["--templates", str(rules)])
    for encoding in ("utf-8", "utf-8-sig"):
        rules.write_text(text, encoding=encoding)
        assert config_of(ParseConfig, given).templates == text
    assert config_of(ParseConfig, parser.parse_args([])).templates == ""
    for path in (tmp_path, tmp_path / "none.toml"):
        with pytest.raises(ConfigError, match="expected a text file"):
            config_of(ParseConfig, parser.parse_args(["--templates", str(path)]))
