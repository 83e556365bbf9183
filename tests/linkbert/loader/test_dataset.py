import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from linkbert.loader.dataset import InstanceReader, PassOrder, RowGroup, open_split
from schemas.errors import SchemaError
from tests.linkbert.shards_folder import write_shards


def identities(table: pa.Table) -> list[tuple[int, ...]]:
    names = ("epoch", "source_id", "source_segment", "target_id")
    return list(zip(*(table.column(name).to_pylist() for name in names), strict=True))


def test_first_pass_is_the_stored_order(shards: Path) -> None:
    split = open_split(shards / "train")
    table = InstanceReader(split, 0).read(0, split.num_instances)
    assert table.column("epoch").to_pylist() == [0] * 96 + [1] * 96
    assert table.column("mask_pass").to_pylist() == [0] * 96 + [1] * 96


def test_every_later_pass_holds_each_instance_once_in_another_order(shards: Path) -> None:
    split = open_split(shards / "train")
    size = split.num_instances
    reader = InstanceReader(split, 0)
    passes = [identities(reader.read(number * size, (number + 1) * size)) for number in range(3)]
    assert sorted(passes[0]) == sorted(passes[1]) == sorted(passes[2])
    assert passes[0] != passes[1] != passes[2]


def test_masks_are_new_in_every_pass(shards: Path) -> None:
    split = open_split(shards / "train")
    table = InstanceReader(split, 0).read(split.num_instances, 2 * split.num_instances)
    epochs, passes = (table.column(name).to_numpy() for name in ("epoch", "mask_pass"))
    assert (passes == epochs + 2).all()


@pytest.mark.parametrize("step", [1, 7, 50])
def test_reading_from_any_place_gives_the_same_tail(shards: Path, step: int) -> None:
    split = open_split(shards / "train")
    stop = 2 * split.num_instances + 30
    whole = identities(InstanceReader(split, 5).read(0, stop))
    for start in range(0, stop, 37):
        reader = InstanceReader(split, 5)
        tail = []
        for first in range(start, stop, step):
            tail += identities(reader.read(first, min(first + step, stop)))
        assert tail == whole[start:]


def test_order_of_later_passes_depends_on_the_seed(shards: Path) -> None:
    split = open_split(shards / "train")
    size = split.num_instances
    one, other = (identities(InstanceReader(split, seed).read(size, 2 * size)) for seed in (0, 1))
    assert one != other


def test_rows_are_permuted_within_windows() -> None:
    groups = [RowGroup(Path("part"), index, 10) for index in range(20)]
    order = PassOrder(groups, 0, 1, window_rows=40)
    assert [len(window) for window in order.windows] == [4] * 5
    rows = order.rows(2)
    assert rows is not None
    assert sorted(rows) == list(range(40))
    assert (np.diff(rows) != 1).any()
    other = order.rows(3)
    assert other is not None
    assert rows.tolist() != other.tolist()


def test_missing_part_is_noticed(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "shards") / "train"
    (folder / "part-001-00001.parquet").unlink()
    with pytest.raises(SchemaError, match=r"expected 192 instances.*found 144"):
        open_split(folder)


def test_part_that_is_cut_off_is_named(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "shards") / "train"
    part = folder / "part-001-00001.parquet"
    part.write_bytes(part.read_bytes()[:500])
    with pytest.raises(SchemaError, match=r"damaged one in .*part-001-00001\.parquet \(.*again"):
        open_split(folder)


def test_damaged_rows_are_named_when_they_are_read(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "shards") / "train"
    part = folder / "part-000-00000.parquet"
    content = bytearray(part.read_bytes())
    content[4:400] = bytes(396)  # pages; the footer is whole
    part.write_bytes(content)
    reader = InstanceReader(open_split(folder), seed=0)
    with pytest.raises(SchemaError, match=r"damaged one in .*part-000-00000\.parquet"):
        reader.read(0, 5)


def test_other_table_is_refused(tmp_path: Path, shards: Path) -> None:
    import pyarrow.parquet as pq

    folder = tmp_path / "train"
    shutil.copytree(shards / "train", folder)
    pq.write_table(pa.table({"a": [1]}), folder / "part-000-00000.parquet")
    with pytest.raises(SchemaError, match="expected the instances table"):
        open_split(folder)


def test_bucket_is_answered_with_the_copy_command() -> None:
    with pytest.raises(SchemaError, match="gcloud storage cp -r gs://bucket/shards"):
        open_split(Path("gs://bucket/shards"))
