"""Links out of the tokens of a text: their places, kinds and what goes without a text."""

from __future__ import annotations

from collections import Counter

import pytest

from pipeline.wiki.site_info import default_site
from pipeline.wikitext import marks
from pipeline.wikitext.tokens import walk_tokens


def shown(text: str) -> tuple[str, dict[str, int]]:
    """Return the text with its links in angle brackets and holes as `_`, and what was dropped."""
    dropped: Counter[str] = Counter()
    marked = walk_tokens(text, default_site(), dropped).marked_text(dropped)
    for mark, sign in ((marks.ANCHOR_OPEN, "<"), (marks.ANCHOR_CLOSE, ">"), (marks.HOLE, "_")):
        marked = marked.replace(mark, sign)
    return marked.replace(marks.UNSEEN_LINK, "^"), +dropped


@pytest.mark.parametrize(
    ("text", "expected", "dropped"),
    [
        ("a [[b| c ]]d", "a  <c> d", {}),
        ("[[b]]s and [[Paris (Texas)|]]", "<bs> and <Paris>", {}),
        ("[[File:a.jpg|b [[c]]]]d", "_^d", {"file": 1}),
        ("[[a{b|c]] [[ ]]", "c  ", {"invalid_title": 2}),
        ("[[fr:Chat]][[:fr:Chat]]", "_<fr:Chat>", {"language_link": 1}),
        ("[[Special:MyLanguage/Help]]", "<Help>", {}),
    ],
)
def test_links_are_marked_or_counted(text: str, expected: str, dropped: dict[str, int]) -> None:
    assert shown(text) == (expected, dropped)


def test_categories_and_kinds_are_told() -> None:
    walk = walk_tokens("[[Category:A|k]] [[b]] [[wikt:c]]", default_site(), Counter())
    assert walk.categories == ["A"]
    assert walk.links == [("B", None, 0, "body"), ("wikt:c", None, 0, "interwiki")]
