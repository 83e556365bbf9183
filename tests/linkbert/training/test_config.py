import tomllib
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from linkbert.training.config import PRESETS, config_from_dict, differences, load_config
from schemas.errors import ConfigError


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_loads_and_survives_the_checkpoint(name: str) -> None:
    config = load_config(name)
    assert config_from_dict(config.to_dict(), "checkpoint") == config


@pytest.mark.parametrize(
    ("name", "steps", "rate", "layers", "hidden"),
    [
        ("tiny", 10_000, 5e-3, 2, 128),
        ("base", 40_000, 3e-4, 12, 768),
        ("large", 40_000, 2e-4, 24, 1024),
    ],
)
def test_presets_of_the_paper_have_its_values(
    name: str, steps: int, rate: float, layers: int, hidden: int
) -> None:
    config = load_config(name)
    assert (config.max_steps, config.learning_rate) == (steps, rate)
    assert (config.num_layers, config.hidden_size) == (layers, hidden)
    assert (config.batch_size, config.warmup_steps) == (2048, 5000)
    assert (config.adam_beta1, config.adam_beta2, config.weight_decay) == (0.9, 0.98, 0.01)


def test_every_preset_file_is_listed() -> None:
    files = resources.files("linkbert").joinpath("configs").iterdir()
    assert {Path(str(file)).stem for file in files} == set(PRESETS)


def test_warm_up_keeps_its_share_when_only_the_steps_are_set() -> None:
    assert load_config("tiny", ["max_steps=200"]).warmup_steps == 100
    assert load_config("tiny", ["max_steps=200", "warmup_steps=7"]).warmup_steps == 7


def test_unknown_key_is_answered_with_the_closest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'learning_rat' in --set.*'learning_rate'"):
        load_config("tiny", ["learning_rat=1"])
    path = tmp_path / "own.toml"
    path.write_text("hiden_size = 3\n")
    with pytest.raises(ConfigError, match=r"'hiden_size' in .*own\.toml.*'hidden_size'"):
        load_config(str(path))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("max_steps=0", "max_steps to be a number above 0, found 0"),
        ("max_steps=100000000000000000000", "max_steps to be such that a run reads up to 1e.15"),
        ("max_steps=1.5", "max_steps to be of type int, found 1.5"),
        ("precision=fp8", "precision to be one of auto, fp32, bf16, fp16, found 'fp8'"),
        ("schedule=cosine", "schedule to be one of linear, constant, warmup-stable-decay, found"),
        ("num_heads=3", "num_heads to be a divisor of hidden_size, found 3"),
        ("mask_prob=1.5", "mask_prob to be a number from 0 to 1"),
        ("warmup_steps=999999", "warmup_steps to be at most max_steps"),
        ("compile=1", "compile to be of type bool"),
        ("max_steps=many", "max_steps to be of type int, found 'many'"),
        ("learning_rate=inf", "learning_rate to be a finite number, found inf"),
        ("max_loss_spike=nan", "max_loss_spike to be a finite number, found nan"),
        ("max_steps", "expected --set key=value"),
    ],
)
def test_bad_value_is_named_with_what_was_expected(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config("tiny", [override])


def test_missing_preset_and_damaged_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"preset \(demo, .*found 'tinny'"):
        load_config("tinny")
    path = tmp_path / "own.toml"
    path.write_text("a = = 1")
    with pytest.raises(ConfigError, match=r"expected a file of TOML, found a fault in .*: mend it"):
        load_config(str(path))
    path.write_text("hidden_size = 4")
    with pytest.raises(ConfigError, match=r"num_layers.*missing"):
        load_config(str(path))


def test_own_file_may_hold_any_key(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    tiny = resources.files("linkbert").joinpath("configs/tiny.toml").read_text()
    path.write_text(tiny + "drp_weight = 0\n")
    assert load_config(str(path)) == replace(load_config("tiny"), drp_weight=0)
    assert "drp_weight" not in tomllib.loads(tiny)


def test_differences_leave_out_what_may_change_on_resume() -> None:
    one = load_config("tiny").to_dict()
    other = load_config("tiny", ["micro_batch_size=1", "learning_rate=1.0"]).to_dict()
    assert differences(one, other) == ["learning_rate was 0.005, is now 1.0"]
