"""Tables of rules: what ships for each language, and a user's own that say nothing possible."""

from __future__ import annotations

import pytest

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
    ("text", "fault"),
    [
        ("[[text]", "found something else"),
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


def test_a_pattern_may_have_a_default() -> None:
    render = compile_pattern("{1}{2|=e}< ({3})>")
    assert render({"1": "a"}) == "ae"
    assert render({"1": "a", "2": "er", "3": "b"}) == "aer (b)"
