"""What of another encoder's folder is drawn anew, and what does not fit."""

import json
import shutil
from pathlib import Path

import pytest
import transformers
from safetensors.torch import load_file, save_file

from linkbert.training.checkpoint import checkpoint_path
from linkbert.training.trainer import pretrain
from schemas.errors import CheckpointError, ConfigError
from tests.linkbert.conftest import small_config
from tests.linkbert.model.test_families import FAMILIES, SHAPE, folder_of


def test_what_of_a_folder_does_not_fit_is_one_line(roberta_shards: Path, tmp_path: Path) -> None:
    shards = roberta_shards
    tokenizer = shards / "tokenizer" / "tokenizer.json"
    folder = folder_of("roberta", tmp_path / "short", tokenizer, max_position_embeddings=20)
    config = small_config("max_steps=2")
    with pytest.raises(ConfigError, match="expected positions for sequences of 32 tokens"):
        pretrain(shards, tmp_path / "run", config, init=folder)
    with pytest.raises(ConfigError, match="a BERT to extend the positions of, found 'roberta'"):
        pretrain(shards, tmp_path / "run", small_config("extend_positions=true"), init=folder)
    folder = folder_of("roberta", tmp_path / "few", tokenizer, vocab_size=60)
    with pytest.raises(ConfigError, match="expected rows for the 64 tokens"):
        pretrain(shards, tmp_path / "run", config, init=folder)
    folder = folder_of("roberta", tmp_path / "hf", tokenizer)
    path = folder / "model.safetensors"
    kept = load_file(path)
    save_file({"lm_head.bias": kept["lm_head.bias"]}, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"expected a whole encoder, found \d+ weights"):
        pretrain(shards, tmp_path / "run", config, init=folder)
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="expected safetensors"):
        pretrain(shards, tmp_path / "run", config, init=folder)
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, "num_hidden_layers": 10**6}))
    with pytest.raises(CheckpointError, match="expected num_hidden_layers to be a number up to"):
        pretrain(shards, tmp_path / "run", config, init=folder)
    assert not (tmp_path / "run").exists()


def test_a_bare_encoder_says_what_is_drawn(
    roberta_shards: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shards = roberta_shards
    config = transformers.RobertaConfig(**{**SHAPE, **FAMILIES["roberta"]})
    transformers.RobertaModel(config, add_pooling_layer=False).save_pretrained(tmp_path / "hf")
    shutil.copy(shards / "tokenizer" / "tokenizer.json", tmp_path / "hf")
    with caplog.at_level("INFO"):
        pretrain(shards, tmp_path / "run", small_config("max_steps=2"), init=tmp_path / "hf")
    assert "lm_head.dense.weight" in caplog.text
    assert "the relation head" in caplog.text
    assert checkpoint_path(tmp_path / "run", 2).is_dir()
