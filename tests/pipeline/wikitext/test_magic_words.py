"""Words for the wiki, the page and its namespace."""

from __future__ import annotations

import pytest

from pipeline.wiki.site_info import SiteInfo
from pipeline.wikitext.magic_words import magic_word, namespace_word

SITE = SiteInfo("ukwiki", "uk", "Вікіпедія")
TITLE = "Обговорення користувача:А/Б"


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("sitename", "Вікіпедія"),
        ("назва сайту", "Вікіпедія"),
        ("назва сторінки", "А/Б"),
        ("fullpagename", TITLE),
        ("fullpagenamee", TITLE),
        ("rootpagename", "А"),
        ("subjectpagename", "Користувач:А/Б"),
        ("talkspace", "Обговорення користувача"),
        ("namespace", "Обговорення користувача"),
        ("articlespace", "Користувач"),
        ("somethinge", None),
    ],
)
def test_a_word_stands_for_what_the_wiki_shows(word: str, shown: str | None) -> None:
    assert magic_word(word, TITLE, SITE) == shown


@pytest.mark.parametrize(
    ("function", "argument", "shown"),
    [
        ("ns", "4", "Вікіпедія"),
        ("ns", "Template", "Шаблон"),
        ("пн", "файл", "Файл"),
        ("nse", "0", ""),
        ("ns", "x" * 9, ""),
        ("lc", "4", None),
    ],
)
def test_a_namespace_is_named_by_number_or_name(
    function: str, argument: str, shown: str | None
) -> None:
    assert namespace_word(function, argument, SITE) == shown
