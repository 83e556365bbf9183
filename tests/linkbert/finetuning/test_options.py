"""What may be tried, and the paper's grids."""

import json
from pathlib import Path
from typing import Any

import pytest

from linkbert.finetuning.options import FinetuneOptions, Hyper
from schemas.errors import CheckpointError, ConfigError


@pytest.mark.parametrize(
    "wrong",
    [
        {"fraction": 0.0}, {"seeds": (1, 1)}, {"epochs": 0}, {"learning_rate": 0.0},
        {"learning_rate": float("inf")}, {"label_kind": "x"}, {"text_columns": ("a", "b", "c")},
        {"distractors": -1},
    ],
)  # fmt: skip
def test_values_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        FinetuneOptions(**wrong)


def test_the_papers_grids(tmp_path: Path) -> None:
    def tried(hidden: int, *, is_question_answering: bool) -> list[Hyper]:
        (tmp_path / "config.json").write_text(json.dumps({"hidden_size": hidden}))
        return FinetuneOptions(grid="paper").settings(tmp_path, is_question_answering)

    tiny = tried(128, is_question_answering=True)
    assert len(tiny) == 18
    assert Hyper(3e-4, 64, 10) in tiny
    for hidden, learning_rates, batches in ((768, {2e-5, 3e-5}, {12, 24}),
                                            (1024, {1e-5, 2e-5}, {16, 32})):  # fmt: skip
        found = tried(hidden, is_question_answering=True)
        assert {each.learning_rate for each in found} == learning_rates
        assert {each.batch_size for each in found} == batches
        assert {each.epochs for each in found} == {2, 4}
        found = tried(hidden, is_question_answering=False)
        assert {each.learning_rate for each in found} == {5e-6, 1e-5, 2e-5, 3e-5, 5e-5}
        assert {each.batch_size for each in found} == {16, 32, 64}
        assert {each.epochs for each in found} == {3, 5, 10}


def test_a_grid_needs_to_know_the_size(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(CheckpointError, match="expected a Hugging Face folder"):
        FinetuneOptions(grid="paper").settings(tmp_path, is_question_answering=True)


def test_the_metric_is_the_wanted_one_or_the_first() -> None:
    assert FinetuneOptions().metric_of(("f1", "accuracy")) == "f1"
    assert FinetuneOptions(metric="accuracy").metric_of(("f1", "accuracy")) == "accuracy"
    with pytest.raises(ConfigError, match="one of f1, accuracy, found 'bleu'"):
        FinetuneOptions(metric="bleu").metric_of(("f1", "accuracy"))
