"""Folders of a BERT, of any make, and those that cannot be one."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from linkbert.model.huggingface import load_folder
from schemas.errors import CheckpointError
from tests.linkbert.model.test_pretrained import other_bert
from tests.linkbert.model.test_starting import WORDS, bert, change_weights


def test_any_bert_folder_loads_with_its_two_way_head(tmp_path: Path) -> None:
    theirs = other_bert(tmp_path)
    network, drawn = load_folder(tmp_path)
    assert drawn == []
    two_way = theirs.cls.seq_relationship.weight
    assert torch.equal(network.relation_head.classifier.weight[:2], two_way)


def test_bare_encoder_of_older_names_loads_and_says_what_was_drawn(tmp_path: Path) -> None:
    other_bert(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    older = {
        name.removeprefix("bert.")
        .replace("LayerNorm.weight", "LayerNorm.gamma")
        .replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in weights.items()
        if name.startswith("bert.") and "pooler" not in name
    }
    save_file(older, tmp_path / "model.safetensors", metadata={"format": "pt"})
    network, drawn = load_folder(tmp_path)
    assert {name.split(".")[0] for name in drawn} == {"masked_token_head", "relation_head"}
    words = weights["bert.embeddings.word_embeddings.weight"]
    assert torch.equal(network.encoder.embeddings.word.weight, words)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_act": "relu"}, "expected hidden_act 'gelu', found 'relu'"),
        ({"model_type": "roberta"}, "expected model_type 'bert', found 'roberta'"),
        ({"num_hidden_layers": 3}, "weights missing"),
        ({"hidden_size": 16}, "found other weights in"),
    ],
)
def test_what_we_do_not_compute_is_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    other_bert(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CheckpointError, match=message):
        load_folder(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocab_size": "64"}, "expected vocab_size to be a number"),
        ({"vocab_size": 63}, r"word_embeddings.weight of shape \[63, 32\]"),
        ({"hidden_size": None}, "expected hidden_size to be a number from 1 .*, found none"),
        ({"hidden_size": 33}, "to divide hidden_size 33"),
        ({"hidden_size": 16}, "of shape"),
        ({"num_hidden_layers": 1}, "expected 1 layers as in config.json, found weights of 2"),
        ({"num_hidden_layers": 3}, "16 weights missing"),
        ({"num_hidden_layers": 1_000_000}, "weights missing"),
        ({"num_hidden_layers": 10**30}, "expected num_hidden_layers to be a number"),
        ({"intermediate_size": 1 << 24}, "of shape"),
        ({"max_position_embeddings": 31}, "of shape"),
        ({"layer_norm_eps": "tiny"}, "expected layer_norm_eps to be a number"),
        ({"hidden_dropout_prob": True}, "expected hidden_dropout_prob to be a number"),
        ({"tie_word_embeddings": False}, "expected tie_word_embeddings True"),
        ({"model_type": "gpt2", "architectures": []}, "model_type 'gpt2'"),
    ],
    ids=str,
)
def test_a_config_that_lies_is_one_line(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = bert(tmp_path) / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CheckpointError, match=message) as caught:
        load_folder(tmp_path)
    assert "\n" not in str(caught.value)


def test_untied_scores_are_refused_and_tied_copies_taken(tmp_path: Path) -> None:
    words = load_file(bert(tmp_path) / "model.safetensors")[WORDS]
    change_weights(tmp_path, **{"cls.predictions.decoder.weight": words.clone()})
    load_folder(tmp_path)
    change_weights(tmp_path, **{"cls.predictions.decoder.weight": words + 1})
    with pytest.raises(CheckpointError, match="output weights of its own"):
        load_folder(tmp_path)


def test_a_folder_of_which_nothing_fits_is_refused_and_a_missing_weight_named(
    tmp_path: Path,
) -> None:
    change_weights(bert(tmp_path), **{"bert.encoder.layer.1.output.dense.bias": None})
    with pytest.raises(CheckpointError, match=r"1 weights missing.*layer\.1\.output\.dense\.bias"):
        load_folder(tmp_path)
    save_file({"model.layers.0.weight": torch.ones(1)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"found none, but model\.layers\.0\.weight"):
        load_folder(tmp_path)
