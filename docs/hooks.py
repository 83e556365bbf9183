"""What the site takes from the code itself: the help of each command."""

import os
import re
from contextlib import redirect_stdout, suppress
from io import StringIO
from typing import Any

from linkbert.cli.options import build_parser

os.environ["COLUMNS"] = "100"  # argparse wraps help at the terminal's width


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace `::help COMMAND` on a line of its own by what `linkbert COMMAND --help` prints."""
    return re.sub(r"^::help (.+)$", lambda found: _help(found[1]), markdown, flags=re.MULTILINE)


def _help(command: str) -> str:
    printed = StringIO()
    with redirect_stdout(printed), suppress(SystemExit):
        build_parser().parse_args([*command.split(), "--help"])
    return f"```text\n{printed.getvalue()}```"
