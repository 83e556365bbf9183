"""Schedules, and fp16 with its gradient scaler, left to GPUs but computed on a CPU here."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from linkbert.training import distributed
from linkbert.training.checkpoint import checkpoint_path, load_checkpoint
from linkbert.training.config import load_config
from linkbert.training.distributed import join_ranks
from linkbert.training.learner import Learner
from linkbert.training.optimizer import Precision, choose_precision, learning_rate_at
from linkbert.training.trainer import pretrain
from schemas.errors import ConfigError, StageError
from tests.linkbert.conftest import small_config
from tests.linkbert.training.test_trainer import lines, stop_after, weights

WHOLE = "micro_batch_size=12"
"""A step is one micro-batch: fp16 is slow on a CPU."""


@pytest.fixture
def fp16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "linkbert.training.learner.choose_precision",
        lambda wanted, device: Precision("fp16", "cpu"),
    )


def overflow(monkeypatch: pytest.MonkeyPatch, is_so: Callable[[int], bool]) -> None:
    """Make gradients overflow in the steps chosen."""
    run_step = Learner.run_step

    def overflowing(self: Learner, step: int, *rest: Any) -> Any:
        if not is_so(step):
            return run_step(self, step, *rest)
        hook = self.model.relation_head.classifier.weight.register_hook(lambda g: g / 0)
        result = run_step(self, step, *rest)
        hook.remove()
        return result

    monkeypatch.setattr(Learner, "run_step", overflowing)


def scale_of(run: Path, step: int) -> float:
    scale: float = load_checkpoint(checkpoint_path(run, step)).state.scaler["scale"]
    return scale


@pytest.mark.usefixtures("fp16")
def test_fp16_learns_about_the_same(
    shards: Path, tmp_path: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(monkeypatch, 6)
    with pytest.raises(KeyboardInterrupt):
        pretrain(shards, tmp_path / "run", small_config("max_steps=20"), seed=3)
    pairs = zip(lines(tmp_path / "run"), lines(finished_run)[:6], strict=True)
    assert max(abs(ours["loss_mlm"] - theirs["loss_mlm"]) for ours, theirs in pairs) < 0.05


@pytest.mark.usefixtures("fp16")
def test_step_that_overflows_is_left_out_and_the_scale_survives_a_restart(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config("max_steps=5", "checkpoint_every=1", "keep_checkpoints=9", WHOLE)
    overflow(monkeypatch, lambda step: step == 2)
    pretrain(shards, tmp_path / "whole", config, seed=3)
    assert [line["grad_norm"] is None for line in lines(tmp_path / "whole")] == [
        step == 2 for step in range(5)
    ]
    before, after = (load_checkpoint(checkpoint_path(tmp_path / "whole", s)) for s in (2, 3))
    assert all(torch.equal(before.model[name], after.model[name]) for name in before.model)
    assert scale_of(tmp_path / "whole", 3) == scale_of(tmp_path / "whole", 2) / 2
    with monkeypatch.context() as patch:
        stop_after(patch, 4)
        with pytest.raises(KeyboardInterrupt):
            pretrain(shards, tmp_path / "run", config, seed=3)
    pretrain(shards, tmp_path / "run", config, seed=3)
    assert lines(tmp_path / "run") == lines(tmp_path / "whole")
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


@pytest.mark.usefixtures("fp16")
def test_gradients_that_no_scale_helps_stop_the_run(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overflow(monkeypatch, lambda step: step >= 1)
    # 2^16 is halved 17 times.
    with pytest.raises(StageError, match=r"at step 18: .*last good checkpoint: step-00000015"):
        pretrain(shards, tmp_path / "run", small_config("max_steps=40", WHOLE), seed=3)


def test_run_goes_on_in_fp16_where_it_had_no_scaler(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config("max_steps=7", "checkpoint_every=5", WHOLE)
    with monkeypatch.context() as patch:
        stop_after(patch, 6)
        with pytest.raises(KeyboardInterrupt):
            pretrain(shards, tmp_path / "run", config, seed=3)
    monkeypatch.setattr(
        "linkbert.training.learner.choose_precision",
        lambda wanted, device: Precision("fp16", "cpu"),
    )
    assert pretrain(shards, tmp_path / "run", config, seed=3).step == 7


@pytest.mark.parametrize(("has_bf16", "name"), [(True, "bf16"), (False, "fp16")])
def test_auto_is_bf16_where_a_gpu_has_it(
    has_bf16: bool, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_supported(including_emulation: bool = True) -> bool:
        return has_bf16 or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    chosen = choose_precision("auto", torch.device("cuda", 0))
    assert asdict(chosen) == {"name": name, "device_type": "cuda"}
    if not has_bf16:
        with pytest.raises(ConfigError, match="found an older one: use precision=fp16"):
            choose_precision("bf16", torch.device("cuda", 0))


def test_each_rank_takes_the_gpu_of_its_number_and_tells_it_to_nccl(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[object] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", calls.append)
    group = distributed.dist
    monkeypatch.setattr(group, "init_process_group", lambda *a, **named: calls.append((a, named)))
    monkeypatch.setattr(group, "barrier", lambda: calls.append("barrier"))
    monkeypatch.setattr(group, "destroy_process_group", lambda: calls.append("destroy"))
    for name, value in (("RANK", "3"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    device = torch.device("cuda", 1)
    with join_ranks() as ranks:
        assert (ranks.rank, ranks.size, ranks.device) == (3, 4, device)
    assert calls == [device, (("nccl",), {"device_id": device}), "barrier", "destroy"]
    monkeypatch.setenv("LOCAL_RANK", "2")
    with (
        pytest.raises(ConfigError, match=r"found 2 and process 3: .*--nproc-per-node=2"),
        join_ranks(),
    ):
        pass


def test_a_schedule_decides_what_follows_the_warm_up() -> None:
    def rates(schedule: str) -> list[float]:
        overrides = ["max_steps=20", "warmup_steps=4", "learning_rate=1.0", f"schedule={schedule}"]
        config = load_config("tiny", overrides)
        return [round(learning_rate_at(step, config), 3) for step in (0, 3, 4, 12, 16, 19)]

    assert rates("linear") == [0.25, 1.0, 1.0, 0.5, 0.25, 0.062]
    assert rates("constant") == [0.25, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert rates("warmup-stable-decay") == [0.25, 1.0, 1.0, 1.0, 1.0, 0.25]
