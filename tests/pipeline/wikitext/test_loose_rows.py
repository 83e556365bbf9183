"""Rows of tables whose opening stands in a template."""

from __future__ import annotations

import pytest

from pipeline.wikitext.loose_rows import ROWS, ROWS_END, drop_loose_rows


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("R\n| a || [[b]]\n|-\n| c\nE\nProse.", "Prose."),
        ("R\n| a\n\nProse.", "Prose."),
        ("R\n| a\n\n| b\n\nProse.\nE", "Prose."),
        ("R\n! a !! b\n\nProse.", "Prose."),
        ("R\n!Kung are a people.\n\nThey live.", "!Kung are a people. They live."),
        ("R\n| a\n== H ==\nProse.\nE", "== H == Prose."),
        ("R\n| a\nmore of a\n\nmore\n| b\nE\nProse.", "Prose."),
        ("RProse.E", "Prose."),
        ("a E b", "a b"),
    ],
)
def test_rows_go_and_prose_stays(text: str, kept: str) -> None:
    found, _ = drop_loose_rows(text.replace("R", ROWS, 1).replace("E", ROWS_END))
    assert found.split() == kept.split()


def test_links_in_rows_are_counted() -> None:
    assert drop_loose_rows(f"[[a]]{ROWS}\n| [[b]] [[c]]\n\n[[d]]")[1] == 2
