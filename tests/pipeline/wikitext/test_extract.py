"""Wikitext in, text and links out: the case files, and properties that hold for any input."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.wiki.site_info import SiteInfo, default_site
from pipeline.wiki.titles import Target
from pipeline.wikitext.extract import Extraction, Link, extract, redirect_target
from schemas.tables import pages
from tests.pipeline.wikitext.case_files import Case, read_cases

CASES = read_cases(Path(__file__).parents[2] / "cases")


def _site(case: Case) -> SiteInfo:
    if "site" not in case.fields:
        return default_site()
    dbname, language = case.fields["site"].split()
    return SiteInfo(dbname, language)


def _target(title: str, fragment: str | None, namespace: int) -> str:
    section = f"#{fragment}" if fragment else ""
    return f"{title}{section}" + (f" ({namespace})" if namespace else "")


def _shown(page: Extraction, link: Link) -> str:
    anchor = f'"{page.text[link.start_char : link.end_char]}" ' if link.end_char else ""
    target = _target(link.target_title, link.target_fragment, link.target_namespace)
    return f"{link.kind} {anchor}-> {target}"


def _lines(case: Case, name: str) -> list[str]:
    return [line for line in case.fields.get(name, "").split("\n") if line]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.path}:{case.name}")
def test_case(case: Case) -> None:
    site, wikitext = _site(case), case.fields["wikitext"]
    if "redirect" in case.fields:
        target = redirect_target(wikitext, None, site)
        assert target is not None
        assert _target(*target[:3]) == case.fields["redirect"]
        return
    page = extract(wikitext, case.fields.get("title", "Page"), site)
    assert page.text == case.fields["text"]
    assert [_shown(page, link) for link in page.links] == _lines(case, "links")
    assert page.categories == _lines(case, "categories")
    assert [f'{level} "{title}"' for title, level, _ in page.sections] == _lines(case, "sections")
    assert page.is_disambiguation == (case.fields.get("disambiguation") == "yes")
    if "dropped" in case.fields:
        found = " ".join(f"{reason}={number}" for reason, number in page.dropped.items())
        assert found == case.fields["dropped"]


def test_all_traps_have_a_case() -> None:
    numbers = {case.name[:2] for case in CASES if case.path == "traps.case"}
    # 26 and 27 are of whole dumps: repeated pages, pages without <ns>.
    assert numbers == {f"{number:02}" for number in range(1, 31)} - {"26", "27"}


FRAGMENTS = st.sampled_from(
    [
        *("[[", "]]", "[", "]", "|", "{{", "}}", "{{{", "}}}", "{|", "|}", "|-", "\n", "\n\n", " "),
        *("''", "'''", "<ref>", "</ref>", "<nowiki>", "</nowiki>", "<!--", "-->", "<br>", "<pre>"),
        *("</pre>", "<math>", "</math>", "<gallery>", "</gallery>", "<li>", "<table>", "</table>"),
        *(
            "a",
            "b c",
            "é",
            "ბ",
            "देव",
            "s",
            "File:",
            "Category:",
            "fr:",
            ":",
            "#",
            "*",
            ";",
            "=",
            "==",
        ),
        *(
            "http://x.y",
            "&amp;",
            "&nbsp;",
            "&#91;",
            "&#91;&#91;",
            "{{see|>",
            "{{ill|",
            "{{small|",
            "&",
            "(",
            ")",
            ",",
            "__TOC__",
            "main|",
            "lang|fr|",
        ),
        *(
            "convert|5|km",
            "!",
            "\t",
            "\xa0",
            "\u200e",
            "\ufdd0",
            "\ufdd1",
            "\ufde0",
            "\x00",
            "\ud800",
        ),
        *(
            "<poem>",
            "</poem>",
            "-{",
            "}-",
            "----",
            "%C3%A9",
            "<h2>",
            "</h2>",
            "quote|",
            "\ufdd4",
            "|]]",
        ),
    ]
)
SITES = st.sampled_from([default_site(), SiteInfo("dewiki", "de"), SiteInfo("zhwiki", "zh")])


@settings(max_examples=400, deadline=None)
@given(pieces=st.lists(FRAGMENTS | st.text(max_size=4), max_size=40), site=SITES)
def test_any_input_gives_links_inside_its_text(pieces: list[str], site: SiteInfo) -> None:
    page = extract("".join(pieces), "Page", site)
    page.text.encode("utf-8")
    assert not re.search("[\x00\ufdd0-\ufdef]", page.text)
    assert page.text == page.text.strip(" \n")
    end = 0
    for link in page.links:
        assert link.kind in pages.LINK_KINDS
        assert (link.start_char is None) == (link.end_char is None)
        if link.start_char is not None and link.end_char is not None:
            assert end <= link.start_char < link.end_char <= len(page.text)
            end = link.end_char
            anchor = page.text[link.start_char : link.end_char]
            assert anchor == anchor.strip(" ")
            assert "\n" not in anchor
    for title, _, start in page.sections:
        assert page.text[start : start + len(title)] == title


@settings(max_examples=200, deadline=None)
@given(
    words=st.lists(
        st.tuples(st.text("abcdef ", max_size=6), st.text("ghéक", min_size=1, max_size=6)),
        min_size=1,
        max_size=8,
    )
)
def test_every_link_of_plain_prose_is_found_with_its_anchor(words: list[tuple[str, str]]) -> None:
    wikitext = "".join(
        f"{before}[[T{index}|{anchor}]]." for index, (before, anchor) in enumerate(words)
    )
    page = extract(wikitext, "Page", default_site())
    found = [(link.target_title, page.text[link.start_char : link.end_char]) for link in page.links]
    assert found == [(f"T{index}", anchor) for index, (_, anchor) in enumerate(words)]


def test_links_without_text_come_where_they_occur() -> None:
    wikitext = "[[a]]\n{{main|B}}\n[[File:x|c [[d]]]] [[e]]"
    page = extract(wikitext, "Page", default_site())
    assert [(link.kind, link.target_title) for link in page.links] == [
        ("body", "A"),
        ("hatnote", "B"),
        ("caption", "D"),
        ("body", "E"),
    ]


def test_the_redirect_attribute_wins_and_the_text_gives_the_section() -> None:
    site = default_site()
    found = redirect_target("#REDIRECT [[apple#History]]", "Apple", site)
    assert found == Target("Apple", "History", 0, False)
    assert redirect_target("no such word", "Pear", site) == Target("Pear", None, 0, False)
    assert redirect_target("no such word", None, site) is None


BAD_PAGES = {
    "openers of templates": "{{" * 50_000,
    "openers of links": "[[" * 50_000,
    "closers before openers": "]]" * 20_000 + "[[" * 20_000,
    "templates in templates": "{{a|" * 30_000,
    "rendered templates in templates": "{{nowrap|a" * 20_000 + "}}" * 20_000,
    "links in bold": "[[a|<b>" * 20_000,
    "quotes": "'" * 100_000,
    "quotes and links": "''[[" * 20_000,
    "tables in tables": "\n{|" * 30_000,
    "tables on one line": "{|" * 50_000,
    "closers of tables": "\n|}" * 30_000,
    "references": "<ref>" * 30_000,
    "references on lines, one end": "<ref>\n" * 20_000 + "</ref>",
    "references without their angle": "<ref " * 30_000,
    "formulas": "<math>" * 30_000,
    "nowikis": "<nowiki>" * 30_000,
    "comments": "<!--" * 30_000,
    "labels": "[//a " * 30_000,
    "labelled addresses": "[http://x " * 30_000,
    "labels with links": "[http://x [[a]] " * 20_000,
    "headings": "= " * 50_000,
    "heading lines": "==\n" * 30_000,
    "braces": "{" * 100_000 + "}" * 100_000,
    "ampersands": "&" * 100_000,
    "angles": "<" * 100_000,
    "files": "[[File:a|" * 30_000,
    "files with ends": "[[File:a|" * 20_000 + "]]" * 20_000,
    "own prefixes": "[[" + "en:" * 50_000 + "]]",
    "colons": "[[" + ":" * 50_000 + "]]",
    "list marks": "*" * 100_000,
    "lists": "\n*#:;" * 30_000,
    "blanks": " " * 100_000 + "a",
    "lines": "\n" * 100_000 + "a",
    "variants": "-{" * 50_000,
    "tags": "<b" * 50_000,
    "underscores": "__" * 50_000,
    "terms": "\n;a" * 20_000 + ":",
    "open brackets": "(" * 100_000,
    "brackets with stops": "( , " * 30_000,
    "poems": "<poem>\n" * 20_000,
    "bars": "|" * 100_000,
    "one million brackets": "[" * 500_000 + "]" * 500_000,
}


@pytest.mark.parametrize("name", BAD_PAGES)
def test_bad_page_ends_well_before_its_time_limit(name: str) -> None:
    # The limit is that of pyproject.toml; anything worse than linear runs into it.
    extract(BAD_PAGES[name], "Page", SiteInfo("zhwiki", "zh"))
    extract(BAD_PAGES[name], "Page", default_site())


ACCOUNTED = [
    *("[[a]]", "[[b|c]]s", "[[:Category:d]]", "[[Category:e{}]]", "[[fr:f]]", "[[wikt:g]]", "[[h"),
    *(
        "[[a~~~]]",
        "[[File:a.jpg]]",
        "[[File:a.jpg|thumb|x [[y]]]]",
        "<ref>[[k]]</ref>",
        "{{l|[[m]]}}",
    ),
    *("\n{|\n|[[n]]\n|}\n", "<score>[[o]]</score>", "{{nowrap|[[p]]}}", "<nowiki/>", "q\n"),
]


@given(st.lists(st.sampled_from(ACCOUNTED), max_size=20))
def test_every_opener_of_a_link_is_a_link_a_category_or_a_loss(pieces: list[str]) -> None:
    wikitext = " ".join(piece.replace("{}", str(index)) for index, piece in enumerate(pieces))
    page = extract(wikitext, "Page", default_site())
    num_kept = len(page.links) + len(page.categories)
    assert num_kept + sum(page.dropped.values()) == wikitext.count("[[")
