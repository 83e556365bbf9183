import dataclasses
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.engine.lifecycle import finish_job, open_job, plan_phase, run_task
from pipeline.engine.outputs import load_manifest
from pipeline.engine.stage import Job
from pipeline.sample import shards as sample_shards
from pipeline.sample.config import SampleConfig, split_source
from pipeline.sample.stage import SAMPLE
from schemas.errors import ConfigError, GraphError, StageError
from schemas.manifest import read_manifest, write_manifest
from schemas.tables.instances import CONTIGUOUS, LINKED, RANDOM, RELATIONS
from tests.pipeline.corpora import link, page, write_corpus
from tests.pipeline.engine.counting_stage import tree_bytes
from tests.pipeline.linked_corpus import finish_corpus, make_corpus, make_pages, read_rows
from tests.running import run_inline

Row = dict[str, Any]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("sample") / "corpus")


@pytest.fixture(scope="module")
def other_corpus(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    root = tmp_path_factory.mktemp("sample") / "books"
    return make_corpus(root, 60, seed=5, taken_from=str(corpus))


def sample_job(out: Path, *sources: object, **options: Any) -> Job:
    config = SampleConfig(**{"validation_fraction": 0.2, **options})
    return Job(SAMPLE, str(out), config, tuple(map(str, sources)))


def sample(out: Path, *sources: object, **options: Any) -> list[Row]:
    run_inline(sample_job(out, *sources, **options))
    return read_rows(out / "train")


def segments_of(corpus: Path) -> dict[tuple[int, int], Row]:
    rows = read_rows(corpus / "segments")
    return {(row["node_id"], row["segment_index"]): row for row in rows}


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    out = tmp_path_factory.mktemp("sample") / "shards"
    sample(out, corpus, epochs=2, shard_bytes=40_000)
    return out


def all_splits(shards: Path) -> Iterator[tuple[str, list[Row]]]:
    for split in ("train", "validation", "validation_closed"):
        yield split, read_rows(shards / split)


def test_token_ids_are_those_of_the_two_segments(corpus: Path, shards: Path) -> None:
    segments = segments_of(corpus)
    for _, rows in all_splits(shards):
        for row in rows:
            a = segments[row["source_id"], row["source_segment"]]
            b = segments[row["target_id"], row["target_segment"]]
            cls, sep = (np.array([each], "<u2").tobytes() for each in (2, 3))
            assert row["token_ids"] == cls + a["token_ids"] + sep + b["token_ids"] + sep
            assert row["num_tokens"] == a["num_tokens"] + b["num_tokens"] + 3
            assert row["num_tokens_a"] == a["num_tokens"]


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


def test_held_out_documents_are_seen_by_no_training_pair(shards: Path) -> None:
    seen = {row[name] for row in read_rows(shards / "train") for name in ("source_id", "target_id")}
    open_rows = read_rows(shards / "validation")
    closed = read_rows(shards / "validation_closed")
    assert open_rows
    assert closed
    assert not seen & {row["source_id"] for row in open_rows}
    assert not seen & {row[name] for row in closed for name in ("source_id", "target_id")}
    assert seen & {row["target_id"] for row in open_rows}


def test_the_mix_is_a_third_each_to_one_instance(shards: Path) -> None:
    rows = read_rows(shards / "train")
    for epoch in (0, 1):
        counts = np.bincount([row["relation"] for row in rows if row["epoch"] == epoch])
        assert counts.max() - counts.min() <= 1


def test_instance_ids_are_dense_over_epochs_and_shards(shards: Path) -> None:
    for split, rows in all_splits(shards):
        assert [row["instance_id"] for row in rows] == list(range(len(rows))), split
    names = sorted(part.name for part in (shards / "train").glob("*.parquet"))
    assert names[0] == "part-000-00000.parquet"
    assert names[-1].startswith("part-001-")
    assert len(names) == 4


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


def test_task_order_and_a_restart_change_no_byte(corpus: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"epochs": 2, "shard_bytes": 30_000}
    whole = tmp_path / "whole"
    run_inline(sample_job(whole, corpus, **options))
    cut = open_job(sample_job(tmp_path / "cut", corpus, **options))
    choice = random.Random(3)
    for _ in range(2):  # the second time stands for the same command after a kill
        records: dict[str, Any] = {}
        for phase in SAMPLE.phases:
            tasks = plan_phase(cut, phase, records)
            for task in choice.sample(tasks, len(tasks)):
                run_task(cut, phase, task)
            records[phase.name] = [run_task(cut, phase, task) for task in tasks]
        finish_job(cut, records)
        for shard in list((tmp_path / "cut" / "train").glob("*.parquet"))[::2]:
            assert tree_bytes(whole)[f"train/{shard.name}"] == shard.read_bytes()
            shard.unlink()
    for phase in SAMPLE.phases:
        for task in plan_phase(cut, phase, records):
            run_task(cut, phase, task)
    assert tree_bytes(tmp_path / "cut") == tree_bytes(whole)


def test_parts_of_the_corpus_change_no_pair(corpus: Path, tmp_path: Path) -> None:
    """Segments stored in another order give the same instances."""
    pages = make_pages(200)
    other = write_corpus(tmp_path / "other", [pages[150:], pages[:20], pages[20:150]])
    finish_corpus(other, taken_from=str(corpus))
    one = sample(tmp_path / "a", corpus)
    assert sample(tmp_path / "b", other) == one


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


def test_a_finished_stage_leaves_no_work_files(shards: Path) -> None:
    kept = {path.name for path in (shards / "_state" / "sample").iterdir()}
    assert not kept & {"index", "plan", "spill"}


def test_similar_documents_can_stand_in_for_links(corpus: Path, tmp_path: Path) -> None:
    rows = sample(tmp_path / "tfidf", corpus, links="tfidf")
    linked = {(row["source_id"], row["target_id"]) for row in rows if row["relation"] == LINKED}
    assert linked
    # No document has more than its five most similar ones.
    assert np.bincount([source for source, _ in linked]).max() <= 5
    keys = [(row["source_id"], row["source_segment"]) for row in rows]
    usual = sample(tmp_path / "hyperlink", corpus)
    assert keys == [(row["source_id"], row["source_segment"]) for row in usual]


def test_links_that_no_training_document_can_use_are_refused(tmp_path: Path) -> None:
    """Of two documents, the only link leads to one without text."""
    text = "Some words here. " * 40
    pages = [page(1, "A", [link("B", start_char=0, end_char=4)], text=text)]
    pages += [page(2, "B", text=""), page(3, "C", text=text)]
    root = finish_corpus(write_corpus(tmp_path / "c", [pages]), max_tokens=30)
    with pytest.raises(GraphError, match="--links none"):
        run_inline(sample_job(tmp_path / "s", root, validation_fraction=0.0))
    assert not (tmp_path / "s" / "train" / "_manifest.json").exists()


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


def test_a_corpus_of_one_document_has_no_random_pairs(tmp_path: Path) -> None:
    pages = [page(1, "T", text="Some words here. " * 40)]
    root = finish_corpus(write_corpus(tmp_path / "one", [pages]), max_tokens=30)
    job = sample_job(tmp_path / "s", root, links="none", validation_fraction=0.0)
    summary = run_inline(job)
    assert summary["relations"]["random"] == 0
    assert summary["dropped"] == 1


@pytest.mark.parametrize(
    "options",
    [
        {"links": "hyperlinks"},
        {"epochs": 0},
        {"validation_fraction": 1.0},
        {"mix": (0, 0, 0)},
        {"mix": (float("nan"), 1, 1)},
        {"mix": (float("inf"), 1, 1)},
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        SampleConfig(**options)


def test_no_document_left_to_train_on_is_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="smaller --validation-fraction") as caught:
        sample(tmp_path / "s", corpus, validation_fraction=0.999)
    assert "found all 200 held out" in str(caught.value)


def test_links_of_an_unknown_kind_are_named(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="'hyper' is none of hyperlink, tfidf, random, none"):
        open_job(sample_job(tmp_path / "s", f"{corpus}:hyper"))


def test_held_out_documents_can_be_limited_by_number(corpus: Path, tmp_path: Path) -> None:
    sample(tmp_path / "s", corpus, validation_documents=7)
    for split in ("validation", "validation_closed"):
        rows = read_rows(tmp_path / "s" / split)
        # A last cluster of one would keep no link.
        assert len({row["source_id"] for row in rows}) in (6, 7), split


def test_a_source_may_name_its_links() -> None:
    assert split_source("/a/b:none", "hyperlink") == ("/a/b", "none")
    assert split_source("gs://a/b/", "hyperlink") == ("gs://a/b", "hyperlink")


def test_shards_hold_about_the_wanted_bytes(corpus: Path, tmp_path: Path) -> None:
    sample(tmp_path / "s", corpus, shard_bytes=20_000)
    sizes = [
        sum(len(row["token_ids"]) for row in pq.read_table(part).to_pylist())
        for part in sorted((tmp_path / "s" / "train").glob("*.parquet"))
    ]
    assert all(10_000 < size < 30_000 for size in sizes)


def test_row_groups_are_what_a_loader_reads(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_shards, "_ROW_GROUP_ROWS", 50)
    sample(tmp_path / "s", corpus)
    with pq.ParquetFile(tmp_path / "s" / "train" / "part-000-00000.parquet") as file:
        rows = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert set(rows[:-1]) == {50}


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


def test_the_same_corpus_twice_is_refused(corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(corpus, tmp_path / "copy")
    for again in (f"{corpus}:none", tmp_path / "copy"):
        with pytest.raises(ConfigError, match="expected each corpus once"):
            run_inline(sample_job(tmp_path / "s", corpus, again))


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("nodes/part-00000.parquet", "graph"),
        ("csr/out_indices.npy", "graph"),
        ("csr/in_indptr.npy", "graph"),
        ("segments/part-00001.parquet", "segment"),
        ("tokens/part-00002.ids", "segment"),
        ("tokenizer/tokenizer.json", "tokenizer"),
    ],
)
def test_a_flipped_byte_or_a_lost_file_is_named(
    corpus: Path, tmp_path: Path, name: str, stage: str
) -> None:
    damaged = tmp_path / "corpus" / name
    shutil.copytree(corpus, tmp_path / "corpus")
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 4
    damaged.write_bytes(data)
    job = sample_job(tmp_path / "s", tmp_path / "corpus")
    with pytest.raises(StageError, match=f"found other bytes at .*{name}: run `linkbert {stage}`"):
        run_inline(job)
    damaged.unlink()
    with pytest.raises(StageError, match=f"found none at .*{name}"):
        run_inline(job)


def test_a_stray_part_is_named(corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(corpus, tmp_path / "corpus")
    parts = tmp_path / "corpus" / "segments"
    shutil.copy(parts / "part-00000.parquet", parts / "part-00009.parquet")
    with pytest.raises(StageError, match=r"part-00009\.parquet beside them"):
        run_inline(sample_job(tmp_path / "s", tmp_path / "corpus"))
