"""What a user's own wiki needs of rules, and the rules given back to parse."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import linkbert
from linkbert.inspection.show_templates import dropped_templates, show_templates
from schemas.errors import ConfigError, SchemaError, StageError
from schemas.manifest import read_manifest
from schemas.parquet import table_parts

PAGES = ("Er traf {{Band|ABBA|jahr=1974}} und {{Band|Bee [[Gees]]}}.", "Die {{Farbe x}} kam.")


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    pages = "".join(
        f"<page><title>P{number}</title><ns>0</ns><id>{number}</id><revision><id>1</id>"
        f"<timestamp>2024-01-01T00:00:00Z</timestamp><text>{text}</text></revision></page>"
        for number, text in enumerate(PAGES, 1)
    )
    path = tmp_path / "wiki.xml"
    path.write_text(f'<mediawiki xml:lang="de">{pages}</mediawiki>', encoding="utf-8")
    return path


def _texts(corpus: Path) -> list[str]:
    tables = [pq.read_table(part) for part in table_parts(corpus / "pages")]
    return [text for table in tables for text in table.column("text").to_pylist()]


def test_rules_that_are_shown_and_given_back_fill_the_holes(dump: Path, tmp_path: Path) -> None:
    linkbert.parse(dump, tmp_path / "a", workers=1)
    found = dropped_templates(tmp_path / "a")
    assert found == {
        "band": {"calls": 2, "example": "Band|ABBA|jahr=1974"},
        "farbe x": {"calls": 1, "example": "Farbe x"},
    }
    shown = show_templates(tmp_path / "a", 1)
    assert "2  band: {{Band|ABBA|jahr=1974}}" in shown
    rules = shown.partition("# rules")[2].partition("\n")[2]
    assert tomllib.loads(rules)["text"] == [{"reason": "...", "names": ["band"], "text": "{1}"}]
    config = linkbert.ParseConfig(templates=rules)
    linkbert.parse(dump, tmp_path / "b", config, workers=1)
    assert _texts(tmp_path / "b") == ["Er traf ABBA und Bee Gees.", "Die kam."]
    assert read_manifest(tmp_path / "b" / "pages").config["templates"] == rules
    with pytest.raises(StageError, match="templates"):
        # Other rules are another corpus: a finished one is not taken for it.
        linkbert.parse(dump, tmp_path / "b", linkbert.ParseConfig(), workers=1)


def test_a_folder_without_counts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="parse its dump again"):
        dropped_templates(tmp_path)


def test_faulty_rules_are_refused_before_anything_is_read() -> None:
    with pytest.raises(ConfigError, match="in TOML, found something else"):
        linkbert.ParseConfig(templates="[[text")
