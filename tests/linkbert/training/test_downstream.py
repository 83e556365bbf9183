"""A run tries its weights on a task and learns what it would have learned without."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from linkbert.model.families import Network
from linkbert.training.distributed import Ranks
from linkbert.training.trainer import pretrain
from tests.linkbert.conftest import small_config
from tests.linkbert.training.test_trainer import lines, stop_after, weights

SETTINGS = ("max_steps=10", "checkpoint_every=3")


@dataclass(frozen=True)
class Norm:
    """A task whose score tells the weights; it draws numbers as a fine-tuning does."""

    name: str = "norm"
    every: int = 4

    def score(self, run: Path, model: Network, ranks: Ranks) -> dict[str, float]:
        torch.manual_seed(0)
        torch.rand(5)
        return {"norm": sum(float(each.detach().norm()) for each in model.parameters())}


def scores(run: Path) -> list[tuple[int, float]]:
    read = map(json.loads, (run / "downstream.jsonl").read_text().splitlines())
    return [(line["step"], line["scores"]["norm"]) for line in read]


def test_trials_change_no_step_and_come_out_the_same_after_an_interruption(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(*SETTINGS)
    without, whole, cut = (tmp_path / name for name in ("without", "whole", "cut"))
    pretrain(shards, without, config, seed=3)
    assert not (without / "downstream.jsonl").exists()
    pretrain(shards, whole, config, seed=3, downstream=Norm())
    assert lines(whole) == lines(without)
    assert weights(whole) == weights(without)
    assert [step for step, _ in scores(whole)] == [0, 4, 8, 10]
    assert len({score for _, score in scores(whole)}) == 4

    with monkeypatch.context() as patch:
        stop_after(patch, 8)  # the trial after step 8 is later than the checkpoint of step 6
        with pytest.raises(KeyboardInterrupt):
            pretrain(shards, cut, config, seed=3, downstream=Norm())
    assert [step for step, _ in scores(cut)] == [0, 4, 8]
    pretrain(shards, cut, config, seed=3, downstream=Norm())
    assert scores(cut) == scores(whole)
