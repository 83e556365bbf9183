"""Reads `tests/cases/*.case`: wikitext in, text and links out, in plain text that anyone can write.

A file holds cases separated by lines of `===`; a line that begins with `#` between them is a
comment. A case is a name and fields, each a word and a colon; what a field holds stands after the
colon or, four blanks in, on the lines below:

    name: letters after a link belong to it
    site: dewiki de                                 (database name and language; English if absent)
    title: Apfel                                    (of the page; "Page" if absent)
    wikitext:
        [[Apfel|Äpfel]]chen
    text:
        Äpfelchen
    links:
        body "Äpfelchen" -> Apfel

A link is its kind, its anchor in quotes unless it leaves no text, and its target, with `(14)` after
it where the namespace is not 0. `\\u00a0` writes a character by its code point.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_FIELD = re.compile(r"([a-z]+):[ ]?(.*)")
_KNOWN = {
    *("name", "site", "title", "wikitext", "text", "links", "sections", "categories"),
    *("dropped", "redirect", "disambiguation"),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One case; `fields` holds what its file says, by field."""

    path: str
    name: str
    fields: dict[str, str]


def read_cases(folder: Path) -> list[Case]:
    """Return all cases of a folder, in the order of files and lines.

    Raises:
        ValueError: a line belongs to no field, or a field is unknown.
    """
    cases = []
    for path in sorted(folder.glob("*.case")):
        for block in re.split(r"(?m)^===$\n?", path.read_text("utf-8")):
            fields = _parse_block(block, path.name)
            if fields:
                cases.append(Case(path.name, fields["name"], fields))
    return cases


def _parse_block(block: str, path: str) -> dict[str, str]:
    fields: dict[str, list[str]] = {}
    current: list[str] = []
    for line in block.split("\n"):
        if line.startswith("    "):
            current.append(line[4:])
        elif not line.strip():
            current.append("")
        elif not line.startswith("#"):
            match = _FIELD.fullmatch(line)
            if match is None or match.group(1) not in _KNOWN:
                raise ValueError(f"{path}: expected a field or four blanks, found {line!r}")
            current = fields.setdefault(match.group(1), [])
            current += [match.group(2)] if match.group(2) else []
    return {key: _unescape("\n".join(lines).strip("\n")) for key, lines in fields.items()}


def _unescape(text: str) -> str:
    return re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), text)
