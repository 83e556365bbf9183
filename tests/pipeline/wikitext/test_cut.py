"""What is cut away, what stays, and that each link that goes is counted."""

from __future__ import annotations

import pytest

from pipeline.wiki.site_info import default_site
from pipeline.wikitext import marks
from pipeline.wikitext.cut import cut
from pipeline.wikitext.templates.rules import rules_of
from pipeline.wikitext.unruled import PageLosses


@pytest.mark.parametrize(
    ("page", "kept", "dropped"),
    [
        ("a<ref>[[b]]</ref>c", "ac", {"in_reference": 1}),
        ("a<REF name=x/>b<ref name='x' />c", "abc", {}),
        ("a<ref>b <i>[[c]]</i></ref >d", "ad", {"in_reference": 1}),
        ("a<ref>[[b]]\nc<ref>d</ref>e", "a\nce", {"in_reference": 1}),
        ("a (<ref>b</ref>)", f"a ({marks.HOLE})", {}),
        ("a\n{| b\n| [[c]] || {{d|[[e]]}}\n|}\nf", "a\n\n\nf", {"in_table": 1, "in_template": 1}),
        ("a\n{| b\n|}}\nc", "a\n\n\nc", {}),
        ("a {| b |} c", "a {| b |} c", {}),
        ("{{nowrap|a {{nowrap|b}}}} c", "a b c", {}),
        ("a {{{1|b}}} c", "a b c", {}),
        ("a {{nowrap|b", "a nowrap|b", {}),
        ("a<!-- [[b]] -->c", "ac", {}),
    ],
)
def test_frames_go_and_their_links_are_counted(
    page: str, kept: str, dropped: dict[str, int]
) -> None:
    losses = PageLosses()
    assert cut(page, "T", default_site(), rules_of("en"), losses) == kept
    assert +losses.dropped == dropped
