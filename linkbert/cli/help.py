"""How the command line explains itself: its help, and what a shell completes."""

from __future__ import annotations

import argparse
from typing import Any


class OneScreen(argparse.HelpFormatter):
    """Help of 24 lines of 80 columns: one line a command."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=16, width=80)

    def _format_action(self, action: argparse.Action) -> str:
        if isinstance(action, argparse._SubParsersAction):
            return "".join(map(self._format_action, self._iter_indented_subactions(action)))
        return super()._format_action(action)


class WithDefaults(argparse.HelpFormatter):
    """Say what an option is where nobody gives it, unless that is nothing."""

    def _get_help_string(self, action: argparse.Action) -> str:
        said = action.help or ""
        # Zero is something: it is told apart from False.
        is_nothing = action.default is False or action.default in ([], argparse.SUPPRESS)
        return (
            said
            if action.required or action.default is None or is_nothing
            else f"{said} (default: %(default)s)"
        )


class PrintCompletion(argparse.Action):
    """Print what a shell sources to complete commands, options and choices."""

    def __call__(self, parser: argparse.ArgumentParser, *given: Any) -> None:
        """Print it and end the program."""
        try:
            import shtab
        except ImportError:
            parser.exit(1, 'linkbert: expected shtab, found none: pip install ".[completion]"\n')
        shell = given[1]
        if shell not in shtab.SUPPORTED_SHELLS:
            known = ", ".join(shtab.SUPPORTED_SHELLS)
            parser.error(f"expected --completion {known}, found {shell!r}")
        print(shtab.complete(parser, shell))
        parser.exit()
