"""The help fits a screen and shows each default; wrong usage is one line; shells complete."""

import re
import subprocess
from pathlib import Path

import pytest

from linkbert.cli.commands import _COMMANDS, main
from tests.linkbert.cli.test_options import subcommands


@pytest.mark.parametrize("name", sorted(_COMMANDS))
def test_the_help_shows_the_default_of_each_option(name: str) -> None:
    parser = subcommands()[name]
    formatter = parser._get_formatter()
    told = {
        action.dest: formatter._expand_help(action)
        for action in parser._actions
        if action.option_strings and not action.required and action.dest != "help"
    }
    assert [n for n, text in told.items() if not re.search(r"\b(default|else)\b", text)] == []
    assert not re.search(r"default: (None|False|\[|\))", "".join(told.values()))


def test_the_help_fits_a_screen_with_a_line_a_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 80
    assert {line.split()[0] for line in lines if line.startswith("  ")} == set(_COMMANDS)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_shell_completes_commands_and_options(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("shtab", reason="the extra completion is not installed")
    with pytest.raises(SystemExit) as stop:
        main(["--completion", shell])
    assert stop.value.code == 0
    script = capsys.readouterr().out
    assert all(f"{name}:" in script or f"_{name}_" in script for name in _COMMANDS)
    assert "--validation-fraction" in script
    if shell == "bash":
        (tmp_path / "completion").write_text(script)
        subprocess.run(["bash", "-n", str(tmp_path / "completion")], check=True)


def test_an_unknown_shell_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab", reason="the extra completion is not installed")
    with pytest.raises(SystemExit) as stop:
        main(["--completion", "fish-and-chips"])
    assert stop.value.code == 2
    assert "bash" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("pars dump.xml", "linkbert: expected a command, found 'pars', did you mean 'parse'?"),
        ("--nope", "linkbert: expected a command, found '--nope'"),
        ("parse d --out c --worker-count 2", "linkbert parse: unknown: --worker-count 2, did you"),
        ("show c --page", "linkbert show: argument --page: expected one argument; see `linkbert"),
    ],
)
def test_wrong_usage_is_one_line_that_names_what_was_meant(
    argv: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(argv.split())
    [line] = capsys.readouterr().err.splitlines()
    assert said in line
