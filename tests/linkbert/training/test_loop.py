"""A run goes on beyond its last step, or ends before it."""

import logging
from pathlib import Path

import pytest
import torch

from linkbert.training.checkpoint import checkpoint_path, load_checkpoint, load_newest
from linkbert.training.run_folder import read_run
from linkbert.training.trainer import pretrain
from schemas.errors import ConfigError
from tests.linkbert.conftest import small_config
from tests.linkbert.shards_folder import write_shards
from tests.linkbert.training.test_trainer import lines


def test_a_finished_run_trains_on_with_more_steps_and_not_with_fewer(
    shards: Path, tmp_path: Path
) -> None:
    kept = ("schedule=constant", "warmup_steps=2")
    pretrain(shards, tmp_path / "whole", small_config("max_steps=9", *kept), seed=3)
    first = pretrain(shards, tmp_path / "run", small_config("max_steps=4", *kept), seed=3)
    assert first.step == 4
    again = pretrain(shards, tmp_path / "run", small_config("max_steps=9", *kept), seed=3)
    assert (again.step, again.was_finished) == (9, False)
    assert lines(tmp_path / "run") == lines(tmp_path / "whole")
    ours, theirs = (
        load_checkpoint(checkpoint_path(tmp_path / name, 9)).model for name in ("run", "whole")
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert read_run(tmp_path / "run")["identity"]["config"]["max_steps"] == 9
    assert pretrain(
        shards, tmp_path / "run", small_config("max_steps=9", *kept), seed=3
    ).was_finished
    with pytest.raises(ConfigError, match="max_steps was 9, is now 8"):
        pretrain(shards, tmp_path / "run", small_config("max_steps=8", *kept), seed=3)


def test_a_run_ends_when_its_validation_loss_no_longer_falls(
    shards: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rising = ("max_steps=30", "validate_every=2", "patience=2", "learning_rate=0.5",
              "max_loss_spike=0", "gradient_clip=0")  # fmt: skip
    with caplog.at_level(logging.INFO):
        found = pretrain(shards, tmp_path / "run", small_config(*rising), seed=3)
    newest = load_newest(tmp_path / "run")
    assert newest is not None
    assert newest.state.best_step == found.step - 4
    assert found.step < 30
    assert f"ended at step {found.step} of 30: 2 validations" in caplog.text
    assert pretrain(shards, tmp_path / "run", small_config(*rising), seed=3).was_finished
    with pytest.raises(ConfigError, match="pairs to validate on for patience=2"):
        pretrain(
            write_shards(tmp_path / "few", num_instances=2), tmp_path / "x", small_config(*rising)
        )
