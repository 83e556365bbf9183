import errno
import json
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest

from linkbert.training import checkpoint as checkpoints
from linkbert.training.trainer import pretrain
from schemas.errors import CheckpointError
from tests.linkbert.conftest import small_config

CONFIG = ("max_steps=20", "keep_checkpoints=4")


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "run"
    shutil.copytree(finished_run, copy)
    (copy / "_manifest.json").unlink()
    return copy


def newest(run: Path) -> Path:
    return checkpoints.checkpoint_path(run, checkpoints.checkpoint_steps(run)[-1])


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_damaged_checkpoint_is_reported_and_the_one_before_is_used(
    run: Path, name: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = newest(run) / name
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
        if name == "state.json":  # which is not digested, only parsed
            path.write_bytes(b"[" + data)
    found = checkpoints.load_newest(run)
    assert found is not None
    assert found.state.step == 15
    assert "found a damaged one in" in caplog.text
    assert "step-00000020" in caplog.text


def test_run_without_a_good_checkpoint_begins_anew(
    run: Path, shards: Path, finished_run: Path
) -> None:
    for folder in (run / "checkpoints").iterdir():
        (folder / "state.json").write_text("{}")
    result = pretrain(shards, run, small_config(*CONFIG), seed=3)
    assert result.step == 20
    same = (newest(path) / "model.safetensors" for path in (run, finished_run))
    assert len({path.read_bytes() for path in same}) == 1


def test_full_disk_is_a_clear_error_and_the_previous_checkpoint_stays(
    run: Path, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(newest(run))

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save_file", full)
        with pytest.raises(
            CheckpointError,
            match=r"checkpoint step-00000020, found .*No space.*good checkpoint: step-00000015",
        ):
            pretrain(shards, run, small_config(*CONFIG), seed=3)
    assert not list((run / "checkpoints").glob(".*"))
    assert pretrain(shards, run, small_config(*CONFIG), seed=3).step == 20


def test_disk_that_refuses_bytes_half_way_leaves_a_run_that_goes_on(
    shards: Path, tmp_path: Path, finished_run: Path
) -> None:
    size = (newest(finished_run) / "optimizer.safetensors").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1000, before[1]))
    try:
        with pytest.raises(CheckpointError) as caught:
            pretrain(shards, tmp_path / "run", small_config(*CONFIG), seed=3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "expected to write checkpoint step-00000005" in str(caught.value)
    assert "last good checkpoint: none" in str(caught.value)
    assert not any((tmp_path / "run" / "checkpoints").iterdir())
    pretrain(shards, tmp_path / "run", small_config(*CONFIG), seed=3)
    ours, expected = (newest(run) / "model.safetensors" for run in (tmp_path / "run", finished_run))
    assert ours.read_bytes() == expected.read_bytes()


def test_only_the_newest_and_the_best_are_kept(shards: Path, tmp_path: Path) -> None:
    config = small_config(
        "max_steps=20", "checkpoint_every=2", "validate_every=5", "keep_checkpoints=2"
    )
    pretrain(shards, tmp_path / "run", config)
    steps = checkpoints.checkpoint_steps(tmp_path / "run")
    found = checkpoints.load_newest(tmp_path / "run")
    assert found is not None
    assert steps[-2:] == [18, 20]
    assert found.state.best_step in steps
    lines = (tmp_path / "run" / "validation.jsonl").read_text().splitlines()
    losses = {}
    for line in map(json.loads, lines):
        split = line["splits"]["validation"]
        losses[line["step"]] = split["mlm_loss"] + split["drp_loss"]
    assert list(losses) == [5, 10, 15, 20]
    assert found.state.best_step == min(losses, key=lambda step: losses[step])


def test_leftovers_of_a_killed_run_are_removed(run: Path, shards: Path) -> None:
    leftover = run / "checkpoints" / ".step-00000020.0123.tmp"
    leftover.mkdir()
    (leftover / "model.safetensors").write_bytes(b"half")
    pretrain(shards, run, small_config(*CONFIG), seed=3)
    assert not leftover.exists()


def test_checkpoint_of_another_configuration_is_refused(run: Path, shards: Path) -> None:
    path = newest(run) / "state.json"
    values = json.loads(path.read_text())
    values["identity"]["config"]["weight_decay"] = 0.5
    path.write_text(json.dumps(values))
    with pytest.raises(Exception, match=r"weight_decay was 0.5, is now 0.01"):
        pretrain(shards, run, small_config(*CONFIG), seed=3)


def test_checkpoint_holds_no_pickle(finished_run: Path) -> None:
    names = {path.suffix for path in (finished_run / "checkpoints").rglob("*") if path.is_file()}
    assert names == {".safetensors", ".json"}
