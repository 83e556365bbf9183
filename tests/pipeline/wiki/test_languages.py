"""Languages: which is meant by a code, and whose facts serve for it."""

from __future__ import annotations

import pytest

from pipeline.wiki.languages import known_language, language_facts, language_of


@pytest.mark.parametrize(
    ("dbname", "base", "language"),
    [
        ("enwiki", "", "en"),
        ("simplewiki", "", "en"),
        ("be_x_oldwiki", "", "be-tarask"),
        ("dewiktionary", "", "de"),
        ("commonswiki", "https://commons.wikimedia.org/wiki/Main_Page", "en"),
        ("", "https://vi.wikipedia.org/wiki/Trang_Ch%C3%ADnh", "vi"),
        ("", "http://en.wikipedia.org/wiki/Main_Page", "en"),
        ("somewiki", "https://example.org/", "en"),
    ],
)
def test_the_language_is_read_from_name_or_address(dbname: str, base: str, language: str) -> None:
    assert language_of(dbname, base) == language


@pytest.mark.parametrize(
    ("codes", "language"),
    [
        ("pt pt-br PT-BR pt_BR", "pt"),
        ("zh zh-tw zh-hk zh-mo zh-cn zh-sg zh-my zh-hans zh-hant zh-Hant-TW cmn", "zh"),
        ("nb no nb-NO se", "no"),
        ("sr-ec sr-el sr-cyrl sr-latn", "sr"),
        ("de-formal de-at de-ch pfl", "de"),
        ("en-gb en-ca simple xx tokipona", "en"),
        ("be-tarask be-x-old", "be-tarask"),
        ("kk-arab kk-cyrl kk-latn kk-cn", "kk"),
        ("nds-nl", "nl"),
        ("zh-yue yue", "zh-yue"),
        ("es-419 es-formal", "es"),
        ("hu-formal", "hu"),
        ("uz-cyrl uz-latn", "uz"),
    ],
)
def test_a_code_with_a_region_or_script_is_its_language(codes: str, language: str) -> None:
    for code in codes.split():
        assert known_language(code) == language, code
        assert language_facts(code) is language_facts(language)
