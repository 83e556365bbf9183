"""What is left of a sentence around what a page shows and we do not."""

from __future__ import annotations

import pytest

from pipeline.wikitext.holes import hole_between, mend_holes
from pipeline.wikitext.marks import HOLE


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a (H) b", "a b"),
        ("a ( H ; H ) b", "a b"),
        ("甲（H、乙）丙", "甲（乙）丙"),
        ("甲（乙、H）丙", "甲（乙）丙"),
        ("「H」", ""),
        ("a (b: H), c", "a (b), c"),
        ("a (H), c", "a, c"),
        ("a (H). B", "a. B"),
        ("a, H, H and b", "a, and b"),
        ("a H , b", "a, b"),
        ("a : H b", "a : b"),
        ("((H) a)", "(a)"),
        ("([H])", ""),
        ("main() (;) ( ) H x", "main() (;) ( ) x"),
        ("H", ""),
        ("(H]", "(]"),
    ],
)
def test_brackets_and_stops_around_a_hole_go(before: str, after: str) -> None:
    mended = mend_holes(before.replace("H", HOLE))
    assert " ".join(mended.split()) == after


def test_a_text_without_holes_is_not_touched() -> None:
    text = "f( ) , （） 「」 (;;) , )"
    assert mend_holes(text) == text


@pytest.mark.parametrize("pair", ["()", "（）", " ,", "x)", "x、", "  ", "><", "''"])
def test_a_hole_is_marked_where_mending_may_be_needed(pair: str) -> None:
    assert hole_between(*pair) == HOLE


@pytest.mark.parametrize("pair", ["ab", "]s", "a ", "\n\n", "|]"])
def test_no_hole_is_marked_inside_links_and_words(pair: str) -> None:
    assert hole_between(*pair) == ""


def test_a_hole_in_square_brackets_is_marked_but_not_in_those_of_a_link() -> None:
    assert hole_between(" [", "]") == HOLE
    assert hole_between("[[", "]") == hole_between("[[", "|") == ""
