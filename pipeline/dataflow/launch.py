"""Start one stage from a Flex template: `--command="parse gs://... --out gs://..."` and options.

The launcher of a Flex template calls a file with `--name=value` for each parameter and with Beam's
options; the command line of linkbert has its arguments in the other order. So this joins the two.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence

from schemas.errors import ConfigError

STAGES = ("parse", "ingest", "graph", "subset", "tokenizer", "segment", "sample")
"""The stages that are Beam jobs."""

_COMMAND = "--command="


def command_line(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of linkbert for those of the launcher.

    Raises:
        ConfigError: no `--command=`, or none of a stage that runs on Beam.

    >>> command_line(["--command=graph gs://b/corpus", "--runner=DataflowRunner"])
    ['graph', 'gs://b/corpus', '--', '--runner=DataflowRunner']
    """
    commands = [each.removeprefix(_COMMAND) for each in arguments if each.startswith(_COMMAND)]
    own = shlex.split(commands[0]) if commands else []
    if not own or own[0] not in STAGES or "--" in own:
        raise ConfigError(
            f"expected --command= with one of {', '.join(STAGES)} and its arguments, "
            f"found {commands[0] if commands else 'none'!r}: see the README"
        )
    return [*own, "--", *(each for each in arguments if not each.startswith(_COMMAND))]


if __name__ == "__main__":
    command = [sys.executable, "-m", "linkbert", *command_line(sys.argv[1:])]
    sys.exit(subprocess.run(command).returncode)
