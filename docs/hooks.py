"""What the site takes from elsewhere: the help of each command, and the notebook."""

import json
import os
import re
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import Any

from linkbert.cli.options import build_parser

os.environ["COLUMNS"] = "100"  # argparse wraps help at the terminal's width


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace lines of their own: `::help COMMAND` by its help, `::notebook FILE` by its cells."""
    markdown = re.sub(r"^::help (.+)$", lambda found: _help(found[1]), markdown, flags=re.MULTILINE)
    return re.sub(r"^::notebook (.+)$", lambda f: _notebook(f[1]), markdown, flags=re.MULTILINE)


def _notebook(name: str) -> str:
    """Return the cells of a notebook beside this file, each with what it printed."""
    shown = []
    for cell in json.loads((Path(__file__).parent / name).read_text("utf-8"))["cells"]:
        source = "".join(cell["source"])
        shown.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", ()):
            text = "".join(output.get("text") or output["data"]["text/plain"]).rstrip()
            shown.append(f"```text\n{text}\n```")
    return "\n\n".join(shown)


def _help(command: str) -> str:
    printed = StringIO()
    with redirect_stdout(printed), suppress(SystemExit):
        build_parser().parse_args([*command.split(), "--help"])
    return f"```text\n{printed.getvalue()}```"
