from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.sample import shards as sample_shards
from pipeline.sample.shards import join_pairs
from pipeline.sample.token_store import TokenRuns, open_store
from schemas.pair_frame import PairFrame
from tests.pipeline.sample.sampling import all_splits, sample, segments_of

BERT = PairFrame.of_bert({"pad": 0, "unk": 3, "cls": 1, "sep": 2, "mask": 4})

ROBERTA = PairFrame((1,), (2, 2), (2,), False, 0, 4, 3, (0, 1, 2, 3, 4))


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


def test_instance_ids_are_dense_over_epochs_and_shards(shards: Path) -> None:
    for split, rows in all_splits(shards):
        assert [row["instance_id"] for row in rows] == list(range(len(rows))), split
    names = sorted(part.name for part in (shards / "train").glob("*.parquet"))
    assert names[0] == "part-000-00000.parquet"
    assert names[-1].startswith("part-001-")
    assert len(names) == 4


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


@pytest.mark.parametrize("dtype", ["<u2", "<u4"])
def test_pairs_are_joined_across_files(tmp_path: Path, dtype: str) -> None:
    contents = [np.arange(10, 15, dtype=dtype), np.zeros(0, dtype), np.arange(20, 29, dtype=dtype)]
    paths = []
    for index, content in enumerate(contents):
        paths.append(str(tmp_path / f"{index}.ids"))
        content.tofile(paths[-1])
    a = TokenRuns(np.array([0, 5]), np.array([5, 2]))
    b = TokenRuns(np.array([11, 4]), np.array([3, 1]))
    with open_store(paths, np.dtype(dtype)) as store:
        joined, sizes = join_pairs(store, a, b, BERT)
    assert sizes.tolist() == [11, 6]
    assert joined.tolist() == [1, 10, 11, 12, 13, 14, 2, 26, 27, 28, 2, 1, 20, 21, 2, 14, 2]
    assert joined.dtype == np.dtype(dtype)


def test_no_pairs_are_no_tokens(tmp_path: Path) -> None:
    none = TokenRuns(np.zeros(0, np.int64), np.zeros(0, np.int64))
    (tmp_path / "a.ids").write_bytes(b"ab")
    with open_store([str(tmp_path / "a.ids")], np.dtype("<u2")) as store:
        joined, sizes = join_pairs(store, none, none, BERT)
    assert len(joined) == len(sizes) == 0


def test_a_frame_of_other_sizes_goes_around_the_pair(tmp_path: Path) -> None:
    np.arange(10, 20, dtype="<u4").tofile(tmp_path / "a.ids")
    a, b = (TokenRuns(np.array(starts), np.array([2, 1])) for starts in ([0, 4], [6, 9]))
    with open_store([str(tmp_path / "a.ids")], np.dtype("<u4")) as store:
        joined, sizes = join_pairs(store, a, b, ROBERTA)
    first, second = ROBERTA.wrap([10, 11], [16, 17]), ROBERTA.wrap([14], [19])
    assert sizes.tolist() == [len(first), len(second)]
    assert joined.tolist() == [*first, *second]
