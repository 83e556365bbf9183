from pathlib import Path

import pytest

from linkbert.cli.training_cost import made_training_cost, training_cost
from linkbert.loader.dataset import open_split
from schemas.errors import ConfigError
from tests.linkbert.conftest import small_config


def test_the_cost_is_that_of_the_steps_on_these_shards(shards: Path) -> None:
    few, many = small_config("max_steps=20"), small_config("max_steps=2000")
    cost = training_cost(shards, few, seed=3)
    num_pairs = open_split(shards / "train").manifest.extra["instances_per_epoch"][0]
    assert (cost.steps, cost.sequences) == (20, 240)
    assert cost.passes == round(240 / num_pairs, 1)
    assert 240 * 3 < cost.tokens <= 240 * 32
    assert cost.seconds > 0
    more = training_cost(shards, many, seed=3)
    assert more.tokens == pytest.approx(100 * cost.tokens, rel=0.01)
    assert more.seconds > 5 * cost.seconds  # measured twice, on a machine that may be busy


def test_the_disk_is_that_of_the_checkpoints_that_are_kept(shards: Path) -> None:
    one, few, more = (
        training_cost(shards, small_config(*settings)).disk_bytes
        for settings in (("max_steps=5",), ("keep_checkpoints=1",), ("keep_checkpoints=4",))
    )
    assert (few, more) == (3 * one, 6 * one)


def test_a_model_too_short_for_the_shards_is_refused(shards: Path) -> None:
    with pytest.raises(ConfigError, match="max_position_embeddings"):
        training_cost(shards, small_config("max_position_embeddings=8"))


def test_made_pairs_are_trained_on_where_there_are_no_shards_yet() -> None:
    config = small_config("max_steps=20", "validate_every=1")
    sizes = {"vocab_size": 300, "pairs_per_pass": 60}
    cost = made_training_cost(config, length=20, held_out_pairs=0, **sizes)
    assert (cost.sequences, cost.tokens, cost.passes) == (240, 240 * 20, 4.0)
    slower = made_training_cost(config, length=20, held_out_pairs=9_000, **sizes)
    assert slower.seconds > 1.5 * cost.seconds  # the time to validate 9,000 and 3,600 pairs
    with pytest.raises(ConfigError, match="max_position_embeddings"):
        made_training_cost(config, length=40, held_out_pairs=0, **sizes)
