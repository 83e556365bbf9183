"""Templates without a rule: noted where they leave a hole in running prose."""

from __future__ import annotations

import pytest

from pipeline.wiki.site_info import SiteInfo, default_site
from pipeline.wikitext.extract import extract


@pytest.mark.parametrize(
    ("wikitext", "names"),
    [
        ("He met {{band|Abba|y}} there.", ["band"]),
        ("Він бачив {{Гурт\n| назва = [[Абба]]}}, там.", ["гурт"]),
        ("{{Infobox\n| a = {{b|c}} d\n}}\nText.", []),
        ("{{Stub}}", []),
        ("* {{cite book|x}} y {{nowrap|z}}", []),
        ("{|\n| a {{b}} c\n|}", []),
        ("a {{#if:x|y}} b {{PAGENAME}} c", []),
    ],
)
def test_only_holes_in_prose_are_noted(wikitext: str, names: list[str]) -> None:
    page = extract(wikitext, "Page", default_site())
    assert [name for name, _ in page.unruled] == names


def test_a_call_is_noted_as_written_and_cut() -> None:
    page = extract("甲{{乙|" + "丙" * 300 + "}}、丁", "Page", SiteInfo("jawiki", "ja"))
    [(name, call)] = page.unruled
    assert name == "乙"
    assert call == "乙|" + "丙" * 98
