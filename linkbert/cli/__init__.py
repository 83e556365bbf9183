"""The command line: one subcommand per stage, in the order of the chain."""

from linkbert.cli.commands import main

__all__ = ["main"]
