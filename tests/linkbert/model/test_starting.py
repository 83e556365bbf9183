"""Folders to start from that are not quite what the configuration and the shards ask for."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForPreTraining

from linkbert.export.export import export
from linkbert.model.network import ModelConfig
from linkbert.model.starting import load_start, starting_config
from linkbert.training.checkpoint import checkpoint_path, load_checkpoint
from linkbert.training.trainer import pretrain
from schemas.errors import CheckpointError, ConfigError
from tests.linkbert.conftest import small_config
from tests.linkbert.shards_folder import write_shards

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(59))]
WORDS = "bert.embeddings.word_embeddings.weight"


def bert(folder: Path, **changes: Any) -> Path:
    """Write a small BERT of 64 tokens and 32 positions."""
    shape: dict[str, Any] = {"vocab_size": 64, "max_position_embeddings": 32, **changes}
    torch.manual_seed(0)
    BertForPreTraining(
        BertConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            **shape,
        )
    ).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(TOKENS) + "\n")
    return folder


def wanted(**changes: Any) -> ModelConfig:
    shape = {"vocab_size": 64, "hidden_size": 32, "num_layers": 2, "num_heads": 2,
             "intermediate_size": 64, "max_position_embeddings": 32, **changes}  # fmt: skip
    return ModelConfig(**shape)


def change_weights(folder: Path, **changes: torch.Tensor | None) -> None:
    weights = load_file(folder / "model.safetensors")
    for name, tensor in changes.items():
        if tensor is None:
            del weights[name]
        else:
            weights[name] = tensor
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("size", [16, 32, 80])
def test_positions_are_cut_or_extended_by_copies(
    tmp_path: Path, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    folder = bert(tmp_path)
    config = starting_config(wanted(max_position_embeddings=size), 16, True, folder)
    with caplog.at_level(logging.INFO):
        network = load_start(folder, config, 0)
    learned = load_file(folder / "model.safetensors")["bert.embeddings.position_embeddings.weight"]
    rows = network.encoder.embeddings.position.weight
    assert rows.shape == (size, 32)
    assert all(torch.equal(rows[place], learned[place % 32]) for place in range(size))
    assert ("are needed" in caplog.text) is (size != 32)


def test_too_few_positions_stay_where_the_shards_fit_and_are_refused_where_not(
    tmp_path: Path,
) -> None:
    folder = bert(tmp_path)
    config = starting_config(wanted(max_position_embeddings=512), 32, False, folder)
    assert config.max_position_embeddings == 32
    with pytest.raises(ConfigError, match="--set extend_positions=true"):
        starting_config(wanted(max_position_embeddings=512), 33, False, folder)


def test_a_padded_vocabulary_is_trained_and_its_surplus_is_never_a_target(tmp_path: Path) -> None:
    shards, folder = write_shards(tmp_path / "shards", vocab_size=64), tmp_path / "hf"
    bert(folder, vocab_size=72)
    config = small_config("max_steps=2", "learning_rate=1e-9")
    pretrain(shards, tmp_path / "run", config, init=folder)
    saved = load_checkpoint(checkpoint_path(tmp_path / "run", 2)).model
    rows = saved["encoder.embeddings.word.weight"]
    assert rows.shape == (72, 32)
    assert torch.allclose(rows, load_file(folder / "model.safetensors")[WORDS], atol=1e-6)
    for is_cut, size in ((False, 72), (True, 64)):
        export(tmp_path / "run", tmp_path / f"{size}", cut_vocabulary=is_cut)
        exported = load_file(tmp_path / f"{size}" / "model.safetensors")
        assert torch.equal(exported[WORDS], rows[:size])
        assert exported["cls.predictions.bias"].shape == (size,)
        assert BertConfig.from_pretrained(tmp_path / f"{size}").vocab_size == size
    with pytest.raises(ConfigError, match="expected rows for the 80 tokens"):
        starting_config(wanted(vocab_size=80), 31, False, folder)


def test_the_shape_is_the_folders_and_told_where_the_preset_has_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        config = starting_config(wanted(num_layers=12), 31, False, bert(tmp_path))
    assert config.num_layers == 2
    assert "num_layers 2 (the configuration says 12)" in caplog.text


def test_a_refused_start_leaves_no_run_and_the_cured_command_runs(tmp_path: Path) -> None:
    shards, folder = write_shards(tmp_path / "shards"), bert(tmp_path / "hf")
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-1])
    config = small_config("max_steps=1", "warmup_steps=1")
    with pytest.raises(CheckpointError, match="cut off or damaged"):
        pretrain(shards, tmp_path / "run", config, init=folder)
    assert not (tmp_path / "run").exists()
    (folder / "model.safetensors").write_bytes(weights)
    assert pretrain(shards, tmp_path / "run", config, init=folder).step == 1


def test_a_run_is_of_the_bytes_it_started_from(tmp_path: Path) -> None:
    """A folder without safetensors has an identity, too."""
    shards, folder = write_shards(tmp_path / "shards"), bert(tmp_path / "hf")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    config = small_config("max_steps=1", "warmup_steps=1")
    pretrain(shards, tmp_path / "run", config, init=folder)
    assert pretrain(shards, tmp_path / "run", config, init=folder).was_finished
    torch.save({**weights, WORDS: weights[WORDS] + 1}, folder / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="init was"):
        pretrain(shards, tmp_path / "run", config, init=folder)
