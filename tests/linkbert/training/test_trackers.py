"""Figures reach a tracker by the calls of its own library; one that fails stops no run."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from linkbert.training.trackers import Tracker
from linkbert.training.trainer import pretrain
from schemas.errors import ConfigError, StageError
from tests.linkbert.conftest import small_config

Calls = list[tuple[str, Any]]


def fake(monkeypatch: pytest.MonkeyPatch, kind: str, fails_at: int | None = None) -> Calls:
    """Put a module with the library's interface in its place; return what it was called with."""
    calls: Calls = []

    def log(figures: dict[str, float], step: int) -> None:
        if step == fails_at:
            raise OSError("no route to host")
        calls.append((f"step {step}", figures))

    def note(name: str) -> Any:
        return lambda *given, **named: calls.append((name, named or given))

    module: Any = SimpleNamespace(log_metrics=log, end_run=note("end"), log_params=note("params"))
    module.set_experiment, module.start_run = note("experiment"), note("start")
    run = SimpleNamespace(log=log, finish=note("end"))
    module.init = lambda **named: (calls.append(("start", named)), run)[1]
    monkeypatch.setitem(sys.modules, kind, module)
    return calls


@pytest.mark.parametrize("kind", ["wandb", "mlflow"])
def test_every_step_and_validation_is_told_and_the_run_is_ended(
    kind: str, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fake(monkeypatch, kind)
    pretrain(shards, tmp_path / "run", small_config("max_steps=2", f"log={kind}"))
    start = dict(calls)["start"]
    assert "run" in start.values()
    told = [(name, figures) for name, figures in calls if name.startswith("step")]
    assert [name for name, _ in told] == ["step 1", "step 2", "step 2"]
    assert told[0][1]["train/loss_mlm"] > 0
    assert told[2][1]["validation/mlm_loss"] > 0
    assert calls[-1][0] == "end"


def test_a_tracker_that_fails_is_left_and_the_run_goes_on(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = fake(monkeypatch, "mlflow", fails_at=2)
    config = small_config("max_steps=3", "log=mlflow")
    assert pretrain(shards, tmp_path / "run", config).step == 3
    assert "mlflow failed at step 2 and gets no more figures: no route to host" in caplog.text
    assert calls[-1][0] == "step 1"


def test_a_tracker_that_cannot_begin_or_is_not_installed_is_one_line(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise RuntimeError("api_key not configured\nlog in")

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=refuse))
    with pytest.raises(StageError, match="wandb to begin a run, found api_key not configured log"):
        Tracker("wandb", tmp_path / "run", {})
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match=r"for log=wandb, found none: pip install .*\[wandb\]"):
        pretrain(shards, tmp_path / "run", small_config("max_steps=2", "log=wandb"))
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="log to be one of none, tensorboard, wandb, mlflow"):
        small_config("log=paper")
