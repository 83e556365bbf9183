"""Links to pages below and above, as MediaWiki reads them."""

from __future__ import annotations

import pytest

from pipeline.wiki.site_info import SiteInfo, default_site
from pipeline.wikitext.subpages import absolute_links

BOOKS = SiteInfo("enwikibooks", "en")


@pytest.mark.parametrize(
    ("link", "full"),
    [
        ("[[/B]]", "[[Top/A/B|/B]]"),
        ("[[/B/]]", "[[Top/A/B|B]]"),
        ("[[/B|c]]", "[[Top/A/B|c]]"),
        ("[[/B#s|c]]", "[[Top/A/B#s|c]]"),
        ("[[../]]", "[[Top]]"),
        ("[[../B/C/]]", "[[Top/B/C|B/C]]"),
        ("[[../B]]", "[[Top/B]]"),
        ("[[../../B]]", "[[../../B]]"),
        ("[[B/C]]", "[[B/C]]"),
    ],
)
def test_a_link_names_its_page_in_full(link: str, full: str) -> None:
    assert absolute_links(link, "Top/A", BOOKS) == full


def test_there_are_none_where_the_namespace_has_no_subpages() -> None:
    assert absolute_links("[[/B]]", "Top", default_site()) == "[[/B]]"
    assert absolute_links("[[/B]]", "Category:Top", BOOKS) == "[[/B]]"
    assert absolute_links("[[/B/]]", "User:Top", default_site()) == "[[User:Top/B|B]]"
