"""Held-out segments with every kind of partner."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from linkbert.evaluation.held_out import HeldOutPair, held_out_pairs
from linkbert.loader.dataset import open_split
from schemas.errors import SchemaError
from schemas.tables.instances import LINKED, RANDOM
from tests.linkbert.shards_folder import FACTS, write_shards


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("held") / "shards", num_instances=600)


def pairs_of(folder: Path, seed: int = 0, max_pairs: int = 1000) -> list[HeldOutPair]:
    return held_out_pairs(open_split(folder / "validation"), FACTS, max_pairs, seed)


def test_every_linked_instance_is_there_with_its_own_a_and_b(folder: Path) -> None:
    rows = pq.read_table(folder / "validation").to_pylist()
    linked = [row for row in rows if row["relation"] == LINKED]
    found = pairs_of(folder)
    assert len(found) == len(linked) > 50
    for pair, row in zip(found, linked, strict=True):
        ids = np.frombuffer(row["token_ids"], "<u2").tolist()
        num_a = row["num_tokens_a"]
        assert pair.a.tolist() == ids[1 : 1 + num_a]
        assert pair.linked.tolist() == ids[2 + num_a : -1]


def test_the_contiguous_partner_is_the_next_segment_of_the_same_document(folder: Path) -> None:
    rows = pq.read_table(folder / "validation").to_pylist()
    a_of = {
        (row["source_id"], row["source_segment"]): np.frombuffer(row["token_ids"], "<u2")[
            1 : 1 + row["num_tokens_a"]
        ].tolist()
        for row in rows
    }
    found = pairs_of(folder)
    for pair in found:
        expected = a_of.get((pair.source_id, pair.source_segment + 1))
        assert (None if pair.contiguous is None else pair.contiguous.tolist()) == expected
    assert {pair.contiguous is None for pair in found} == {True, False}


def test_the_random_partner_is_a_random_b_of_nearly_the_linked_ones_length(folder: Path) -> None:
    rows = pq.read_table(folder / "validation").to_pylist()
    random = {
        tuple(np.frombuffer(row["token_ids"], "<u2")[2 + row["num_tokens_a"] : -1].tolist())
        for row in rows
        if row["relation"] == RANDOM
    }
    found = pairs_of(folder)
    assert all(tuple(pair.random.tolist()) in random for pair in found)
    assert np.mean([abs(len(pair.random) - len(pair.linked)) for pair in found]) < 0.5


def test_a_document_shown_as_linked_is_no_random_partner(tmp_path: Path) -> None:
    """All documents link to one another but for document 1: it alone may be random to 0."""
    from linkbert.evaluation.held_out import Rows, _nearest_in_length

    table = pq.read_table(write_shards(tmp_path / "s", num_instances=600) / "validation")
    rows = Rows(table, FACTS)
    pool = np.flatnonzero(rows.relation == RANDOM)
    row = int(np.flatnonzero(rows.relation == LINKED)[0])
    own = rows.key_of_a(row)[:2]
    only = int(pool[0])
    others = {rows.document_of_b(int(each)) for each in pool} - {rows.document_of_b(only)}
    assert _nearest_in_length(rows, row, pool, {own: others}) == only
    assert _nearest_in_length(rows, row, pool, {own: others | {rows.document_of_b(only)}}) is None


def test_the_seed_decides_the_random_partners_and_nothing_else(folder: Path) -> None:
    first, again, other = pairs_of(folder), pairs_of(folder), pairs_of(folder, seed=1)
    assert [p.random.tolist() for p in first] == [p.random.tolist() for p in again]
    assert [p.random.tolist() for p in first] != [p.random.tolist() for p in other]
    assert [p.linked.tolist() for p in first] == [p.linked.tolist() for p in other]


def test_a_limit_takes_the_first_and_an_empty_split_is_an_error(folder: Path) -> None:
    assert [p.a.tolist() for p in pairs_of(folder, max_pairs=5)] == [
        p.a.tolist() for p in pairs_of(folder)[:5]
    ]
    with pytest.raises(SchemaError, match="--validation-fraction"):
        held_out_pairs(open_split(folder / "validation_closed"), FACTS, 5, 0)
