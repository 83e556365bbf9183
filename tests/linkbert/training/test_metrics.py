import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from linkbert.model.network import Batch, ModelConfig
from linkbert.training.metrics import (
    METRICS_NAME,
    EventLog,
    StepLog,
    model_flops,
    peak_flops,
    seconds_in_steps,
)
from linkbert.training.trainer import pretrain
from tests.linkbert.conftest import small_config
from tests.linkbert.training.test_trainer import stop_after

CONFIG = ("max_steps=20", "validate_every=4", "keep_checkpoints=9", "tensorboard=true")


def write(path: Path, steps: range, tail: bytes = b"") -> None:
    path.write_bytes(b"".join(b'{"step": %d, "seconds": 0.5}\n' % step for step in steps) + tail)


def test_lines_beyond_the_checkpoint_are_cut(tmp_path: Path) -> None:
    path = tmp_path / METRICS_NAME
    write(path, range(1, 9), b'{"step": 9, "sec')
    log = StepLog(path, 5)
    log.write({"step": 6, "seconds": 1.0})
    # Not closed: a line is in the file as soon as it is written.
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [*range(1, 7)]
    log.close()
    assert seconds_in_steps(tmp_path) == 3.5


def test_log_of_a_new_run_is_empty(tmp_path: Path) -> None:
    StepLog(tmp_path / METRICS_NAME, 0).close()
    assert (tmp_path / METRICS_NAME).read_bytes() == b""
    assert seconds_in_steps(tmp_path) == 0


def test_flops_of_base_are_those_computed_by_hand() -> None:
    base = ModelConfig(30_522, 768, 12, 12, 3072)
    tokens, masked = 512, 77
    none = torch.zeros(0)
    batch = Batch(
        token_ids_N=torch.zeros(tokens),
        position_ids_N=none,
        token_types_N=none,
        lengths_B=torch.tensor([tokens]),
        masked_positions_M=none,
        labels_M=torch.zeros(masked),
        relations_B=none,
        max_length=tokens,
    )
    # 85 M weights in the layers, 12 * layers * hidden * length for attention, head on 15 %.
    expected = 6 * 84_934_656 + 12 * 12 * 768 * 512 + 6 * 768 * (768 + 30_522) * masked / tokens
    assert model_flops(base, batch) / tokens == expected
    assert abs(expected / 1e6 - 588) < 2


def test_cpu_has_no_known_peak() -> None:
    assert peak_flops(torch.device("cpu")) is None


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def logged(run: Path, key: str) -> list[tuple[int, float]]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [(line["step"], pytest.approx(line[key], rel=1e-6)) for line in lines]


def test_events_are_the_lines_of_the_metrics_after_an_interruption_too(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_after(patch, 13)  # three steps beyond the checkpoint, one validation
        with pytest.raises(KeyboardInterrupt):
            pretrain(shards, run, small_config(*CONFIG), seed=3)
    pretrain(shards, run, small_config(*CONFIG), seed=3)
    assert len(list((run / "tensorboard").iterdir())) == 2
    found = scalars(run)
    for key in ("loss_mlm", "drp_accuracy", "lr", "grad_norm", "memory_bytes"):
        assert found[f"train/{key}"] == logged(run, key)
    validations = map(json.loads, (run / "validation.jsonl").read_text().splitlines())
    expected = [
        (line["step"], pytest.approx(figures["drp_accuracy"], rel=1e-6))
        for line in validations
        for figures in [line["splits"]["validation"]["by_relation"]["linked"]]
    ]
    assert found["validation/by_relation/linked/drp_accuracy"] == expected
    assert [step for step, _ in expected] == [4, 8, 12, 16, 20]


def test_events_reach_the_disk_before_the_checkpoint(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from linkbert.training import checkpoint as checkpoints

    copies = []

    def noting(run: Path, state: checkpoints.TrainingState, *rest: object) -> None:
        copies.append((state.step, tmp_path / f"copy-{state.step}"))
        shutil.copytree(run, copies[-1][1])

    monkeypatch.setattr(checkpoints, "save_checkpoint", noting)
    monkeypatch.setattr("linkbert.training.run_folder.finish_run", lambda *_: None)
    pretrain(shards, tmp_path / "run", small_config(*CONFIG), seed=3)
    assert len(copies) > 3
    for step, copy in copies:
        assert [at for at, _ in scalars(copy)["train/lr"]] == list(range(1, step + 1))


def test_overwrite_removes_the_events(shards: Path, tmp_path: Path) -> None:
    for steps in (5, 3):
        config = small_config(*CONFIG, f"max_steps={steps}")
        pretrain(shards, tmp_path / "run", config, overwrite=True)
    assert [step for step, _ in scalars(tmp_path / "run")["train/lr"]] == [1, 2, 3]


def test_missing_package_is_said_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with caplog.at_level("INFO"):
        log = EventLog(tmp_path / "events", 0)
    log.write(1, {"loss": 1.0}, "train")
    log.flush()
    log.close()
    assert "no TensorBoard events: pip install" in caplog.text
    assert not (tmp_path / "events").exists()
