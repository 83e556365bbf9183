"""How the command line explains itself: its help, and what a shell completes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from linkbert.extras import missing_extra


class OneLineParser(argparse.ArgumentParser):
    """Answer what it cannot read in one line; the usage of a command is a screen of its own."""

    def error(self, message: str) -> NoReturn:
        """Print the line and end the program with status 2."""
        self.exit(2, f"{self.prog}: {message}; see `{self.prog} --help`\n")


def refuse_strange_words(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """End the program where the first word is not a command, naming the closest one."""
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    if not argv:
        parser.error("expected a command, found none")
    known = [*commands.choices, *parser._option_string_actions]
    if argv[0].partition("=")[0] not in known:
        parser.error(f"expected a command, found {argv[0]!r}{_closest(argv[0], known)}")


def refuse_strange_options(
    parser: argparse.ArgumentParser, name: str, unknown: Sequence[str]
) -> None:
    """End the program where words were left over, naming the closest option."""
    if unknown:
        commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
        command: argparse.ArgumentParser = commands.choices[name]
        word = unknown[0].partition("=")[0]
        command.error(
            f"unknown: {' '.join(unknown)}{_closest(word, command._option_string_actions)}"
        )


def _closest(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, list(known), 1)
    return f", did you mean {near[0]!r}?" if near else ""


class OneScreen(argparse.HelpFormatter):
    """Help in 80 columns: one line per command."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=16, width=80)

    def _format_action(self, action: argparse.Action) -> str:
        if isinstance(action, argparse._SubParsersAction):
            return "".join(map(self._format_action, self._iter_indented_subactions(action)))
        return super()._format_action(action)


class WithDefaults(argparse.HelpFormatter):
    """Say what an option is where nobody gives it, unless its own words do."""

    def _get_help_string(self, action: argparse.Action) -> str:
        said = action.help or ""
        has_its_own = " else " in f" {said}" or "default" in said
        if action.required or action.default == argparse.SUPPRESS or has_its_own:
            return said
        return f"{said} (default: {_as_typed(action.default)})"


def _as_typed(default: object) -> str:
    """Return a default as one would type it."""
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, list | tuple):
        return " ".join(map(_as_typed, default)) or "none"
    if default is None or default == "":
        return "none"
    return f"{default:g}" if isinstance(default, float) else str(default)


class PrintVersion(argparse.Action):
    """Print the versions that matter."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print them and end the program."""
        from linkbert.cli.doctor import version_line

        print(version_line())
        parser.exit()


class PrintCompletion(argparse.Action):
    """Print what a shell sources to complete commands, options and choices."""

    def __call__(self, parser: argparse.ArgumentParser, *given: Any) -> None:
        """Print it and end the program."""
        try:
            import shtab
        except ModuleNotFoundError as error:
            parser.exit(1, f"linkbert: {missing_extra(error)}\n")
        shell = given[1]
        if shell not in shtab.SUPPORTED_SHELLS:
            known = ", ".join(shtab.SUPPORTED_SHELLS)
            parser.error(f"expected --completion {known}, found {shell!r}")
        print(shtab.complete(parser, shell))
        parser.exit()
