"""The options of `evaluate`: what is out of range is one line that names the key and the value."""

from typing import Any

import pytest

from linkbert.evaluation.config import EvaluationOptions
from schemas.errors import ConfigError
from schemas.tables.instances import HELD_OUT_SPLITS


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"passes": 0}, "passes of at least 1, found 0"),
        ({"max_pairs": -1}, "max_pairs of at least 1, found -1"),
        ({"num_resamples": 0}, "num_resamples of at least 1"),
        ({"batch_size": 0}, "batch_size of at least 1"),
        ({"train_pairs": 0}, "train_pairs of at least 1"),
        ({"splits": ("validation", "train")}, "splits to be among validation, .*, found 'train'"),
    ],
)
def test_a_value_out_of_range_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        EvaluationOptions(**options)


def test_every_split_may_be_named() -> None:
    assert EvaluationOptions(splits=HELD_OUT_SPLITS).splits == HELD_OUT_SPLITS
