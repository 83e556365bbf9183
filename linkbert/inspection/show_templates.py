"""Show which templates left nothing in the prose of a corpus, and the rules to write for them.

`parse` counts the calls of templates without a rule, if there are words beside them. A rule like
those printed here, in a file given to `parse --templates`, makes such a template show its text.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from linkbert.inspection.terminal import printable
from pipeline.wikitext.templates.rules import split_arguments
from schemas.errors import SchemaError
from schemas.manifest import MANIFEST_NAME, read_manifest

_EXAMPLE_CHARS = 70


def dropped_templates(path: Path) -> dict[str, Any]:
    """Return the name, the number of calls and an example of each, most frequent first.

    Raises:
        SchemaError: there is no corpus that `parse` wrote.
    """
    folder = path if path.name == "pages" else path / "pages"
    found = None
    if (folder / MANIFEST_NAME).is_file():
        found = read_manifest(folder).extra.get("templates_dropped")
    if found is None:
        raise SchemaError(
            f"expected a corpus that parse wrote, found none that counts templates at {path}: "
            "parse its dump again"
        )
    return dict(sorted(found.items(), key=lambda item: -item[1]["calls"]))


def show_templates(path: Path, limit: int) -> str:
    """Return the most frequent ones as a table, then as tables of rules.

    Args:
        path: the corpus folder.
        limit: how many to show.

    Raises:
        SchemaError: there is no corpus that `parse` wrote.
    """
    found = list(dropped_templates(path).items())
    if not found:
        return "no template without a rule left a hole in prose"
    shown = found[:limit]
    lines = [
        f"{entry['calls']:>7,}  {printable(name)}: {_call(entry['example'])}"
        for name, entry in shown
    ]
    rules = [_rule(name, entry["example"]) for name, entry in shown]
    head = f"  calls  template, of {len(found)} that no rule names: an example"
    told = "# rules to begin with, for parse --templates FILE: see which argument the wiki shows"
    return "\n".join([head, *lines, "", told, *rules])


def _call(example: str) -> str:
    line = printable(" ".join(example.split()))
    return f"{{{{{line[:_EXAMPLE_CHARS]}{'...' if len(line) > _EXAMPLE_CHARS else ''}}}}}"


def _rule(name: str, example: str) -> str:
    """Return a rule, as TOML, that shows the longest unnamed argument of a call."""
    arguments = split_arguments(example.partition("|")[2])
    numbered = {key: value for key, value in arguments.items() if key.isdigit() and value}
    key = max(numbered, key=lambda key: len(numbered[key]), default="")
    pattern = f"{{{key}}}" if key else ""
    spelled = json.dumps(name, ensure_ascii=False)
    return f'\n[[text]]\nreason = "..."\nnames = [{spelled}]\ntext = "{pattern}"'
