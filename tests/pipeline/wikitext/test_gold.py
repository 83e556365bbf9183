"""MediaWiki's own parser tests: the text and links we keep are those it shows.

Chosen are the files and cases on what our tables hold, by name and option; a few
exclusions were added after seeing failures.
Every case that differs is named in `tests/cases/gold_differences.txt`, under the reason; a case
that begins to differ fails the test, and so does one that no longer does.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from pipeline.wiki.site_info import SiteInfo
from pipeline.wikitext.extract import extract
from schemas.tables import pages
from tests.pipeline.wikitext.gold_parsoid import GoldCase, read_gold, shown

DIFFERENCES = Path(__file__).parents[2] / "cases" / "gold_differences.txt"
SUBJECTS = (
    "redirect|nowiki|list|link|categor|comment|heading|quote|bold|italic|image|media|media link"
)
FILES = {
    "wikiLinks.txt": "",
    "media.txt": "",
    "mediaLinks.txt": "",
    "catAndLangLinks.txt": "",
    "quotes.txt": "",
    "comments.txt": "",
    "definitionLists.txt": "",
    "headings.txt": "",
    "preTags.txt": "",
    "parserTests.txt": SUBJECTS,
}
# Cases of templates of that wiki, of its hooks and options, of other languages and namespaces.
OTHER_OPTIONS = re.compile(
    r"\b(?:disabled|language=|title=|subpage|showtitle|comment|pst|cat\b|ill\b|msg|section=\d|"
    r"wgAllowExternalImages|styletag)"
)
# What that wiki shows for files it lacks; to us any file leaves nothing.
OTHER_NAMES = re.compile(r"(?:Bad images|Redirected image|Missing image|Broken media)")
OTHER_SUBJECTS = re.compile(r"\{\{|<(?:static)?tag\b|<spantag")
SITE = SiteInfo("enwiki", "en", namespace_names={4: "Meta", 100: "MemoryAlpha"})


def _concerns_us(case: GoldCase) -> bool:
    if OTHER_OPTIONS.search(case.options) or OTHER_SUBJECTS.search(case.wikitext):
        return False
    if OTHER_NAMES.match(case.name):
        return False
    is_back_only = "html2wt" in case.options and "wt2html" not in case.options
    return not is_back_only and re.search(f"(?i){FILES[case.path]}", case.name) is not None


def _letters(text: str) -> str:
    """Leave out what we never keep.

    That is the brackets and quotes of markup that failed, the wiki's own words for its files and
    categories, and text without a letter or digit; blanks are laid out in another way.
    """
    kept = re.sub(r"\s|[\[\]\"]|''|(?:File|Image|Category):", "", text)
    return kept if re.search(r"\w", kept) else ""


def _agrees(case: GoldCase) -> bool:
    page = extract(case.wikitext, "Parser test", SITE)
    expected = shown(case.html)
    anchors = [
        _letters(page.text[link.start_char : link.end_char])
        for link in page.links
        if link.start_char is not None and link.kind == pages.BODY and link.target_namespace != -2
    ]
    theirs = [_letters(anchor) for _, anchor in expected.links]
    return _letters(page.text) == _letters(expected.text) and anchors == theirs


def _listed() -> dict[str, str]:
    """Return the reason of each listed case, by "file: name"."""
    found, reason = {}, ""
    for line in DIFFERENCES.read_text("utf-8").splitlines():
        if line.startswith("    "):
            found[line.strip()] = reason
        elif line and not line.startswith("#"):
            reason = line
    return found


def test_text_and_links_are_those_that_mediawiki_shows(shared_data: Path) -> None:
    found, passed = Counter[str](), Counter[str]()
    differing = []
    for name in FILES:
        for case in read_gold(shared_data / "gold" / "parsoid" / name):
            if _concerns_us(case):
                found[name] += 1
                passed[name] += _agrees(case)
                if not _agrees(case):
                    differing.append(f"{name}: {case.name.splitlines()[0]}")
    rates = "\n".join(f"{name:22} {passed[name]:4} of {found[name]:4}" for name in FILES)
    print(rates)
    assert found.total() > 550
    assert passed.total() >= 0.95 * found.total(), rates
    assert sorted(set(differing)) == sorted(_listed())


@pytest.mark.parametrize("name", sorted(set(_listed().values())))
def test_every_reason_is_more_than_a_word(name: str) -> None:
    assert name.endswith(".")
    assert len(name.split()) > 4
