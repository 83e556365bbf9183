"""A shards folder describes itself to `datasets` and to people, whatever its wiki is called."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.stage import Job
from pipeline.sample.card import dataset_card, plain
from pipeline.sample.config import SampleConfig
from pipeline.sample.stage import SAMPLE
from tests import rendered
from tests.pipeline.linked_corpus import make_corpus, read_rows
from tests.running import run_inline

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

EVIL = '<script>alert("x")</script> | [a](javascript:x) `c` *d*\n---\nno'


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("card")
    corpus = make_corpus(root / "corpus", 120)
    config = SampleConfig(validation_fraction=0.2)
    run_inline(Job(SAMPLE, str(root / "shards"), config, (str(corpus),)))
    return root / "shards"


def front_matter(card: str) -> dict[str, Any]:
    opening, head, _ = card.split("---\n", 2)
    assert opening == ""
    return dict(yaml.safe_load(head))


def described(**corpus: str) -> dict[str, dict[str, Any]]:
    facts = {"sitename": "W", "dbname": "w", "language": "no", "dump_date": "2026-01-01",
             "links": "hyperlink", "licence": "CC BY-SA 4.0 and GFDL (https://x)"}  # fmt: skip
    extra = {
        "token_dtype": "<u2",
        "num_epochs": 1,
        "instances_per_epoch": [1200],
        "relations": {"contiguous": 400, "linked": 400, "random": 400},
        "drp_class_accuracy": 0.5,
        "corpora": [facts | corpus],
    }
    return {"train": extra, "validation": extra | {"instances_per_epoch": [0]}}


def test_datasets_loads_the_folder_with_its_splits(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    loaded = datasets.load_dataset(str(shards), cache_dir=str(tmp_path))
    assert set(loaded) == {"train", "validation", "validation_closed"}
    for name, split in loaded.items():
        rows = read_rows(shards / name)
        assert split.num_rows == len(rows)
        assert split[0] == rows[0]


def test_the_front_matter_is_yaml_of_the_hub() -> None:
    values = front_matter(dataset_card(described(), {"seed": 0}))
    assert values["license"] == ["cc-by-sa-4.0"]
    assert values["language"] == ["no"]  # not False
    assert values["size_categories"] == ["1K<n<10K"]
    [config] = values["configs"]
    assert config["data_files"] == [{"split": "train", "path": "train/*.parquet"}]


def test_the_card_tells_counts_mix_and_options(shards: Path) -> None:
    card = (shards / "README.md").read_text()
    num_rows = len(read_rows(shards / "train"))
    assert f"| train | {num_rows:,} | 1 |" in card
    assert "| validation&#95;fraction | 0.2 |" in card


@pytest.mark.parametrize(
    "field", ["sitename", "dbname", "language", "dump_date", "links", "licence"]
)
def test_no_field_of_a_dump_gets_markup_into_the_card(field: str) -> None:
    clean = dataset_card(described(), {"seed": 0})
    card = dataset_card(described(**{"sitename": "", field: EVIL}), {"seed": 0})
    assert front_matter(card)["tags"] == front_matter(clean)["tags"]
    assert "<script" not in card
    assert "](" not in card
    assert card.count("\n---\n") == 1
    rows = [line for line in card.splitlines() if line.startswith("|") and "hyperlink" in line]
    assert field == "links" or [row.count("|") for row in rows] == [6]


@pytest.mark.parametrize("text", rendered.HOSTILE)
def test_a_card_of_hostile_fields_is_text_when_it_is_rendered(text: str) -> None:
    fields = ("sitename", "language", "dump_date", "links", "licence")
    card = dataset_card(described(**dict.fromkeys(fields, text)), {"seed": 0, "mix": text})
    markup, shown = rendered.read_html(rendered.rendered(card))
    assert markup == []
    assert shown.count(text) == len(fields) + 1


def test_plain_keeps_words_of_any_script() -> None:
    assert plain("Vikipedeja (2017-09-01), Википедия") == "Vikipedeja (2017-09-01), Википедия"
