import dataclasses
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.engine.lifecycle import finish_job, open_job, run_task, tasks_of_phase
from pipeline.engine.outputs import load_manifest
from pipeline.sample.stage import SAMPLE
from schemas.errors import ConfigError, GraphError, StageError
from schemas.manifest import read_manifest, write_manifest
from schemas.tables.instances import CONTIGUOUS, LINKED, RANDOM
from tests.pipeline.corpora import page, write_corpus
from tests.pipeline.engine.counting_stage import tree_bytes
from tests.pipeline.linked_corpus import finish_corpus, make_corpus, read_rows
from tests.pipeline.sample.sampling import all_splits, sample, sample_job, segments_of
from tests.running import run_inline


def test_each_relation_is_what_it_says(corpus: Path, shards: Path) -> None:
    segments = segments_of(corpus)
    edges = {(row["source_id"], row["target_id"]) for row in read_rows(corpus / "edges")}
    for _, rows in all_splits(shards):
        for row in rows:
            ends = row["source_id"], row["target_id"]
            if row["relation"] == CONTIGUOUS:
                assert ends[0] == ends[1]
                assert row["target_segment"] == row["source_segment"] + 1
            elif row["relation"] == LINKED:
                a = segments[row["source_id"], row["source_segment"]]
                assert row["target_id"] in a["target_ids"]
            else:
                assert ends[0] != ends[1]
                assert not {ends, ends[::-1]} & edges


def test_task_order_and_a_restart_change_no_byte(corpus: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"epochs": 2, "shard_bytes": 30_000}
    whole = tmp_path / "whole"
    run_inline(sample_job(whole, corpus, **options))
    cut = open_job(sample_job(tmp_path / "cut", corpus, **options))
    choice = random.Random(3)
    for _ in range(2):  # the second time stands for the same command after a kill
        records: dict[str, Any] = {}
        for phase in SAMPLE.phases:
            tasks = tasks_of_phase(cut, phase, records)
            for task in choice.sample(tasks, len(tasks)):
                run_task(cut, phase, task)
            records[phase.name] = [run_task(cut, phase, task) for task in tasks]
        finish_job(cut, records)
        for shard in list((tmp_path / "cut" / "train").glob("*.parquet"))[::2]:
            assert tree_bytes(whole)[f"train/{shard.name}"] == shard.read_bytes()
            shard.unlink()
    for phase in SAMPLE.phases:
        for task in tasks_of_phase(cut, phase, records):
            run_task(cut, phase, task)
    assert tree_bytes(tmp_path / "cut") == tree_bytes(whole)


def test_a_finished_stage_leaves_no_work_files(shards: Path) -> None:
    kept = {path.name for path in (shards / "_state" / "sample").iterdir()}
    assert not kept & {"index", "plan", "spill"}


def test_two_corpora_are_combined_each_with_its_links(
    corpus: Path, other_corpus: Path, tmp_path: Path
) -> None:
    rows = sample(tmp_path / "s", corpus, f"{other_corpus}:none")
    second = [row for row in rows if row["corpus"] == 1]
    segments = segments_of(other_corpus)
    assert {row["relation"] for row in second} == {CONTIGUOUS, RANDOM}
    for row in second:
        a = segments[row["source_id"], row["source_segment"]]["token_ids"]
        b = segments[row["target_id"], row["target_segment"]]["token_ids"]
        assert row["token_ids"][2 : 2 + len(a)] == a
        assert row["token_ids"][4 + len(a) : -2] == b
    places = np.array([row["corpus"] for row in rows])
    assert places[: len(places) // 2].mean() == pytest.approx(places.mean(), abs=0.1)
    corpora = load_manifest(str(tmp_path / "s" / "train")).extra["corpora"]
    assert [each["links"] for each in corpora] == ["hyperlink", "none"]
    assert corpora[1]["gini"] is None


def test_corpora_with_different_tokenizers_are_refused(corpus: Path, tmp_path: Path) -> None:
    other = make_corpus(tmp_path / "other", 30, seed=9)
    with pytest.raises(StageError, match="--from"):
        open_job(sample_job(tmp_path / "s", corpus, other))


def test_segments_of_an_older_tokenizer_are_refused(corpus: Path, tmp_path: Path) -> None:
    stale = tmp_path / "stale"
    shutil.copytree(corpus, stale)
    manifest = read_manifest(stale / "tokenizer")
    config = {**manifest.config, "vocab_size": 201}
    write_manifest(stale / "tokenizer", dataclasses.replace(manifest, config=config))
    with pytest.raises(StageError, match="linkbert segment"):
        open_job(sample_job(tmp_path / "s", stale))


def test_a_corpus_without_links_is_one_line_that_names_the_cure(tmp_path: Path) -> None:
    root = tmp_path / "plain"
    pages = [page(index, f"T{index}", text="Some words here. " * 40) for index in range(1, 9)]
    finish_corpus(write_corpus(root, [pages]), max_tokens=30)
    with pytest.raises(GraphError, match="--links none") as caught:
        run_inline(sample_job(tmp_path / "s", root))
    assert "\n" not in str(caught.value)
    rows = sample(tmp_path / "t", root, links="none")
    assert {row["relation"] for row in rows} == {CONTIGUOUS, RANDOM}


def test_links_of_an_unknown_kind_are_named(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="'hyper' is none of hyperlink, tfidf, random, none"):
        open_job(sample_job(tmp_path / "s", f"{corpus}:hyper"))


@pytest.mark.end_to_end  # datasets takes seconds to import
@pytest.mark.end_to_end
def test_shards_load_as_a_dataset_of_hugging_face(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    names = ("train", "validation", "validation_closed")
    files = {name: str(shards / name / "*.parquet") for name in names}
    loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path))
    for name in names:
        assert loaded[name].to_list() == read_rows(shards / name)


def test_the_same_corpus_twice_is_refused(corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(corpus, tmp_path / "copy")
    for again in (f"{corpus}:none", tmp_path / "copy"):
        with pytest.raises(ConfigError, match="expected each corpus once"):
            run_inline(sample_job(tmp_path / "s", corpus, again))
