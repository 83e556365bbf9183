import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from linkbert.training.checkpoint import checkpoint_steps, load_newest
from linkbert.training.config import PretrainConfig
from linkbert.training.trainer import PretrainResult, pretrain
from schemas.errors import StageError
from tests.forked import Forked
from tests.linkbert.conftest import small_config
from tests.linkbert.shards_folder import write_shards

GOLDEN = Path(__file__).with_name("golden_losses.json")
REPOSITORY = Path(__file__).parents[3]


def lines(run: Path) -> list[dict[str, Any]]:
    """Return metrics.jsonl without its times."""
    timed = ("seconds", "tokens_per_second", "memory_bytes")
    read = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in line if key not in timed} for line in read]


def weights(run: Path) -> bytes:
    newest = sorted((run / "checkpoints").iterdir())[-1]
    files = ("model.safetensors", "optimizer.safetensors", "state.json")
    return b"".join((newest / name).read_bytes() for name in files)


def stop_after(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Make the process die in the step after `step`, without any cleaning up of ours."""
    from linkbert.training.learner import Learner

    run_step = Learner.run_step

    def dying(self: Learner, at: int, *rest: Any) -> Any:
        if at == step:
            raise KeyboardInterrupt
        return run_step(self, at, *rest)

    monkeypatch.setattr(Learner, "run_step", dying)


def test_loss_curve_is_the_golden_one(finished_run: Path) -> None:
    found = [(line["loss_mlm"], line["loss_drp"]) for line in lines(finished_run)]
    golden = json.loads(GOLDEN.read_text())
    assert len(found) == len(golden) == 20
    for step, (ours, expected) in enumerate(zip(found, golden, strict=True), 1):
        assert ours == pytest.approx(expected, abs=2e-4), f"step {step}"


def test_line_of_metrics_holds_every_key_in_order_of_steps(finished_run: Path) -> None:
    read = [json.loads(line) for line in (finished_run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in read] == list(range(1, 21))
    assert set(read[0]) >= {
        "step", "tokens", "loss_mlm", "loss_drp", "mlm_accuracy", "drp_accuracy", "lr",
        "grad_norm", "tokens_per_second", "memory_bytes",
    }  # fmt: skip
    assert read[1]["lr"] == pytest.approx(0.01)  # two steps of warm-up
    assert read[-1]["lr"] == pytest.approx(0.01 / 18)


def test_one_batch_can_be_learned_by_heart(tmp_path: Path) -> None:
    write_shards(tmp_path / "shards", num_instances=6, num_epochs=1)
    config = small_config(
        "max_steps=150", "warmup_steps=10", "batch_size=6", "learning_rate=3e-3",
        "hidden_size=64", "intermediate_size=128", "hidden_dropout=0.0", "weight_decay=0.0",
        # Without replacement the masks are new in every pass, the answers are not.
        "mask_token_prob=0.0", "random_token_prob=0.0",
    )  # fmt: skip
    result = pretrain(tmp_path / "shards", tmp_path / "run", config)
    last = lines(tmp_path / "run")[-1]
    assert result.first_loss > 4.5
    assert last["loss_mlm"] < 0.3
    assert last["loss_drp"] < 0.1
    assert last["drp_accuracy"] == 1.0


@pytest.fixture
def ten_steps(shards: Path, tmp_path: Path) -> tuple[PretrainConfig, Path]:
    config = small_config("max_steps=10", "checkpoint_every=1", "keep_checkpoints=99")
    pretrain(shards, tmp_path / "whole", config, seed=3)
    return config, tmp_path / "whole"


def test_restoring_at_every_step_gives_the_same_tail(
    shards: Path, tmp_path: Path, ten_steps: tuple[PretrainConfig, Path]
) -> None:
    config, whole = ten_steps
    for step in range(1, 10):
        run = tmp_path / f"from-{step}"
        shutil.copytree(whole, run)
        (run / "_manifest.json").unlink()
        for later in checkpoint_steps(run):
            if later > step:
                shutil.rmtree(run / "checkpoints" / f"step-{later:08d}")
        result = pretrain(shards, run, config, seed=3)
        assert result.step == 10
        assert lines(run) == lines(whole), f"resumed from step {step}"
        assert weights(run) == weights(whole), f"resumed from step {step}"


def test_run_that_died_between_checkpoints_ends_as_an_uninterrupted_one(
    shards: Path, tmp_path: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config("max_steps=20", "keep_checkpoints=4")
    with monkeypatch.context() as patch:
        stop_after(patch, 13)
        with pytest.raises(KeyboardInterrupt):
            pretrain(shards, tmp_path / "run", config, seed=3)
    assert len(lines(tmp_path / "run")) == 13
    assert checkpoint_steps(tmp_path / "run")[-1] == 10
    pretrain(shards, tmp_path / "run", config, seed=3)
    assert lines(tmp_path / "run") == lines(finished_run)
    assert weights(tmp_path / "run") == weights(finished_run)


_PROGRAM = """
import sys, torch
from pathlib import Path
from linkbert.training.trainer import pretrain
from tests.linkbert.conftest import SMALL, small_config
torch.set_num_threads(1)
config = small_config("max_steps=2000", "warmup_steps=3", "checkpoint_every=7")
pretrain(Path(sys.argv[1]), Path(sys.argv[2]), config, seed=3)
"""


def start(shards: Path, run: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _PROGRAM, str(shards), str(run)]
    return Forked(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)


def wait_for_steps(run: Path, steps: int, process: subprocess.Popen[str]) -> None:
    path = run / "metrics.jsonl"
    while not path.exists() or len(path.read_bytes().splitlines()) < steps:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def test_kill_9_leaves_a_run_that_goes_on_bit_for_bit(shards: Path, tmp_path: Path) -> None:
    config = small_config("max_steps=2000", "warmup_steps=3", "checkpoint_every=7")
    process = start(shards, tmp_path / "run")
    wait_for_steps(tmp_path / "run", 10, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    killed_at = len(lines_whole(tmp_path / "run"))
    until = killed_at + 8

    def short(run: Path, stop: int) -> list[dict[str, Any]]:
        with pytest.MonkeyPatch.context() as patch:
            stop_after(patch, stop)
            with pytest.raises(KeyboardInterrupt):
                pretrain(shards, run, config, seed=3)
        return lines(run)

    assert short(tmp_path / "run", until) == short(tmp_path / "uninterrupted", until)


def lines_whole(run: Path) -> list[bytes]:
    return [
        line
        for line in (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
        if line.endswith(b"\n")
    ]


def test_a_run_saves_by_time_too_and_keeps_the_same_files_in_the_end(
    shards: Path, tmp_path: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config("max_steps=20", "keep_checkpoints=4", "checkpoint_minutes=1e-9")
    with monkeypatch.context() as patch:
        stop_after(patch, 8)
        with pytest.raises(KeyboardInterrupt):
            pretrain(shards, tmp_path / "run", config, seed=3)
    assert checkpoint_steps(tmp_path / "run") == [5, 8]
    pretrain(shards, tmp_path / "run", config, seed=3)
    assert checkpoint_steps(tmp_path / "run") == checkpoint_steps(finished_run)
    assert lines(tmp_path / "run") == lines(finished_run)


def test_a_batch_that_finds_no_memory_is_one_line(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from linkbert.loader.batches import BatchMaker

    def exhausted(*_: Any) -> Any:
        raise MemoryError("malloc of size 1")

    monkeypatch.setattr(BatchMaker, "make", exhausted)
    with pytest.raises(StageError, match="12 sequences to fit the memory, found malloc of size 1"):
        pretrain(shards, tmp_path / "run", small_config("max_steps=9"))


def test_finished_run_says_so_and_returns_the_same(shards: Path, finished_run: Path) -> None:
    config = small_config("max_steps=20", "keep_checkpoints=4")
    before = weights(finished_run)
    result = pretrain(shards, finished_run, config, seed=3)
    assert result.was_finished
    assert (result.step, result.instances) == (20, 240)
    assert result.last_loss < result.first_loss
    assert weights(finished_run) == before


def test_result_tells_drp_accuracy_beside_chance(shards: Path, finished_run: Path) -> None:
    result: PretrainResult = pretrain(
        shards, finished_run, small_config("max_steps=20", "keep_checkpoints=4"), seed=3
    )
    assert list(result.validation) == ["validation"]  # the closed split is empty
    found = result.validation["validation"]
    assert found["num_instances"] == 32
    assert found["chance"] == 0.375
    low, high = found["interval"]
    assert low <= found["drp_accuracy"] <= high
    assert set(found["by_relation"]) == {"contiguous", "random", "linked"}
    assert sum(result.relations.values()) == result.instances


@pytest.mark.parametrize(("value", "at"), [(float("nan"), 7), (float("inf"), 7), (1e9, 52)])
def test_loss_that_explodes_stops_the_run_and_names_the_last_checkpoint(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float, at: int
) -> None:
    from dataclasses import replace

    from linkbert.training.learner import Learner

    run_step = Learner.run_step

    def exploding(self: Learner, step: int, *rest: Any) -> Any:
        result = run_step(self, step, *rest)
        return replace(result, loss_mlm=value) if step == at else result

    monkeypatch.setattr(Learner, "run_step", exploding)
    good = at // 5 * 5
    with pytest.raises(StageError, match=rf"at step {at + 1}: .*last good .* step-{good:08d}"):
        pretrain(shards, tmp_path / "run", small_config("max_steps=60"))
    found = load_newest(tmp_path / "run")
    assert found is not None
    assert found.state.step == good


def test_gradient_that_is_no_number_stops_the_run_before_a_checkpoint(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from linkbert.training.learner import Learner

    run_step = Learner.run_step

    def overflowing(self: Learner, step: int, *rest: Any) -> Any:
        if step == 9:  # the loss of this step is sound, its gradient is not
            hook = self.model.relation_head.classifier.weight.register_hook(lambda g: g / 0)
            result = run_step(self, step, *rest)
            hook.remove()
            return result
        return run_step(self, step, *rest)

    monkeypatch.setattr(Learner, "run_step", overflowing)
    stopped = r"gradient of norm \w+ at step 10: .*last good checkpoint: step-00000005"
    with pytest.raises(StageError, match=stopped):
        pretrain(shards, tmp_path / "run", small_config("max_steps=20"), seed=3)
    assert checkpoint_steps(tmp_path / "run") == [5]


def test_memory_that_runs_out_is_answered_with_a_smaller_micro_batch(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from linkbert.training.learner import Learner

    def full(self: Learner, *rest: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.4 GiB.")

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "run_step", full)
        cure = r"Tried to allocate 2\.4 GiB\. at step 1: .*--set micro_batch_size=6"
        with pytest.raises(StageError, match=cure):
            pretrain(shards, tmp_path / "run", small_config("micro_batch_size=12", "max_steps=2"))
    pretrain(shards, tmp_path / "run", small_config("micro_batch_size=6", "max_steps=2"))


def test_weights_do_not_depend_on_validation_or_checkpoints(
    shards: Path, tmp_path: Path, finished_run: Path
) -> None:
    config = small_config("max_steps=20", "validate_every=3", "checkpoint_every=4")
    pretrain(shards, tmp_path / "run", config, seed=3)
    assert lines(tmp_path / "run") == lines(finished_run)


def _write_golden() -> None:
    """Rewrite the golden curve: python -m tests.linkbert.training.test_trainer."""
    import tempfile

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        config = small_config("max_steps=20", "keep_checkpoints=4")
        pretrain(write_shards(root / "shards"), root / "run", config, seed=3)
        curve = [
            [round(line[key], 5) for key in ("loss_mlm", "loss_drp")]
            for line in lines(root / "run")
        ]
    GOLDEN.write_text("[\n" + ",\n".join(map(json.dumps, curve)) + "\n]\n")


if __name__ == "__main__":
    _write_golden()
