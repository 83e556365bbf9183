"""Links found by splitting a page are those that the tokens of the whole page give."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.wiki.site_info import SiteInfo, default_site
from pipeline.wikitext import marks
from pipeline.wikitext import tokens as wikitext_tokens
from pipeline.wikitext.cut import cut
from pipeline.wikitext.links import walk_links
from pipeline.wikitext.markup import strip_markup
from pipeline.wikitext.templates.rules import rules_of
from pipeline.wikitext.tokens import LeadsTo, Walk, walk_tokens
from pipeline.wikitext.unruled import PageLosses
from tests.fuzz_wikitext import bundled_pages

Found = tuple[str, list[LeadsTo], list[str], Counter[str]]


def found_in(walk: Walk, dropped: Counter[str]) -> Found:
    return walk.marked_text(dropped), walk.links, walk.categories, +dropped


@pytest.mark.end_to_end
def test_links_of_real_pages_are_those_of_their_tokens() -> None:
    pages, site = bundled_pages()
    num_refused = 0
    for page in pages:
        cut_text = cut(
            marks.without_marks(page), "Page", site, rules_of(site.language), PageLosses()
        )
        text, _ = strip_markup(cut_text)
        text = text.replace(marks.BAR, "|")
        dropped: Counter[str] = Counter()
        split = walk_links(text, site, dropped)
        if split is None:
            num_refused += 1
            continue
        whole_dropped: Counter[str] = Counter()
        whole = walk_tokens(text, site, whole_dropped)
        assert found_in(split, dropped) == found_in(whole, whole_dropped), page
    assert num_refused < 0.05 * len(pages)


@pytest.mark.parametrize(
    "text",
    [
        "[[a [[b]]",
        "[[a|b [[c]] d]]",
        "a]] b",
        "[[a|b\n== c ==\n]]",
        "== [[a|b\nc]] ==",
        "\n* a",
        "[[File:a.jpg|b [[File:c.jpg|d [[e]]]]]]",
    ],
)
def test_what_cannot_be_split_is_refused(text: str) -> None:
    assert walk_links(f"\n{text}", default_site(), Counter()) is None


def test_a_target_that_the_tokenizer_refuses_is_no_link() -> None:
    dropped: Counter[str] = Counter()
    walk = walk_links("a [[http://x.org|b]] [[mailto:c@d]] e", default_site(), dropped)
    assert walk is not None
    assert walk.marked_text(dropped) == "a [http://x.org|b] [mailto:c@d] e"
    assert not walk.links


@given(
    st.sampled_from(("", "news:", " HTTP://", "Mailto:", "category:http://", ":tel:", "//")),
    st.text("ab9é_ ,.:#/!?'’()・–-", max_size=12),
)
def test_what_is_taken_for_a_target_unseen_is_one_to_the_tokenizer(prefix: str, text: str) -> None:
    raw = prefix + text
    if wikitext_tokens._NO_MARKUP.fullmatch(raw):
        [opener, target, closer] = wikitext_tokens.tokenize(f"[[{raw}]]")
        assert type(opener).__name__ == "WikilinkOpen"
        assert target["text"] == raw
        assert type(closer).__name__ == "WikilinkClose"


@given(st.integers(0, 7), st.text("aé_ ,.!?'’()・–-=:", max_size=9), st.integers(0, 7))
def test_headings_are_read_as_their_tokens(opened: int, title: str, closed: int) -> None:
    text = f"\n={'=' * opened}{title}={'=' * closed}"
    split = walk_links(text, default_site(), Counter())
    if split is not None:
        whole = walk_tokens(text, default_site(), Counter())
        assert "".join(split.pieces) == "".join(whole.pieces)


@pytest.mark.parametrize("prefix", ["", ":", ":en:", "wikt:", ":Category:", "User:", ":File:", "("])
@pytest.mark.parametrize("anchor", ["", "|B", "|", "| B", "|B "])
@pytest.mark.parametrize("site", [default_site(), SiteInfo("dewiki", "de")], ids=["en", "de"])
def test_links_of_all_kinds_are_read_as_their_tokens(
    prefix: str, anchor: str, site: SiteInfo
) -> None:
    text = f"\na [[{prefix}A b{anchor}]]s. [[{prefix}c)#D{anchor}]]\n"
    dropped: Counter[str] = Counter()
    split = walk_links(text, site, dropped)
    whole_dropped: Counter[str] = Counter()
    whole = walk_tokens(text, site, whole_dropped)
    assert split is not None
    assert found_in(split, dropped) == found_in(whole, whole_dropped)
