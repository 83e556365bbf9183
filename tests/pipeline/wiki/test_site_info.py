"""Sites: names of namespaces, prefixes, redirect words, from siteinfo and from the shipped data."""

from __future__ import annotations

import json
import pickle

import pytest

from pipeline.wiki.languages import language_facts
from pipeline.wiki.site_info import (
    CANONICAL_NAMES,
    CATEGORY,
    FILE,
    SiteInfo,
    default_site,
)

LARGEST_WIKIPEDIAS = (
    *(
        "en",
        "ceb",
        "de",
        "fr",
        "sv",
        "nl",
        "ru",
        "es",
        "it",
        "arz",
        "pl",
        "ja",
        "zh",
        "vi",
        "war",
        "ar",
    ),
    *(
        "uk",
        "pt",
        "fa",
        "ca",
        "ko",
        "id",
        "no",
        "tr",
        "fi",
        "cs",
        "hu",
        "he",
        "el",
        "mr",
        "ltg",
        "bg",
        "aa",
    ),
)


@pytest.mark.parametrize("language", LARGEST_WIKIPEDIAS)
def test_a_large_wikipedia_has_its_own_facts(language: str) -> None:
    facts = language_facts(language)
    assert language == "en" or facts is not language_facts("en")
    site = SiteInfo(f"{language}wiki", language)
    for number in (FILE, CATEGORY):
        assert site.namespace_id(site.namespace_name(number)) == number
        assert site.namespace_id(CANONICAL_NAMES[number].upper()) == number
    assert site.rules.redirect.match("#REDIRECT [[x]]")


def test_siteinfo_wins_over_the_shipped_names() -> None:
    site = SiteInfo("dewiki", "de", namespace_names={6: "Bildchen", 4: "Wiki"})
    assert site.namespace_name(6) == "Bildchen"
    assert site.namespace_id("bildchen") == 6
    assert site.namespace_id("Datei") == 6


def test_a_namespace_above_15_exists_only_where_siteinfo_names_it() -> None:
    with_portal = SiteInfo("dewiki", "de", namespace_names={6: "Datei", 100: "Portal"})
    without = SiteInfo("dewiki", "de", namespace_names={6: "Datei"})
    assert with_portal.namespace_id("portal") == 100
    assert without.namespace_id("portal") is None


def test_case_blanks_and_underscores_of_a_prefix_do_not_matter() -> None:
    site = default_site()
    assert site.namespace_id(" category_TALK ") == 15
    assert site.namespace_id("category__ talk") == 15


def test_a_site_survives_json_and_pickle() -> None:
    site = SiteInfo("ltgwiki", "ltg", "Vikipedeja", "MediaWiki 1.30", {14: "Kategoreja"}, {0: "x"})
    assert SiteInfo.from_json(json.loads(json.dumps(site.to_json()))) == site
    assert pickle.loads(pickle.dumps(site)) == site
    assert pickle.loads(pickle.dumps(site)).namespace_id("kategoreja") == 14


def test_own_prefixes_lead_home_on_a_wikipedia_only() -> None:
    wikipedia, other = SiteInfo("dewiki", "de"), SiteInfo("shintowiki", "en")
    assert wikipedia.is_own_prefix("de")
    assert not wikipedia.is_interwiki_prefix("de")
    # `w:` is the English Wikipedia wherever it stands.
    assert wikipedia.is_interwiki_prefix("w")
    assert SiteInfo("enwiki", "en").is_own_prefix("w")
    assert other.is_interwiki_prefix("w")
    assert not other.is_language_prefix("w")


def test_every_link_trail_and_redirect_word_compiles() -> None:
    for language in ("ar", "ca", "he", "hi", "ka", "kk", "mr", "uk", "zh"):
        site = SiteInfo(f"{language}wiki", language)
        for word in language_facts(language)["redirect"]:
            match = site.rules.redirect.match(f"{word} [[x#y]]")
            assert match is not None
            assert match.group(1) == "x#y"


@pytest.mark.parametrize(
    ("site", "namespaces"),
    [
        (SiteInfo("dewikisource", "de"), {0, 1, 2, 104}),
        (SiteInfo("dewiki", "de"), {1, 2, 104}),
        (
            SiteInfo("starwars", base_url="https://starwars.fandom.com/wiki/Main_Page"),
            {0, 1, 2, 104},
        ),
        (SiteInfo("x", base_url="https://fandom.com.example.org/wiki/X"), {1, 2, 104}),
    ],
)
def test_subpages_are_where_the_wiki_has_them(site: SiteInfo, namespaces: set[int]) -> None:
    assert {
        number for number in (-1, 0, 1, 2, 6, 14, 104) if site.has_subpages(number)
    } == namespaces


def test_a_region_of_a_language_has_the_rules_of_the_language() -> None:
    site = SiteInfo("portal", "pt-br")
    assert site.namespace_id("Categoria") == CATEGORY
    assert site.rules.redirect.match("#REDIRECIONAMENTO [[x]]")
    assert SiteInfo("x", "tr-TR").capitalise("istanbul", 0) == "İstanbul"
