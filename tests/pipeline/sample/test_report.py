from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.engine.outputs import load_manifest
from schemas.tables.instances import RELATIONS
from tests.pipeline.corpora import link, write_corpus
from tests.pipeline.linked_corpus import finish_corpus, make_pages, read_rows
from tests.pipeline.sample.sampling import sample_job, segments_of
from tests.running import run_inline


def test_the_manifest_tells_what_training_needs(corpus: Path, shards: Path) -> None:
    extra = load_manifest(str(shards / "train")).extra
    rows = read_rows(shards / "train")
    assert extra["max_length"] == 2 * 62 + 3 >= max(row["num_tokens"] for row in rows)
    assert extra["num_epochs"] == 2
    assert sum(extra["instances_per_epoch"]) == len(rows)
    counts = np.bincount([row["relation"] for row in rows]).tolist()
    assert extra["relations"] == dict(zip(RELATIONS, counts, strict=True))
    assert extra["special_ids"] == {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
    assert (shards / extra["corpora"][0]["path"]).resolve() == corpus.resolve()
    assert extra["corpora"][0]["gini"]["weighted"] < extra["corpora"][0]["gini"]["uniform"]
    assert (shards / "tokenizer" / "tokenizer.json").read_bytes() == (
        corpus / "tokenizer" / "tokenizer.json"
    ).read_bytes()


def test_chance_is_the_best_guess_from_the_class_of_segment_a(corpus: Path, shards: Path) -> None:
    segments = segments_of(corpus)
    guesses: dict[tuple[bool, bool], list[int]] = {}
    held_out = {
        row["source_id"]
        for split in ("validation", "validation_closed")
        for row in read_rows(shards / split)
    }
    rows = read_rows(shards / "train")
    for row in rows:
        key = row["source_id"], row["source_segment"]
        usable = set(segments[key]["target_ids"]) - held_out
        has_successor = (key[0], key[1] + 1) in segments
        guesses.setdefault((has_successor, bool(usable)), []).append(row["relation"])
    best = sum(int(np.bincount(relations).max()) for relations in guesses.values())
    extra = load_manifest(str(shards / "train")).extra
    assert extra["drp_class_accuracy"] == pytest.approx(best / len(rows), abs=1e-4)


def test_a_mix_that_falls_short_says_of_what(corpus: Path, tmp_path: Path) -> None:
    def warnings(name: str, **options: Any) -> str:
        return "\n".join(run_inline(sample_job(tmp_path / name, corpus, **options))["warnings"])

    assert "falls short" not in warnings("even", link_scope="document")
    links = warnings("links", mix=(0.0, 0.0, 1.0))
    assert "the mix falls short (linked" in links
    assert "--link-scope document" in links
    following = warnings("following", mix=(1.0, 0.0, 0.0))
    assert "too few segments have a next one" in following
    assert "--link-scope document" not in following


def test_scarce_links_are_warned_of_with_their_reasons(tmp_path: Path) -> None:
    pages = make_pages(80)
    for number, row in enumerate(pages):
        row["links"] = [] if number % 2 else [*row["links"][-1:], link("Gone")]
    corpus = finish_corpus(write_corpus(tmp_path / "corpus", [pages]))
    job = sample_job(tmp_path / "s", corpus)
    [warning] = [line for line in run_inline(job)["warnings"] if "were asked for" in line]
    extra = load_manifest(str(tmp_path / "s" / "train")).extra
    reach = extra["corpora"][0]["segments_by_reach"]
    assert sum(reach.values()) == extra["instances_per_epoch"][0]
    assert reach["usable"] == extra["relations"]["linked"]
    share = reach["usable"] / sum(reach.values())
    assert warning.startswith(f"{share:.1%} of the training pairs are linked, 33.3% were asked")
    assert f"{reach['none_in_segment']:,} hold none of their document's links" in warning
    fates = load_manifest(str(corpus / "mentions")).extra["fates"]
    lost = fates["red"] + fates["self"]
    assert f"{lost} of {sum(fates.values())} links of the corpus lead to no document" in warning
    for cure in ("subset --around", "--link-scope document", "--mix-policy independent"):
        assert cure in warning


def test_links_as_asked_for_are_not_warned_of(corpus: Path, tmp_path: Path) -> None:
    job = sample_job(tmp_path / "s", corpus, link_scope="document")
    assert not [line for line in run_inline(job)["warnings"] if "were asked for" in line]
