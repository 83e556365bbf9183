"""The README and the pages of docs/ as what can be run: commands of consoles, and Python."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
README, QUICK_START = REPOSITORY / "README.md", REPOSITORY / "docs/quickstart.md"
DUMP = "simplewiki-20261101-pages-articles-multistream.xml.bz2"
"""The name under which the pages have a dump."""


def pages() -> list[Path]:
    """Return the README and the pages of docs/."""
    return [README, *sorted((REPOSITORY / "docs").rglob("*.md"))]


def blocks(page: Path, *languages: str) -> list[tuple[str, str]]:
    """Return the fenced blocks of some languages, in order, each with its language."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [(language, body) for language, body in found if language in languages]


def shell_lines(console: str) -> list[str]:
    """Return what is typed in a console block, continued lines joined."""
    joined = console.replace("\\\n", " ")
    return [line[2:] for line in joined.splitlines() if line.startswith("$ ")]


def commands(console: str) -> Iterator[list[str]]:
    """Yield the arguments of each `linkbert` in a console block."""
    for line in shell_lines(console):
        for part in line.split(" && "):
            program, *argv = shlex.split(part)
            if program == "linkbert":
                yield argv
