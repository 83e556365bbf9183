"""Markup that only shapes text goes; what a list mark of a template means is decided."""

from __future__ import annotations

import pytest

from pipeline.wikitext import marks
from pipeline.wikitext.markup import begun_with_list_mark, strip_markup


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("'''a''' ''b'' l'''d''", "a b l'd"),
        ("[http://x.org''a'' b] [//y.org] [http://x.org<b>c</b>]", "a b  c"),
        ("10<sup>6</sup> x<sup>2</sup> H<sub>2</sub>O ''10''<SUP>−3</SUP>", "10^6 x2 H2O 10^−3"),
        ("[<tvar|a>http://x.org</> b]", "b"),
        ("__NOTOC__a __Ж__", "a __Ж__"),
        ("<nobr>a</nobr> <unknown>b", "a <unknown>b"),
    ],
)
def test_what_markup_leaves(wikitext: str, text: str) -> None:
    stripped, _ = strip_markup(wikitext)
    kept = stripped.replace(marks.HOLE, "").replace(marks.BARRIER, "")
    assert marks.restore(kept).strip() == text


def test_a_page_may_call_itself_a_disambiguation() -> None:
    assert strip_markup("a __DISAMBIG__")[1]
    assert not strip_markup("a __TOC__")[1]


def test_a_list_of_a_template_begins_on_a_new_line_and_a_sign_does_not() -> None:
    assert begun_with_list_mark("* a", "plainlist|\n* a", "x") == "\n* a"
    assert begun_with_list_mark("* a\n* b", "ubl|* a|* b", "\n") == "* a\n* b"
    assert marks.restore(begun_with_list_mark("#", "nowrap|#", "C")) == "#"
