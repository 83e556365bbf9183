"""Shards that break one rule each, with files and manifest made to agree again, are found out."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linkbert.inspection.check import check
from pipeline.engine.stage import Job
from pipeline.sample.config import SampleConfig
from pipeline.sample.stage import SAMPLE
from schemas.manifest import read_manifest, write_manifest
from schemas.parquet import TableWriter
from schemas.tables.instances import CONTIGUOUS, LINKED, RANDOM, SCHEMA
from tests.pipeline.linked_corpus import make_corpus, read_rows
from tests.running import run_inline

Row = dict[str, Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("check")
    corpus = make_corpus(root / "corpus", 120)
    config = SampleConfig(epochs=2, validation_fraction=0.2, shard_bytes=20_000)
    run_inline(Job(SAMPLE, str(root / "shards"), config, (str(corpus),)))
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "made")
    return tmp_path / "made"


def rewrite(root: Path, change: Callable[[list[Row], Path], Any], **extra: Any) -> list[str]:
    """Change the rows of the first training shard, let the manifest agree, and check."""
    train = root / "shards" / "train"
    part = train / "part-000-00000.parquet"
    metadata = pq.read_schema(part).metadata
    rows = read_rows_of(part)
    change(rows, root)
    with open(part, "wb") as file:
        writer = TableWriter(file, "instances", {b"token_dtype": metadata[b"token_dtype"]})
        writer.write(pa.Table.from_pylist(rows, schema=SCHEMA))
        writer.close()
    data = part.read_bytes()
    manifest = read_manifest(train)
    entries = [
        replace(
            entry, num_rows=len(rows), num_bytes=len(data), sha256=hashlib.sha256(data).hexdigest()
        )
        if entry.name == part.name
        else entry
        for entry in manifest.files
    ]
    num_rows = sum(entry.num_rows for entry in entries)
    write_manifest(
        train,
        replace(
            manifest,
            files=tuple(entries),
            rows_in=num_rows,
            rows_out=num_rows,
            extra={**manifest.extra, **extra},
        ),
    )
    return check(root / "shards").problems


def read_rows_of(part: Path) -> list[Row]:
    return list(pq.read_table(part).to_pylist())


def first(rows: list[Row], relation: int) -> Row:
    return next(row for row in rows if row["relation"] == relation)


def give_b(row: Row, root: Path, node_id: int) -> None:
    """Replace B by the first segment of another document, tokens and all."""
    b = next(each for each in read_rows(root / "corpus" / "segments") if each["node_id"] == node_id)
    end_a = 2 * (row["num_tokens_a"] + 2)
    row["token_ids"] = row["token_ids"][:end_a] + b["token_ids"] + row["token_ids"][-2:]
    row["num_tokens"] = row["num_tokens_a"] + 3 + b["num_tokens"]
    row["target_id"], row["target_segment"] = node_id, 0


def test_whole_shards_are_proved(root: Path) -> None:
    assert rewrite(root, lambda rows, root: None) == []
    assert check(root).problems == []


def call_random_linked(rows: list[Row], root: Path) -> None:
    first(rows, RANDOM)["relation"] = LINKED


def call_linked_random(rows: list[Row], root: Path) -> None:
    first(rows, LINKED)["relation"] = RANDOM


def call_contiguous_random(rows: list[Row], root: Path) -> None:
    first(rows, CONTIGUOUS)["relation"] = RANDOM


def flip_a_token(rows: list[Row], root: Path) -> None:
    token_ids = np.frombuffer(rows[7]["token_ids"], "<u2").copy()
    token_ids[1] = 10 if token_ids[1] != 10 else 11
    rows[7]["token_ids"] = token_ids.tobytes()


def flip_the_last_token_of_b(rows: list[Row], root: Path) -> None:
    token_ids = np.frombuffer(rows[7]["token_ids"], "<u2").copy()
    token_ids[-2] = 10 if token_ids[-2] != 10 else 11
    rows[7]["token_ids"] = token_ids.tobytes()


def write_an_unknown_token(rows: list[Row], root: Path) -> None:
    token_ids = np.frombuffer(rows[7]["token_ids"], "<u2").copy()
    token_ids[1] = 60_000
    rows[7]["token_ids"] = token_ids.tobytes()


def move_the_separator(rows: list[Row], root: Path) -> None:
    rows[3]["num_tokens_a"] -= 1


def swap_rows(rows: list[Row], root: Path) -> None:
    rows[3], rows[4] = rows[4], rows[3]


def lose_a_row(rows: list[Row], root: Path) -> None:
    del rows[-1]


def repeat_a_row(rows: list[Row], root: Path) -> None:
    rows[5] = {**rows[4], "instance_id": rows[5]["instance_id"]}


def say_another_epoch(rows: list[Row], root: Path) -> None:
    rows[2]["epoch"] = 1


def name_another_corpus(rows: list[Row], root: Path) -> None:
    rows[2]["corpus"] = 1


def give_a_relation_that_is_none(rows: list[Row], root: Path) -> None:
    rows[2]["relation"] = 3


def skip_a_segment(rows: list[Row], root: Path) -> None:
    row = first(rows, CONTIGUOUS)
    row["target_segment"] += 1


def link_to_an_unlinked_document(rows: list[Row], root: Path) -> None:
    give_b(first(rows, LINKED), root, first(rows, RANDOM)["target_id"])


def pair_at_random_with_a_linked_document(rows: list[Row], root: Path) -> None:
    edges = read_rows(root / "corpus" / "edges")
    row = first([r for r in rows if any(e["source_id"] == r["source_id"] for e in edges)], RANDOM)
    trained = {each["source_id"] for each in read_rows(root / "shards" / "train")}
    targets = [e["target_id"] for e in edges if e["source_id"] == row["source_id"]]
    give_b(row, root, next(target for target in targets if target in trained))


def train_on_a_held_out_document(rows: list[Row], root: Path) -> None:
    held_out = {each["source_id"] for each in read_rows(root / "shards" / "validation")}
    edges = read_rows(root / "corpus" / "edges")
    row = first(rows, RANDOM)
    linked = {e["target_id"] for e in edges if e["source_id"] == row["source_id"]}
    linked |= {e["source_id"] for e in edges if e["target_id"] == row["source_id"]}
    give_b(row, root, min(held_out - linked))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (call_random_linked, "expected a link from segment"),
        (call_linked_random, "expected no link between documents"),
        (call_contiguous_random, "expected another document in a random or linked pair"),
        (flip_a_token, "expected the tokens of segments"),
        (flip_the_last_token_of_b, "expected the tokens of segments"),
        (write_an_unknown_token, "in the layout 2 A 3 B 3"),
        (move_the_separator, "in the layout 2 A 3 B 3"),
        (swap_rows, "expected ids in stored order"),
        (lose_a_row, "expected ids in stored order"),
        (repeat_a_row, "expected each segment to be A once"),
        (say_another_epoch, "expected the epoch of the file's name"),
        (name_another_corpus, "expected a corpus of the manifest"),
        (give_a_relation_that_is_none, "expected a relation below 3"),
        (skip_a_segment, "expected the next segment in a contiguous pair"),
        (link_to_an_unlinked_document, "expected a link from segment"),
        (pair_at_random_with_a_linked_document, "expected no link between documents"),
        (train_on_a_held_out_document, "expected no document of validation in training"),
    ],
)
def test_each_broken_rule_is_found_and_its_place_is_named(
    root: Path, change: Callable[[list[Row], Path], Any], found: str
) -> None:
    problems = rewrite(root, change)
    assert any(found in problem for problem in problems), problems
    assert all(str(root / "shards") in problem for problem in problems)


def test_a_row_lost_with_its_counts_is_found_as_a_missing_segment(root: Path) -> None:
    """The last shard of an epoch, so that no id after it tells."""
    train = root / "shards" / "train"
    manifest = read_manifest(train)
    part = sorted(train.glob("part-001-*.parquet"))[-1]
    rows = read_rows_of(part)
    relations = dict(manifest.extra["relations"])
    relations[("contiguous", "random", "linked")[rows[-1]["relation"]]] -= 1
    metadata = pq.read_schema(part).metadata
    with open(part, "wb") as file:
        writer = TableWriter(file, "instances", {b"token_dtype": metadata[b"token_dtype"]})
        writer.write(pa.Table.from_pylist(rows[:-1], schema=SCHEMA))
        writer.close()
    data = part.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    entries = tuple(
        replace(entry, num_rows=len(rows) - 1, num_bytes=len(data), sha256=digest)
        if entry.name == part.name
        else entry
        for entry in manifest.files
    )
    per_epoch = [manifest.extra["instances_per_epoch"][0], manifest.rows_out // 2 - 1]
    extra = {**manifest.extra, "relations": relations, "instances_per_epoch": per_epoch}
    size = manifest.rows_out - 1
    changed = replace(manifest, files=entries, rows_in=size, rows_out=size, extra=extra)
    write_manifest(train, changed)
    [problem] = check(root / "shards").problems
    assert "expected all segments of the documents to be A" in problem


def test_counts_that_are_not_those_of_the_manifest_are_found(root: Path) -> None:
    wrong = {"contiguous": 1, "random": 1, "linked": 1}
    problems = rewrite(root, lambda rows, root: None, relations=wrong, instances_per_epoch=[1, 2])
    assert [problem.split(",")[0] for problem in problems] == [
        "expected relations {'contiguous': 1",
        "expected [1",
    ]


def test_a_pair_longer_than_allowed_is_found(root: Path) -> None:
    [problem] = rewrite(root, lambda rows, root: None, max_length=20)
    assert "expected at most 20 tokens" in problem


def test_linked_pairs_of_the_arm_of_random_links_must_not_be_linked(root: Path) -> None:
    [corpus] = read_manifest(root / "shards" / "train").extra["corpora"]
    [problem] = rewrite(root, lambda rows, root: None, corpora=[{**corpus, "links": "random"}])
    assert "expected no link between documents" in problem


def test_without_the_corpus_what_the_shards_say_themselves_is_checked(root: Path) -> None:
    shutil.rmtree(root / "corpus")
    assert check(root / "shards").problems == []
    assert "stored order" in rewrite(root, swap_rows)[0]
