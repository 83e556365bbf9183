"""The exported folder is what transformers 4.57 and 5 expect, and equals our own model."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError

from linkbert.export.export import _only_writer, export
from linkbert.training.trainer import pretrain
from schemas.errors import CheckpointError, ConfigError, StageError
from schemas.manifest import read_manifest
from tests.linkbert.conftest import small_config
from tests.linkbert.export import loading_program
from tests.pipeline.tokenizer.multilingual import HOSTILE, assert_own_ids, cased_and_uncased

COMPATIBILITY = Path(__file__).parents[3] / ".compat"

FILES = {
    "README.md",
    "_manifest.json",
    "config.json",
    "drp.safetensors",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
}


@pytest.fixture(scope="module")
def model(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "model"
    export(finished_run, folder)
    return folder


def test_folder_holds_what_it_should(model: Path) -> None:
    assert {path.name for path in model.iterdir()} == FILES
    config = json.loads((model / "config.json").read_text())
    assert config["architectures"] == ["BertForMaskedLM"]
    manifest = read_manifest(model)
    assert {entry.name for entry in manifest.files} == FILES - {"_manifest.json"}
    assert all(path.stat().st_mode & 0o044 for path in model.iterdir())


def test_same_run_gives_the_same_bytes(model: Path, finished_run: Path, tmp_path: Path) -> None:
    export(finished_run, tmp_path / "again")
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (model / name).read_bytes(), name


@pytest.mark.end_to_end
def test_every_auto_class_loads_it_and_computes_the_same(model: Path) -> None:
    loading_program.main(str(model), "5")


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return cased_and_uncased(tmp_path_factory.mktemp("tokenizers"))


@pytest.fixture(scope="module")
def told_by_the_older_version(model: Path, tokenizers: dict[str, Any]) -> list[str]:
    """Return what one process with transformers 4.57 printed, whose start takes 13 CPU seconds."""
    shadow = COMPATIBILITY / "transformers4"
    if not shadow.is_dir():
        pytest.skip(f"no {shadow.name} in {COMPATIBILITY.name}: make test installs it")
    path = os.pathsep.join([str(shadow), str(COMPATIBILITY.parent)])
    done = subprocess.run(
        [sys.executable, loading_program.__file__, str(model), "4", *tokenizers],
        env={**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"},
        input=json.dumps(HOSTILE),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


@pytest.mark.end_to_end
def test_every_auto_class_of_the_older_version_loads_it_too(
    told_by_the_older_version: list[str],
) -> None:
    assert "all loaded and equal" in told_by_the_older_version


@pytest.mark.end_to_end
def test_auto_tokenizer_of_the_older_version_gives_our_ids(
    told_by_the_older_version: list[str], tokenizers: dict[str, Any]
) -> None:
    found = json.loads(told_by_the_older_version[-1])
    for ours, theirs in zip(tokenizers.values(), found, strict=True):
        assert_own_ids(ours, theirs)


def test_card_states_where_the_model_comes_from(model: Path) -> None:
    card = (model / "README.md").read_text()
    for stated in (
        "Testpedia", "2017-09-20", "CC BY-SA 3.0",
        "Trained for 20 steps, 5,", "contiguous 33.3 %", "| validation | 32 |",
    ):  # fmt: skip
        assert stated in card


@pytest.mark.parametrize(("wanted", "step"), [(None, 20), ("15", 15), ("step-00000010", 10)])
def test_any_checkpoint_can_be_exported(
    finished_run: Path, tmp_path: Path, wanted: str | None, step: int
) -> None:
    result = export(finished_run, tmp_path / "model", checkpoint=wanted)
    assert result.step == step
    assert f"{step} of 20" in (tmp_path / "model" / "README.md").read_text()


def test_checkpoint_that_is_not_there_is_named(finished_run: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"one of the steps 5, 10, 15, 20 or best, found '7'"):
        export(finished_run, tmp_path / "model", checkpoint="7")
    with pytest.raises(CheckpointError, match="expected the folder of a pretraining run"):
        export(tmp_path, tmp_path / "model")


def test_second_export_into_a_folder_is_refused_while_the_first_runs(
    finished_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    with _only_writer(out), pytest.raises(StageError, match=rf"{out} to be free.*process"):
        export(finished_run, out)
    assert list(tmp_path.iterdir()) == []


def test_existing_folder_is_kept_unless_it_is_an_export(model: Path, finished_run: Path) -> None:
    written = (model / "model.safetensors").stat().st_mtime_ns
    assert export(finished_run, model).step == 20
    assert (model / "model.safetensors").stat().st_mtime_ns == written
    with pytest.raises(StageError, match="expected a new folder"):
        export(finished_run, model, checkpoint="10")
    assert export(finished_run, model, overwrite=True).step == 20
    with pytest.raises(StageError, match="expected an earlier export"):
        export(finished_run, finished_run, overwrite=True)


def test_a_disk_that_fills_up_is_one_line_and_leaves_nothing(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device")

    monkeypatch.setattr("linkbert.export.network_files.save_file", full)
    with pytest.raises(CheckpointError, match=r"^expected to write .*No space left.*: free space"):
        export(finished_run, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_training_goes_on_from_an_export(model: Path, shards: Path, tmp_path: Path) -> None:
    config = small_config("max_steps=3", "warmup_steps=1", "learning_rate=1e-6")
    result = pretrain(shards, tmp_path / "run", config, init=model)
    scratch = pretrain(shards, tmp_path / "scratch", config)
    assert result.first_loss < scratch.first_loss - 0.1


def test_init_of_another_vocabulary_is_refused(model: Path, tmp_path: Path) -> None:
    from tests.linkbert.shards_folder import write_shards

    other = write_shards(tmp_path / "other", vocab_size=70)
    with pytest.raises(
        ConfigError, match=r"rows for the 70 tokens of the shards, found 64 .*--from"
    ):
        pretrain(other, tmp_path / "run2", small_config("max_steps=3"), init=model)
