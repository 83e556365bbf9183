"""Titles: every spelling of a page becomes one string, and what is no title is refused."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.wiki.site_info import SiteInfo, default_site
from pipeline.wiki.titles import (
    InvalidTitle,
    Target,
    namespace_of_title,
    normalise_page_title,
    normalise_title,
)

ENGLISH = default_site()
WIKTIONARY = SiteInfo(
    "enwiktionary", "en", namespace_names={0: "", 14: "Category"}, title_case={0: "case-sensitive"}
)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("apple", Target("Apple", None, 0, False)),
        ("Apple#", Target("Apple", None, 0, False)),
        ("Apple #a_b ", Target("Apple", "a b", 0, False)),
        ("#Local", Target("", "Local", 0, False)),
        (":Apple", Target("Apple", None, 0, False)),
        ("talk : apple", Target("Talk:Apple", None, 1, False)),
        ("USER_TALK:bob", Target("User talk:Bob", None, 3, False)),
        ("Image:a.jpg", Target("File:A.jpg", None, 6, False)),
        ("fr:chat#x", Target("fr:chat", "x", 0, True)),
        ("en:apple", Target("Apple", None, 0, False)),
        ("en:fr:chat", Target("fr:chat", None, 0, True)),
        ("2001: a space", Target("2001: a space", None, 0, False)),
        ("C%23", Target("C", None, 0, False)),
        ("\u200eA\u3000b\u00a0", Target("A b", None, 0, False)),
        ("a+b", Target("A+b", None, 0, False)),
        ("/Sub", Target("/Sub", None, 0, False)),
        ("a...", Target("A...", None, 0, False)),
        ("Café", Target("Café", None, 0, False)),
        ("Cafe\u0301", Target("Café", None, 0, False)),
    ],
)
def test_a_link_is_normalised(raw: str, expected: Target) -> None:
    assert normalise_title(raw, ENGLISH) == expected


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "empty"),
        (" _ ", "empty"),
        (":", "empty"),
        ("Talk:", "empty"),
        ("#", "empty"),
        ("a|b", "illegal_character"),
        ("a\nb", "illegal_character"),
        ("a%2", None),
        ("50%25 off", None),
        ("50%2525", "illegal_character"),
        ("~~~~", "illegal_character"),
        ("a\ufffd", "illegal_character"),
        ("../x", "relative_path"),
        ("a/./b", "relative_path"),
        ("Talk:File:x", "talk_of_namespace"),
        ("::a", "leading_colon"),
        ("a" * 256, "too_long"),
        ("é" * 128, "too_long"),
        ("é" * 127, None),
        ("en:" * 3000, "too_long"),
    ],
)
def test_what_is_no_title_is_refused_with_its_reason(raw: str, reason: str | None) -> None:
    found = normalise_title(raw, ENGLISH)
    assert (found.reason if isinstance(found, InvalidTitle) else None) == reason


def test_case_is_the_affair_of_the_namespace() -> None:
    assert normalise_title("apple", WIKTIONARY) == Target("apple", None, 0, False)
    assert normalise_title("category:apple", WIKTIONARY) == Target(
        "Category:Apple", None, 14, False
    )


def test_a_page_keeps_the_namespace_its_dump_gives_it() -> None:
    site = SiteInfo("gdwiki", "gd", namespace_names={10: "Teamplaid"})
    assert normalise_page_title("Teamplaid:x", 0, site) == "Teamplaid:x"
    assert normalise_page_title("teamplaid:x", 10, site) == "Teamplaid:X"
    assert normalise_page_title("Template:x", 10, site) == "Teamplaid:X"


def test_an_old_dump_names_the_namespace_in_the_title() -> None:
    assert namespace_of_title("Talk:Apple", ENGLISH) == 1
    assert namespace_of_title("Apple: a fruit", ENGLISH) == 0
    assert namespace_of_title("Talk:", ENGLISH) == 0


@given(st.text(max_size=30))
@example("\x850")  # a blank to Python, not to MediaWiki
def test_a_normalised_title_stays_as_it_is(raw: str) -> None:
    found = normalise_title(raw, ENGLISH)
    if isinstance(found, Target) and not found.is_interwiki and found.title and "%" not in raw:
        again = normalise_title(f":{found.title}", ENGLISH)
        assert isinstance(again, InvalidTitle) or again.title == found.title


@given(st.text("ab_ C", min_size=1, max_size=12))
def test_links_and_pages_are_spelled_alike(raw: str) -> None:
    link = normalise_title(raw, ENGLISH)
    if isinstance(link, Target):
        assert normalise_page_title(raw, 0, ENGLISH) == link.title
