"""No pattern that some Python 3.11 reads in another way than the next."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PACKAGES = ("schemas", "pipeline", "linkbert")
# A group repeated possessively. Until Python 3.11.4 a choice in it that fails after its first
# letter stays read, so the text that follows is another; (?>(?:...)*) is read alike everywhere.
POSSESSIVE_GROUP = re.compile(r"(?<!\\)\)(?:[*+?]|\{\d*,?\d*\})\+")


def _sources() -> list[Path]:
    root = Path(__file__).parents[3]
    return sorted(path for name in PACKAGES for path in (root / name).rglob("*.py"))


def test_the_search_knows_the_construct() -> None:
    for pattern in (r"((?:a|:(?=b))*+)", r"(?:a|b)++", r"(a)?+", r"(?:a){2,3}+"):
        assert POSSESSIVE_GROUP.search(pattern), pattern
    for pattern in (r"[ab]*+", r"(?>(?:a|b)*)", r"a++", r"\)*+"):
        assert not POSSESSIVE_GROUP.search(pattern), pattern


@pytest.mark.parametrize("path", _sources(), ids=lambda path: path.name)
def test_no_group_is_repeated_possessively(path: Path) -> None:
    lines = path.read_text("utf-8").split("\n")
    found = [
        f"{path.name}:{number}: {line.strip()}"
        for number, line in enumerate(lines, 1)
        if POSSESSIVE_GROUP.search(line)
    ]
    assert not found
