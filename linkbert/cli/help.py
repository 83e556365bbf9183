"""How the command line explains itself: usage errors, help, and shell completion."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from linkbert.extras import missing_extra


class OneLineParser(argparse.ArgumentParser):
    """Report a usage error in one line, without the usage text, which fills a screen."""

    def error(self, message: str) -> NoReturn:
        """Print the line and end the program with status 2."""
        self.exit(2, f"{self.prog}: {message}; see `{self.prog} --help`\n")


def refuse_strange_words(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """End the program if the first word is not a command, naming the closest one."""
    if not argv:
        parser.error("expected a command, found none")
    known = [*_commands_of(parser), *parser._option_string_actions]
    if argv[0].partition("=")[0] not in known:
        parser.error(f"expected a command, found {argv[0]!r}{_closest(argv[0], known)}")


def refuse_strange_options(
    parser: argparse.ArgumentParser, name: str, unknown: Sequence[str]
) -> None:
    """End the program if there are unknown arguments, naming the closest option."""
    if unknown:
        command = _commands_of(parser)[name]
        closest = _closest(unknown[0].partition("=")[0], command._option_string_actions)
        command.error(f"unknown: {' '.join(unknown)}{closest}")


def _commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    action = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return dict(action.choices)


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
    """Help that adds the default of each option, unless its text already gives it."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        gives_default = " else " in f" {text}" or "default" in text
        if action.required or action.default == argparse.SUPPRESS or gives_default:
            return text
        return f"{text} (default: {_as_typed(action.default)})"


def _as_typed(default: object) -> str:
    """Return a default as a user would type it."""
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
        """Print the versions and end the program."""
        from linkbert.cli.doctor import version_line

        print(version_line())
        parser.exit()


class PrintCompletion(argparse.Action):
    """Print a script for a shell to source, which completes commands, options and choices."""

    def __call__(self, parser: argparse.ArgumentParser, *given: Any) -> None:
        """Print the script and end the program."""
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
