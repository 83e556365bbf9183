"""Rules for templates: by name, by language, and a user's own."""

from __future__ import annotations

import pytest

from pipeline.wikitext.templates.rules import rules_of, split_arguments
from pipeline.wikitext.templates.tables import compile_pattern, read_own_tables, shipped_tables
from schemas.errors import ConfigError

LARGEST = (
    *("en", "de", "fr", "sv", "nl", "ru", "es", "it", "pl", "zh", "ja", "uk", "vi", "ar", "pt"),
    *("fa", "ca", "ko", "id", "no", "tr"),
)


@pytest.mark.parametrize("language", LARGEST)
def test_a_large_wikipedia_has_rules_of_its_own(language: str) -> None:
    own = [table for table in shipped_tables() if language in table.languages]
    assert own, language


@pytest.mark.parametrize("language", [language for language in LARGEST if language != "en"])
def test_no_rule_writes_english_words_in_another_language(language: str) -> None:
    words = {"circa", "born", "died", "to", "and", "by", "inches", "million", "Greek", "Chinese"}
    words |= {"January", "May", "As", "of", "lit", "class"}
    for table in shipped_tables():
        if not table.languages or language in table.languages:
            text = table.renderer(language)({"1": "1", "2": "and", "3": "2", "*": "el"})
            found = set(text.replace("and", "").replace(".", " ").split())
            assert not found & words, (table.names, text)


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


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[[text]", "found no TOML"),
        ("[[words]]\nnames = []", "found 'words'"),
        ("text = 1", "found 'text'"),
        ('[[text]]\nnames = "a"\ntext = "b"', "names ="),
        ('[[text]]\nnames = ["a"]', "text ="),
        ('[[text]]\nnames = ["a"]\ntext = "b"\nlanguage = "de"', "'language'"),
        ('[[function]]\nnames = ["a"]\nfunction = "eval"', "'eval'"),
        ('[[hatnote]]\nnames = ["a"]\npages = "from x"', "'from x'"),
        ('[[text]]\nnames = []\ntext = "b"', "names ="),
        ('[[text]]\nnames = [" "]\ntext = "b"', "names ="),
        ('[[text]]\nnames = ["a"]\ntext = "<{1"', "a pattern of"),
        ('[[text]]\nnames = ["a"]\ntext = "b"\nlanguages = "de"', "languages ="),
        ('[[text]]\nnames = ["a"]\ntext = "b"\nin = {de = 3}', "a table in"),
        ('[[function]]\nnames = ["a"]\nfunction = "join"', "separator ="),
        ('[[function]]\nnames = ["a"]\nfunction = "foreign"\norder = "x"', "found 'x'"),
        ('[[function]]\nnames = ["a"]\nfunction = "date"\nfirst = 0', "first from 1"),
        (
            '[[function]]\nnames = ["a"]\nfunction = "date"\ndates = {de = {day = "{q}"}}',
            "12 months",
        ),
    ],
)
def test_rules_that_say_nothing_possible_are_refused_in_one_line(text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_own_tables(text)
    assert fault in str(error.value)
    assert "\n" not in str(error.value)


def test_a_function_of_a_user_s_table_knows_the_units_and_dates_of_the_package() -> None:
    own = """
        [[function]]
        names = ["am"]
        function = "date"
        order = "day month year"
        [[function]]
        names = ["maß"]
        function = "convert"
    """
    assert rules_of("de", own).render("am|3|5|2001").text == "3. Mai 2001"
    assert rules_of("de", own).render("maß|5|km2").text == "5 km²"


def test_a_pattern_may_want_a_value() -> None:
    assert rules_of("it").render("bandiera|ITA").text == ""
    assert rules_of("it").render("bandiera|Veneto|nome").text == "Veneto"


def test_a_pattern_may_have_a_default() -> None:
    render = compile_pattern("{1}{2|=e}< ({3})>")
    assert render({"1": "a"}) == "ae"
    assert render({"1": "a", "2": "er", "3": "b"}) == "aer (b)"


def test_bars_in_links_separate_no_arguments() -> None:
    assert split_arguments("[[a|b]]|c=[[d|e]]") == {"1": "[[a|b]]", "c": "[[d|e]]"}
