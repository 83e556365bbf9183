"""A signal stops a run where it can go on, with the exit status of shells."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from linkbert.training.checkpoint import checkpoint_steps
from linkbert.training.trainer import pretrain
from schemas.errors import StoppedError
from tests.linkbert.conftest import SMALL, small_config
from tests.linkbert.training.test_trainer import lines


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGUSR1, 138)],
)
def test_every_signal_ends_the_micro_batch_saves_and_has_its_exit_status(
    shards: Path,
    tmp_path: Path,
    finished_run: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    status: int,
) -> None:
    """A step of three micro-batches is left after the first, and done anew when the run goes on."""
    from linkbert.cli.commands import main
    from linkbert.training.learner import Learner

    overrides = [*SMALL, "max_steps=20", "keep_checkpoints=4"]
    argv = ["pretrain", str(shards), "--out", str(tmp_path / "run"), "--config", "demo"]
    argv += ["--seed", "3", "--quiet", *(f"--set={text}" for text in overrides)]
    run_step = Learner.run_step

    def interrupted(self: Learner, step: int, *rest: Any) -> Any:
        if step == 7:
            os.kill(os.getpid(), number)
        result = run_step(self, step, *rest)
        assert (result is None) is (step == 7)
        return result

    handlers = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "run_step", interrupted)
        assert main(argv) == status
    assert signal.getsignal(number) == handlers
    assert checkpoint_steps(tmp_path / "run") == [5, 7]
    assert main(argv) == 0
    assert lines(tmp_path / "run") == lines(finished_run)
    assert checkpoint_steps(tmp_path / "run") == checkpoint_steps(finished_run)


def test_signal_in_the_first_step_says_that_nothing_is_saved(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from linkbert.training.learner import Learner

    run_step = Learner.run_step

    def interrupted(self: Learner, *rest: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return run_step(self, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "run_step", interrupted)
        with pytest.raises(StoppedError, match="before the first step"):
            pretrain(shards, tmp_path / "run", small_config("max_steps=2"))
    assert checkpoint_steps(tmp_path / "run") == []
    assert pretrain(shards, tmp_path / "run", small_config("max_steps=2")).step == 2


def test_signal_while_a_large_batch_is_made_leaves_it(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from linkbert.loader.dataset import InstanceReader

    read, stretches = InstanceReader._read_in_pass, []

    def interrupted(self: InstanceReader, *rest: Any) -> Any:
        stretches.append(rest)
        if len(stretches) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return read(self, *rest)

    monkeypatch.setattr(InstanceReader, "_read_in_pass", interrupted)
    config = small_config("max_steps=2", "batch_size=100_000")
    with pytest.raises(StoppedError, match="before the first step"):
        pretrain(shards, tmp_path / "run", config)
    assert len(stretches) < 500  # of 2 x 10,000 or more
