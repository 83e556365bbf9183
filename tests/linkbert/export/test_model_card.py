"""A card shows strangers' names as text, and its front matter says what the hub reads."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from linkbert.export.model_card import as_text, write_card
from linkbert.training.checkpoint import TrainingState
from linkbert.training.run_folder import read_run
from tests import rendered

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![x](http://evil.example/track.png)",
    "a | b\n| c | d |\n\n# Heading",
    "---\nlicense: mit\n---",
    "`code` **bold** $x$ ~~gone~~ http://evil.example",
    "\u202eright to left\x1b[31m",
    "no", "null", "1.0", "{a: b}", "- item", "&lt;b&gt;",
]  # fmt: skip


def described(run: Path, **changes: Any) -> dict[str, Any]:
    found = read_run(run)
    found["facts"]["corpora"] = [{**found["facts"]["corpora"][0], **changes}]
    return found


def card_of(folder: Path, found: dict[str, Any]) -> tuple[dict[str, Any], str]:
    write_card(folder, found, TrainingState(), {})
    text = (folder / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    return yaml.safe_load(front), body


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "field", ["sitename", "dbname", "name", "language", "dump_date", "license", "licence"]
)
def test_every_field_from_a_dump_is_text(
    finished_run: Path, tmp_path: Path, field: str, text: str
) -> None:
    quiet = dict.fromkeys(("sitename", "dbname", "name", "license", "licence"))
    front, body = card_of(tmp_path, described(finished_run, **(quiet | {field: text})))
    assert "<" not in re.sub("`[^`]*`|```.*?```", "", body, flags=re.S), body
    assert "](" not in body.replace("](y", "").replace("\\](", "")
    assert not re.search(r"(?<!\\)://evil|\x1b|\u202e", body)
    rows = [line for line in body.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 3 for row in rows if row), rows
    assert not re.search("^# Heading", body, re.M)
    assert front["library_name"] == "transformers"
    assert front["license"] in ("other", "cc-by-sa-3.0")
    if field == "language":
        assert front["language"] == [" ".join(re.sub("[\u202e\x1b]", " ", text).split())]


_FIELDS = ("sitename", "language", "dump_date", "license", "num_pages")


@pytest.mark.parametrize("text", rendered.HOSTILE)
def test_a_card_of_hostile_fields_is_text_when_it_is_rendered(
    finished_run: Path, tmp_path: Path, text: str
) -> None:
    found = described(finished_run, **dict.fromkeys(_FIELDS, text)) | {"base_model": text}
    write_card(tmp_path, found, TrainingState(), {})
    markup, shown = rendered.read_html(rendered.rendered((tmp_path / "README.md").read_text()))
    assert markup == []
    assert shown.count(" ".join(text.split())) == len(_FIELDS) + 1


def test_front_matter_is_what_the_hub_reads(finished_run: Path, tmp_path: Path) -> None:
    found = described(finished_run, language="no") | {"base_model": "google/bert_x"}
    front, body = card_of(tmp_path, found)
    assert front == {
        "library_name": "transformers",
        "pipeline_tag": "fill-mask",
        "tags": ["linkbert", "bert", "masked-lm", "document-relations"],
        "language": ["no"],
        "license": "cc-by-sa-3.0",
        "datasets": ["testwiki-2017-09-20"],
        "base_model": "google/bert_x",
    }
    assert "| language | no |" in body


def test_plain_names_stay_as_they_are() -> None:
    for name in ("Vikipedeja", "2017-09-01", "Project of Ljubljana, 3.0", "ويكيبيديا", "維基百科"):
        assert as_text(name) == name
