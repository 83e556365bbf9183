"""Tags that hold no wikitext."""

from __future__ import annotations

import pytest

from pipeline.wiki.site_info import default_site
from pipeline.wikitext.extract import extract
from pipeline.wikitext.hidden_tags import Closers


def test_closers_are_found_by_name_from_a_place_on() -> None:
    closers = Closers("</a><a></A ></b></a>")
    assert closers.after("a", 0) == (0, 4)
    assert closers.after("a", 4) == (7, 12)
    assert closers.after("a", 13) == (16, 20)
    assert closers.after("c", 0) is None


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("a <youtube>id</youtube> b", "a b"),
        ("а <verbatim x='y'>z</verbatim> б", "а б"),
        ("甲<rating num=5 />乙", "甲乙"),
        ("a <name> b", "a <name> b"),
        ("a <b>b</b> <article>c</article>", "a b <article>c</article>"),
        ("<tabber>甲=乙 [[丙]]|-|丁=戊</tabber>", "甲\n\n乙 丙\n\n丁\n\n戊"),
        ("<spoiler>er stirbt</spoiler>", "er stirbt"),
    ],
)
def test_what_a_tag_of_an_extension_leaves(wikitext: str, text: str) -> None:
    assert extract(wikitext, "Page", default_site()).text == text


def test_many_names_of_tags_take_linear_time() -> None:
    names = [f"x{index}" for index in range(20_000)]
    page = "".join(f"</{name}>" for name in names) + "".join(f"<{name}>" for name in names)
    assert extract(page, "Page", default_site()).links == []
