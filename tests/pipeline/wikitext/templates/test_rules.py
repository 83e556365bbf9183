"""Rules for templates: by name, by language, and a user's own."""

from __future__ import annotations

import pytest

from pipeline.wikitext.templates.rules import rules_of, split_arguments


@pytest.mark.parametrize(
    ("language", "call", "text"),
    [
        ("fr", "incise|le soir", "– le soir –"),
        ("fr", "s-|XIX|e", "XIXe siècle"),
        ("fr", "unité|10|km", "10 km"),
        ("it", "chiarire|testo|che?", "testo"),
        ("pt", "séc|XIX", "século XIX"),
        ("ca", "segle|XIX", "segle XIX"),
        ("ro", "conversie|5|km|mi", "5 km"),
        ("bn", "রূপান্তর|306|km2|sqmi", "306 km²"),
        ("ja", "要出典範囲|CPU時間|date=x", "CPU時間"),
        ("ja", "en|I am", "I am"),
        ("ja", "vi|3 chữ", "3 chữ"),
        ("ar", "إنجليزية|2nd", "2nd"),
        ("fi", "k-en|Hi|Hei", "Hi"),
        ("de", "enS|word", "word"),
        ("ko", "llang|en|word", "word"),
        ("en", "HMAS|Sydney|D48", "[[HMAS Sydney (D48)|HMAS Sydney]]"),
        ("en", "native name|fr|mot", "mot"),
        ("en", "chem|H|2|O", "H2O"),
        ("ru", "lang-el2|λόγος", "λόγος"),
        ("vi", "flagicon|X", ""),
    ],
)
def test_templates_of_languages_show_their_text(language: str, call: str, text: str) -> None:
    rendered = rules_of(language).render(call)
    assert (rendered.text, rendered.unruled) == (text, None)


def test_a_rule_of_one_language_is_none_of_another() -> None:
    assert rules_of("fr").render("s|XIX|e").text == "XIXe siècle"
    assert rules_of("en").render("s|gone").text == "gone"
    assert rules_of("de").render("incise|x").unruled == "incise"


def test_own_rules_win_over_the_shipped_ones() -> None:
    own = '[[text]]\nnames = ["Nowrap", "Band"]\ntext = "«{1}»"'
    assert rules_of("de", own).render("nowrap|a").text == "«a»"
    assert rules_of("de", own).render("band|a").text == "«a»"
    assert rules_of("de").render("nowrap|a").text == "a"


def test_a_pattern_may_want_a_value() -> None:
    assert rules_of("it").render("bandiera|ITA").text == ""
    assert rules_of("it").render("bandiera|Veneto|nome").text == "Veneto"


def test_bars_in_links_separate_no_arguments() -> None:
    assert split_arguments("[[a|b]]|c=[[d|e]]") == {"1": "[[a|b]]", "c": "[[d|e]]"}
