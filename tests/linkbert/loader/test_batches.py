from pathlib import Path

import numpy as np
import pytest

from linkbert.loader.batches import BatchMaker, Share, StepBatch, share_out
from linkbert.loader.dataset import InstanceReader, open_split
from linkbert.loader.masking import masking_rule
from linkbert.model.network import Batch
from schemas.pair_frame import PairFrame
from tests.linkbert.shards_folder import SPECIAL_IDS


def maker(shards: Path, rank: int = 0, num_ranks: int = 1, micro_batch_size: int = 5) -> BatchMaker:
    rule = masking_rule(0, range(64), PairFrame.of_bert(SPECIAL_IDS), (0.15, 0.8, 0.1))
    reader = InstanceReader(open_split(shards / "train"), 0)
    return BatchMaker(reader, rule, "<u2", Share(rank, num_ranks, micro_batch_size))


def sequences(batches: list[Batch]) -> list[tuple[tuple[int, ...], ...]]:
    """Return tokens, positions, token types and masked places of each sequence, sorted."""
    found = []
    for batch in batches:
        start = 0
        for length in batch.lengths_B.tolist():
            rows = (batch.token_ids_N, batch.position_ids_N, batch.token_types_N)
            parts = [tuple(row[start : start + length].tolist()) for row in rows]
            pairs = zip(batch.masked_positions_M.tolist(), batch.labels_M.tolist(), strict=True)
            inside = [(p - start, label) for p, label in pairs if start <= p < start + length]
            found.append((*parts, tuple(p for p, _ in inside), tuple(t for _, t in inside)))
            start += length
    return sorted(found)


def test_every_way_to_share_a_global_batch_holds_the_same_sequences(shards: Path) -> None:
    whole = sequences(maker(shards).make(30, 53).micro_batches)
    assert len(whole) == 23
    for num_ranks, micro_batch_size in ((1, 100), (1, 1), (2, 4), (3, 5)):
        parts: list[Batch] = []
        for rank in range(num_ranks):
            parts += maker(shards, rank, num_ranks, micro_batch_size).make(30, 53).micro_batches
        assert sequences(parts) == whole


def test_sequence_is_the_instance_with_its_masks_taken_back(shards: Path) -> None:
    table = InstanceReader(open_split(shards / "train"), 0).read(0, 20)
    stored = sorted(
        tuple(np.frombuffer(value, "<u2").tolist()) for value in table["token_ids"].to_pylist()
    )
    restored = []
    for tokens, positions, types, places, labels in sequences(
        maker(shards).make(0, 20).micro_batches
    ):
        original = list(tokens)
        for place, label in zip(places, labels, strict=True):
            original[place] = label
        restored.append(tuple(original))
        assert positions == tuple(range(len(tokens)))
        first_sep = original.index(SPECIAL_IDS["sep"])
        assert types == tuple(int(place > first_sep) for place in range(len(tokens)))
    assert sorted(restored) == stored


def test_sequences_do_not_depend_on_how_many_are_masked_at_once(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def batches() -> list[list[object]]:
        made = maker(shards, micro_batch_size=3).make(30, 53).micro_batches
        return [
            [value.tolist() if hasattr(value, "tolist") else value for value in batch]
            for batch in made
        ]

    at_once = batches()
    monkeypatch.setattr("linkbert.loader.batches._BLOCK", 1)
    assert batches() == at_once
    assert len(at_once) == 8


def test_counts_are_of_the_global_batch_and_masks_of_the_rank(shards: Path) -> None:
    whole = maker(shards).make(0, 24)
    halves = [maker(shards, rank, 2).make(0, 24) for rank in range(2)]
    assert sum(half.num_masked for half in halves) == whole.num_masked > 0
    for half in halves:
        assert (half.num_instances, half.num_tokens) == (24, whole.num_tokens)
        assert half.relation_counts == whole.relation_counts == (8, 8, 8)


def test_stream_is_the_batches_of_each_step_in_order(shards: Path) -> None:
    def key(batch: StepBatch) -> list[tuple[tuple[int, ...], ...]]:
        return sequences(batch.micro_batches)

    made = maker(shards)
    streamed = [key(batch) for batch in made.stream(12, 12, 40)]
    assert streamed == [key(made.make(12 + 12 * i, 24 + 12 * i)) for i in range(40)]


def test_ranks_have_equal_work() -> None:
    lengths = np.random.default_rng(0).integers(40, 512, 2048).astype(np.int32)
    work = [
        sum(lengths[rows].sum() for rows in share_out(lengths, Share(rank, 8, 32)))
        for rank in range(8)
    ]
    assert max(work) / min(work) < 1.01


@pytest.mark.parametrize("micro_batch_size", [8, 32])
def test_micro_batches_hold_sequences_of_like_length(micro_batch_size: int) -> None:
    lengths = np.random.default_rng(0).integers(40, 512, 2048).astype(np.int32)
    groups = share_out(lengths, Share(0, 1, micro_batch_size))
    grid = sum(len(rows) * lengths[rows].max() for rows in groups)
    assert lengths.sum() / grid > 0.97
