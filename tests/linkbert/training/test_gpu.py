"""What only a GPU can show: its kernels compute the same, and training on it resumes."""

import json
from pathlib import Path

import pytest
import torch

from linkbert.loader.batches import BatchMaker, Share
from linkbert.loader.dataset import InstanceReader, open_split
from linkbert.loader.masking import masking_rule
from linkbert.model import attention
from linkbert.model.attention import BatchLayout, attend
from linkbert.model.cross_entropy import linear_cross_entropy
from linkbert.training.checkpoint import checkpoint_path, checkpoint_steps
from linkbert.training.trainer import pretrain
from schemas.pair_frame import PairFrame
from tests.linkbert.conftest import small_config
from tests.linkbert.shards_folder import SPECIAL_IDS

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.end_to_end,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

RESUME_TOLERANCE = 1e-3
"""Sums on a GPU depend on the order in which blocks end; over 20 steps they stay this close."""


def curve(run: Path) -> list[tuple[float, float, int]]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [(line["loss_mlm"], line["loss_drp"], line["tokens"]) for line in lines]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_ragged_kernel_equals_the_padded_grid(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    lengths = torch.tensor([70, 128, 3, 41], device="cuda")
    layout = BatchLayout.of(lengths, 128, 242)
    results = []
    for is_ragged in (True, False):
        qkv = torch.randn(242, 3, 4, 64, generator=torch.Generator().manual_seed(1))
        qkv = qkv.to("cuda", dtype).requires_grad_()
        monkeypatch.setattr(attention, "_has_ragged_kernel", lambda *_, r=is_ragged: r)
        context = attend(qkv, layout, 0.0)
        context.square().sum().backward()
        assert qkv.grad is not None
        results.append((context.detach().float(), qkv.grad.float()))
    for ragged, grid in zip(*results, strict=True):
        assert (ragged - grid).abs().max() < 0.02 * grid.abs().max()


@pytest.mark.parametrize(
    "setting", ["precision=fp32", "precision=bf16", "precision=fp16", "compile=true"]
)
def test_training_on_a_gpu_follows_the_cpu(
    shards: Path, tmp_path: Path, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Heads of 16, the least that the kernels take.
    settings = ("max_steps=20", "hidden_dropout=0.0", setting)
    pretrain(shards, tmp_path / "gpu", small_config(*settings), seed=3)
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        config = small_config("max_steps=20", "hidden_dropout=0.0")
        pretrain(shards, tmp_path / "cpu", config, seed=3)
    tolerance = 1e-3 if setting == "precision=fp32" else 0.05
    pairs = zip(curve(tmp_path / "gpu"), curve(tmp_path / "cpu"), strict=True)
    for ours, expected in pairs:
        assert ours == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_run_on_a_gpu_resumes_with_the_same_batches(
    shards: Path, tmp_path: Path, precision: str
) -> None:
    import shutil

    config = small_config("max_steps=20", f"precision={precision}", "keep_checkpoints=9")
    pretrain(shards, tmp_path / "whole", config, seed=3)
    shutil.copytree(tmp_path / "whole", tmp_path / "run")
    (tmp_path / "run" / "_manifest.json").unlink()
    for step in checkpoint_steps(tmp_path / "run")[1:]:
        shutil.rmtree(checkpoint_path(tmp_path / "run", step))
    pretrain(shards, tmp_path / "run", config, seed=3)
    for ours, expected in zip(curve(tmp_path / "run"), curve(tmp_path / "whole"), strict=True):
        assert ours == pytest.approx(expected, abs=RESUME_TOLERANCE)


def test_memory_and_utilisation_are_in_the_metrics(shards: Path, tmp_path: Path) -> None:
    pretrain(shards, tmp_path / "run", small_config("max_steps=2", "warmup_steps=1"), seed=3)
    last = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["memory_bytes"] > 0
    assert 0 < last["mfu"] < 1


def test_batches_lie_in_pinned_memory_and_arrive_whole(shards: Path) -> None:
    reader = InstanceReader(open_split(shards / "train"), 0)
    rule = masking_rule(0, range(64), PairFrame.of_bert(SPECIAL_IDS), (0.15, 0.8, 0.1))
    made = BatchMaker(reader, rule, "<u2", Share(0, 1, 5), is_pinned=True)
    for step in made.stream(0, 12, 3):
        for batch in step.micro_batches:
            arrived = batch.to(torch.device("cuda"))
            torch.cuda.synchronize()
            for here, there in zip(batch, arrived, strict=True):
                if isinstance(here, torch.Tensor):
                    assert here.is_pinned()
                    assert torch.equal(here, there.cpu())


def test_loss_on_a_gpu_equals_the_usual_functions() -> None:
    hidden, weight = torch.randn(70, 64), torch.randn(1000, 64)
    labels = torch.randint(0, 1000, (70,))
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        results = []
        for is_ours in (True, False):
            h, w = (value.cuda().requires_grad_() for value in (hidden, weight))
            bias = torch.zeros(1000, device="cuda", requires_grad=True)
            with torch.autocast("cuda", dtype, enabled=dtype != torch.float32):
                if is_ours:
                    loss, _ = linear_cross_entropy(h, w, bias, labels.cuda())
                else:
                    logits = torch.nn.functional.linear(h, w, bias).float()
                    loss = torch.nn.functional.cross_entropy(logits, labels.cuda(), reduction="sum")
            loss.backward()
            results.append((loss.detach(), h.grad, w.grad, bias.grad))
        for ours, usual in zip(*results, strict=True):
            assert (ours - usual).abs().max() < 0.02 * usual.abs().max()
