"""Marks come back as what they stand for, and no page can bring its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.wikitext import marks


@given(st.text("ab é[]{}|'<>=*#:;_&~"))
def test_protected_text_holds_no_markup_and_comes_back(text: str) -> None:
    protected = marks.protect(text)
    assert len(protected) == len(text)
    assert not set(protected) & set("[]{}|'<>=*#:;_&~")
    assert marks.restore(protected) == text


@pytest.mark.parametrize(
    "foreign", [marks.FIRST, marks.LAST, marks.LITERAL["["], "\0", "\ud800", chr(0xDFFF)]
)
def test_what_no_text_may_hold_is_removed(foreign: str) -> None:
    assert marks.without_marks(f"a{foreign}b") == "ab"


def test_characters_with_the_same_first_bytes_stay() -> None:
    # Arabic ligatures begin with the bytes of the marks.
    assert marks.without_marks("a\ufdfab") == "a\ufdfab"
