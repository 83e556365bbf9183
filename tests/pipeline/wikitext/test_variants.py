"""Which variant of a language conversion stands in the text."""

from __future__ import annotations

import pytest

from pipeline.wikitext.variants import choose_variant, variants_of


@pytest.mark.parametrize(
    ("language", "content", "text"),
    [
        ("zh", "zh-hant:甲;zh-hans:乙", "乙"),
        ("zh-tw", "zh-hans:乙;zh-hant:甲", "甲"),
        ("zh", "zh-tw:甲;zh-hk:丙;", "甲"),
        ("zh", "A|zh-hans:乙;zh-hant:甲", "乙"),
        ("zh", "D|zh-hans:乙", ""),
        ("zh", "T|x", ""),
        ("zh", "zh-hans;zh-hant|甲", "甲"),
        ("zh", "R|甲:乙;丙", "甲:乙;丙"),
        ("zh", "甲;乙", "甲;乙"),
        ("zh", "", ""),
        ("zh", "甲=>zh-cn:乙", "乙"),
        ("zh", "zh-hans:[[a|b]];zh-hant:[[c|d]]", "[[a|b]]"),
        ("sr", "sr-el:a; sr-ec:б", "б"),
        ("sr-el", "sr-ec:б; sr-el:a", "a"),
        ("kk", "kk-latn:a;kk-cyrl:б", "б"),
        ("uz", "uz-cyrl:б;uz-latn:a", "a"),
    ],
)
def test_the_text_of_the_wiki_s_own_variant_is_chosen(
    language: str, content: str, text: str
) -> None:
    assert choose_variant(content, variants_of(language)) == text


def test_most_languages_have_no_variants() -> None:
    assert variants_of("en") == variants_of("ja") == variants_of("pt-br") == ()
