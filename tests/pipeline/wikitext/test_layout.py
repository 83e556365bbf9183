"""Marked text becomes paragraphs, and offsets are those of the text."""

from __future__ import annotations

import pytest

from pipeline.wikitext import marks
from pipeline.wikitext.layout import lay_out, with_prefixes

OPEN, CLOSE, ITEM = marks.ANCHOR_OPEN, marks.ANCHOR_CLOSE, marks.ITEM


@pytest.mark.parametrize(
    ("marked", "text"),
    [
        ("a\nb\n\nc", "a b\n\nc"),
        (f"a\n{ITEM}b\n{ITEM}c\nd", "a\nb\nc\n\nd"),
        (f"a ({marks.HOLE})\n\n.\n\nb{marks.LINE}c", "a\n\nb\nc"),
        ("a\n b\n c", "a\nb\nc"),
    ],
)
def test_blocks_are_kept_apart_as_the_page_shows_them(marked: str, text: str) -> None:
    assert lay_out(marked).text == text


def test_places_cut_the_anchors_out_of_the_text() -> None:
    page = lay_out(
        f"x  {OPEN}ab{CLOSE} {marks.UNSEEN_LINK}\n\n{marks.HEADINGS[1]}T\n{OPEN}c{CLOSE}"
    )
    anchors = [page.text[s:e] for s, e in page.places if s is not None and e is not None]
    assert anchors == ["ab", "c"]
    assert page.places[1] == (None, None)
    assert page.sections == [("T", 2, page.text.index("T"))]


def test_letters_before_a_link_belong_to_it_where_the_wiki_says_so() -> None:
    assert with_prefixes(f"a «{OPEN}b", "[„«]") == f"a {OPEN}«b"
    assert with_prefixes(f"«{OPEN}b", "") == f"«{OPEN}b"
