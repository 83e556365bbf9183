"""One run through the Trainer: its sizes, its devices, its sequences."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save
from torch import distributed
from transformers import AutoConfig, AutoModelForQuestionAnswering, TrainingArguments

from linkbert.cli.commands import main
from linkbert.finetuning import training
from linkbert.finetuning.choice import finetune_choice
from linkbert.finetuning.classify import finetune_classify
from linkbert.finetuning.options import FinetuneOptions, Hyper
from linkbert.finetuning.qa import finetune_qa
from linkbert.finetuning.tag import finetune_tag
from linkbert.finetuning.training import (
    check_model,
    draw_fraction,
    labelled,
    load,
    load_model,
    longest_sequence,
    training_arguments,
)
from schemas.errors import CheckpointError, ConfigError

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]

HYPER = Hyper(1e-3, 12, 5)


def test_a_loss_that_is_no_number_is_warned_of(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = "sentence1\tsentence2\tscore\n" + "w1\tw2\t1.0\nw2\tw1\t2.0\n" * 20
    for name in ("train", "dev"):
        (tmp_path / f"{name}.tsv").write_text(rows)
    argv = ["finetune", "classify", model, tmp_path, "--task", "sts-b", "--out", tmp_path / "out"]
    assert main([*map(str, argv), "--learning-rate", "1e30"]) == 0
    assert "lower the learning rate" in caplog.text
    assert json.loads((tmp_path / "out/results.json").read_text())["best"]["dev"] == {
        name: {"mean": 0.0, "sd": None, "by_seed": [0.0]} for name in ("pearson", "spearman")
    }


def test_a_tenth_of_the_steps_warms_up(tmp_path: Path) -> None:
    found = training_arguments(100, HYPER, 0, tmp_path)
    assert found.per_device_train_batch_size == 12
    assert found.warmup_steps == int(0.1 * 9 * 5)


def test_several_gpus_do_not_multiply_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Trainer takes every GPU it sees; here it is told that there are four."""

    def with_four(self: Any) -> torch.device:
        self._n_gpu = 4
        return torch.device("cpu")

    monkeypatch.setattr(TrainingArguments, "_setup_devices", property(with_four))
    monkeypatch.setattr(
        TrainingArguments, "n_gpu", property(lambda self: self.__dict__.setdefault("_n_gpu", 4))
    )
    found = training_arguments(100, HYPER, 0, tmp_path)
    assert found.n_gpu == 1
    assert found.train_batch_size == 12


def test_processes_share_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "num_processes", lambda: 4)
    found = training_arguments(100, HYPER, 0, tmp_path)
    assert found.per_device_train_batch_size == 3
    assert found.warmup_steps == int(0.1 * 9 * 5)
    monkeypatch.setattr(training, "num_processes", lambda: 5)
    with pytest.raises(
        ConfigError, match="5 processes can share, found 12: choose a multiple of 5"
    ):
        training_arguments(100, HYPER, 0, tmp_path)


def test_one_process_is_one(tmp_path: Path) -> None:
    assert not distributed.is_initialized()
    assert training.num_processes() == 1


@pytest.mark.parametrize(
    ("name", "expected"), [("fp32", ()), ("bf16", ("bf16",)), ("fp16", ("fp16",))]
)
def test_the_number_format_is_that_of_pretraining(
    name: str, expected: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bf16 where the device has it, else fp16; fp32 on a CPU."""
    given: dict[str, Any] = {}

    class Arguments:
        n_gpu = 0

        def __init__(self, **options: Any) -> None:
            given.update(options)

    class Format:
        pass

    Format.name = name
    monkeypatch.setattr(training, "choose_precision", lambda wanted, device: Format)
    monkeypatch.setattr("transformers.TrainingArguments", Arguments)
    training_arguments(100, HYPER, 0, tmp_path)
    assert {each for each in ("bf16", "fp16") if given[each]} == set(expected)


@pytest.mark.parametrize(
    ("model_type", "positions", "expected"),
    [("bert", 512, 512), ("roberta", 514, 512), ("xlm-roberta", 514, 512), ("bert", 64, 64)],
)
def test_a_sequence_is_as_long_as_the_model_has_positions(
    model_type: str, positions: int, expected: int, tmp_path: Path
) -> None:
    config = AutoConfig.for_model(model_type, max_position_embeddings=positions, pad_token_id=1)
    config.save_pretrained(tmp_path)
    assert longest_sequence(tmp_path, 4096) == expected
    assert longest_sequence(tmp_path, 32) == 32


def test_a_damaged_config_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="expected JSON in UTF-8"):
        longest_sequence(tmp_path, 128)


def test_a_fraction_is_drawn_in_order() -> None:
    found = draw_fraction(range(1000), 0.05)
    assert len(found) == 50
    assert found == sorted(found)
    assert np.ptp(found) > 700
    assert found == draw_fraction(range(1000), 0.05)


def broken(model: Path, folder: Path, name: str, data: bytes | None) -> Path:
    shutil.copytree(model, folder)
    if data is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("config.json", b"[]"),
        ("config.json", b'{"model_type": "bert", "vocab_size": "many"}'),
        ("config.json", b'{"model_type": "nothing"}'),
        ("config.json", b'{"model_type": "bert", "num_hidden_layers": 1000000}'),
        ("config.json", b'{"model_type": "gpt2"}'),
        ("tokenizer.json", b"\xff\xfe{}"),
        ("tokenizer.json", b'{"model": {"type": "WordPiece", "vocab": {"a": 2147483648}}}'),
        ("model.safetensors", b""),
        ("model.safetensors", b"\xff" * 100),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n"),
        ("model.safetensors", None),
    ],
)
def test_a_damaged_model_is_one_line(
    name: str, data: bytes | None, model: Path, tmp_path: Path
) -> None:
    folder = broken(model, tmp_path / "model", name, data)
    with pytest.raises(CheckpointError, match=r"expected .*found") as found:
        check_model(folder)
    assert "\n" not in str(found.value)
    out = tmp_path / "out"
    for finetune in (finetune_qa, finetune_tag, finetune_choice, finetune_classify):
        with pytest.raises(CheckpointError, match=re.escape(str(found.value))):
            finetune(folder, [tmp_path], out, FinetuneOptions())
    assert not out.exists()


def test_what_transformers_cannot_load_is_one_line(model: Path, tmp_path: Path) -> None:
    folder = broken(model, tmp_path / "model", "config.json", b'{"model_type": "nothing"}')
    with pytest.raises(
        CheckpointError, match="expected a model that transformers can load, found"
    ) as found:
        load_model(AutoModelForQuestionAnswering, folder)
    assert "\n" not in str(found.value)


def test_a_folder_in_which_no_weight_fits_is_refused_and_missing_ones_are_named(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = load_file(model / "model.safetensors")
    named_otherwise = {f"other.{name}": value for name, value in weights.items()}
    folder = broken(model, tmp_path / "none", "model.safetensors", save(named_otherwise))
    with pytest.raises(CheckpointError, match=r"weights of a BertModel .* found none that fits"):
        load_model(AutoModelForQuestionAnswering, folder)
    lost = "bert.encoder.layer.0.output.dense.bias"
    some = {name: value for name, value in weights.items() if name != lost}
    folder = broken(model, tmp_path / "some", "model.safetensors", save(some))
    load_model(AutoModelForQuestionAnswering, folder)
    assert f"{folder} lacks 1 weights, which are drawn anew: {lost}" in caplog.text
    caplog.clear()
    load_model(AutoModelForQuestionAnswering, model)
    assert "drawn anew" not in caplog.text


def test_the_oldest_berts_say_no_model_type(model: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    values = json.loads((model / "config.json").read_text())
    for name in ("model_type", "architectures"):
        values.pop(name)
    folder = broken(model, tmp_path / "x", "config.json", json.dumps(values).encode())
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).unlink()
    check_model(folder)
    assert longest_sequence(folder, 512) == 64
    found = load_model(AutoModelForSequenceClassification, folder, **labelled(["a", "b", "c"]))
    assert found.config.num_labels == 3
    assert found.config.id2label[2] == "c"
    assert load(AutoTokenizer, folder)("w1")["input_ids"] == [2, 6, 3]
