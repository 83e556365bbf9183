from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.errors import ConfigError, GraphError
from schemas.tables.instances import CONTIGUOUS, RANDOM
from tests.pipeline.corpora import link, page, write_corpus
from tests.pipeline.linked_corpus import finish_corpus, read_rows
from tests.pipeline.sample.sampling import sample, sample_job, segments_of
from tests.running import run_inline


def test_every_training_segment_is_segment_a_once_an_epoch(corpus: Path, shards: Path) -> None:
    rows = read_rows(shards / "train")
    held_out = {
        row["source_id"]
        for split in ("validation", "validation_closed")
        for row in read_rows(shards / split)
    }
    expected = sorted(key for key in segments_of(corpus) if key[0] not in held_out)
    for epoch in (0, 1):
        found = [(r["source_id"], r["source_segment"]) for r in rows if r["epoch"] == epoch]
        assert sorted(found) == expected
    pairs = [
        {(r["source_id"], r["source_segment"], r["target_id"], r["target_segment"])
         for r in rows if r["epoch"] == epoch}
        for epoch in (0, 1)
    ]  # fmt: skip
    assert len(pairs[0] & pairs[1]) < 0.7 * len(pairs[0])


def test_the_mix_is_a_third_each_to_one_instance(shards: Path) -> None:
    rows = read_rows(shards / "train")
    for epoch in (0, 1):
        counts = np.bincount([row["relation"] for row in rows if row["epoch"] == epoch])
        assert counts.max() - counts.min() <= 1


def test_arms_differ_in_segment_b_alone(corpus: Path, tmp_path: Path) -> None:
    arms = {
        links: sample(tmp_path / links, corpus, links=links)
        for links in ("hyperlink", "random", "none")
    }
    keys = {
        links: [(row["source_id"], row["source_segment"]) for row in rows]
        for links, rows in arms.items()
    }
    assert keys["hyperlink"] == keys["random"] == keys["none"]
    relations = [row["relation"] for row in arms["hyperlink"]]
    assert [row["relation"] for row in arms["random"]] == relations
    assert {row["relation"] for row in arms["none"]} == {CONTIGUOUS, RANDOM}


@pytest.mark.parametrize(
    "options",
    [
        {"weighting": "uniform"},
        {"link_scope": "document"},
        {"target_segment": "lead"},
        {"mix_policy": "independent"},
        {"mix": (2.0, 1.0, 1.0)},
        {"seed": 1},
    ],
)
def test_each_option_changes_the_pairs(
    corpus: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    assert sample(tmp_path / "a", corpus) != sample(tmp_path / "b", corpus, **options)


def test_links_that_no_training_document_can_use_are_refused(tmp_path: Path) -> None:
    """Of two documents, the only link leads to one without text."""
    text = "Some words here. " * 40
    pages = [page(1, "A", [link("B", start_char=0, end_char=4)], text=text)]
    pages += [page(2, "B", text=""), page(3, "C", text=text)]
    root = finish_corpus(write_corpus(tmp_path / "c", [pages]), max_tokens=30)
    with pytest.raises(GraphError, match="--links none"):
        run_inline(sample_job(tmp_path / "s", root, validation_fraction=0.0))
    assert not (tmp_path / "s" / "train" / "_manifest.json").exists()


def test_a_corpus_of_one_document_has_no_random_pairs(tmp_path: Path) -> None:
    pages = [page(1, "T", text="Some words here. " * 40)]
    root = finish_corpus(write_corpus(tmp_path / "one", [pages]), max_tokens=30)
    job = sample_job(tmp_path / "s", root, links="none", validation_fraction=0.0)
    summary = run_inline(job)
    assert summary["relations"]["random"] == 0
    assert summary["dropped"] == 1


def test_no_document_left_to_train_on_is_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="smaller --validation-fraction") as caught:
        sample(tmp_path / "s", corpus, validation_fraction=0.999)
    assert "found all 200 held out" in str(caught.value)
