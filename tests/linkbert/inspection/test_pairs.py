"""Instances in words: what their token ids say, and how A's document links to B's."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from linkbert.inspection.pairs import PairReader, _linked_by
from schemas.errors import SchemaError
from schemas.tables.instances import RELATIONS
from tests.linkbert.shards_folder import NUM_SPECIAL


@pytest.fixture(scope="module")
def row(shards: Path) -> dict[str, Any]:
    part = sorted((shards / "train").glob("*.parquet"))[0]
    return dict(pq.read_table(part).slice(0, 1).to_pylist()[0])


def test_without_a_corpus_a_pair_is_what_its_token_ids_say(
    shards: Path, row: dict[str, Any]
) -> None:
    reader = PairReader(shards / "train")
    pair = reader.read(row)
    assert (pair.relation, pair.titles, pair.links) == (RELATIONS[row["relation"]], (), [])
    assert reader.titles(row) is None
    ids = [
        int.from_bytes(row["token_ids"][at : at + 2], "little")
        for at in range(0, 2 * row["num_tokens"], 2)
    ]
    words = [f"w{each - NUM_SPECIAL}" for each in ids if each >= NUM_SPECIAL]
    assert pair.texts[0].split() == words[: row["num_tokens_a"]]
    assert pair.texts[1].split() == words[row["num_tokens_a"] :]


@pytest.mark.parametrize("name", ["corpus", "relation", "num_tokens_a", "target_segment"])
def test_a_negative_place_counts_from_no_end(shards: Path, row: dict[str, Any], name: str) -> None:
    with pytest.raises(SchemaError, match=f"expected {name} of 0 or more .*, found -1"):
        PairReader(shards / "train").read({**row, name: -1})


def test_how_documents_are_linked_is_told_by_the_anchor_in_a_before_one_elsewhere() -> None:
    text = "A cat sat. A mouse ran."
    cat, mouse = ({"start_char": start, "end_char": end} for start, end in ((2, 5), (13, 18)))
    in_a = [{"start_char": 2, "end_char": 7}]  # of a segment that begins at the second sentence
    assert _linked_by(text, [cat, mouse], in_a, 11) == 'linked by "mouse"'
    assert _linked_by(text, [cat], [], 11) == 'linked by "cat" elsewhere in its page'
    assert _linked_by(text, [], [], 0) == "linked by citation"
