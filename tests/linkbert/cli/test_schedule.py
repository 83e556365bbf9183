import pytest

from linkbert.cli.schedule import fitted, passes_of
from linkbert.training.config import PretrainConfig, load_config
from schemas.errors import ConfigError

WHOLE_WIKIPEDIA = 24_000_000


def fit(preset: str, overrides: list[str], pairs: int, passes: int | None = None) -> PretrainConfig:
    return fitted(load_config(preset, overrides), preset, overrides, pairs, passes)


def test_all_of_wikipedia_trains_as_the_paper_does() -> None:
    assert fit("tiny", [], WHOLE_WIKIPEDIA) == load_config("tiny")
    assert fit("base", ["hidden_dropout=0.0"], WHOLE_WIKIPEDIA).max_steps == 40_000


@pytest.mark.parametrize("pairs", [100, 2_836, 60_000, 500_000])
def test_a_small_wiki_is_read_four_times_in_steps_enough(pairs: int) -> None:
    config = fit("tiny", [], pairs)
    assert config.max_steps * config.batch_size < 4 * pairs + config.batch_size
    assert config.max_steps * config.batch_size >= 4 * pairs
    assert config.max_steps >= min(200, 4 * pairs // 32)
    assert config.batch_size >= 32
    assert config.warmup_steps == round(config.max_steps / 2)  # as in the preset


def test_the_learning_rate_follows_the_root_of_the_batch() -> None:
    config = fit("tiny", [], 2_836)
    assert (config.batch_size, config.learning_rate) == (32, 6.3e-4)  # 5e-3 / sqrt(64)
    assert config.micro_batch_size == 32


def test_what_the_user_sets_stays() -> None:
    assert fit("tiny", ["max_steps=300"], 2_836).max_steps == 300
    assert fit("tiny", ["max_steps=300"], 2_836).batch_size == 2_048
    given = fit("tiny", ["batch_size=256"], 2_836)
    assert (given.batch_size, given.max_steps, given.learning_rate) == (256, 45, 5e-3)
    assert fit("tiny", ["warmup_steps=3"], 500_000).warmup_steps == 3


def test_a_file_of_ones_own_is_not_fitted() -> None:
    config = load_config("tiny")
    assert fitted(config, "mine.toml", [], 2_836, None) is config


def test_more_passes_than_asked_are_refused_with_the_steps_to_set() -> None:
    with pytest.raises(ConfigError, match=r"at most 5 passes.*7,221\.4: lower it to 7,"):
        fit("tiny", ["max_steps=10_000"], 2_836, passes=5)
    assert fit("tiny", ["max_steps=7"], 2_836, passes=5).max_steps == 7


def test_passes_are_as_many_as_asked() -> None:
    config = fit("tiny", [], 60_000, passes=10)
    assert passes_of(config, 60_000) == pytest.approx(10, abs=0.05)
