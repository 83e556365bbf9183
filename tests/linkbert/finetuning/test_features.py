"""Packed features give back what was put in, in few bytes."""

import pytest

from linkbert.finetuning.features import PackedFeatures


@pytest.mark.parametrize("vocab_size", [30_000, 250_000])
def test_rows_come_back_whole(vocab_size: int) -> None:
    features = PackedFeatures(vocab_size)
    rows = [
        {"input_ids": [2, vocab_size - 1, 3], "token_type_ids": [0, 0, 1], "labels": 1.5},
        {"input_ids": [], "token_type_ids": [], "labels": -2.0},
        {"input_ids": [5], "token_type_ids": [1], "labels": 0.0},
    ]
    for row in rows:
        features.append(row)
    assert len(features) == 3
    for number, row in enumerate(rows):
        mask = {"attention_mask": [1] * len(row["input_ids"])}  # type: ignore[arg-type]
        assert features[number] == row | mask


def test_labels_may_be_one_per_token_or_a_vector() -> None:
    features = PackedFeatures(100)
    features.append({"input_ids": [1, 2], "attention_mask": [1, 1], "labels": [-100, 7]})
    assert features[0] == {"input_ids": [1, 2], "attention_mask": [1, 1], "labels": [-100, 7]}
    vectors = PackedFeatures(100)
    vectors.append({"input_ids": [1], "labels": [0.0, 1.0]})
    assert vectors[0]["labels"] == [0.0, 1.0]


@pytest.mark.parametrize(("vocab_size", "most"), [(30_522, 1_200), (250_000, 2_000)])
def test_a_window_of_384_tokens_takes_less_than_2_kb(vocab_size: int, most: int) -> None:
    features = PackedFeatures(vocab_size)
    for _ in range(100):
        ids = [vocab_size - 1] * 384
        row = {
            "input_ids": ids,
            "token_type_ids": [1] * 384,
            "start_positions": 1,
            "end_positions": 2,
        }
        features.append(row)
    assert features.num_bytes / len(features) < most
