"""Our weights under Hugging Face's names, both ways.

In or out: a folder as BertForPreTraining and its kin write it (config.json, model.safetensors), or
as `linkbert export` does, with the 3-way relation head in drp.safetensors beside it: Hugging Face
hard-codes two classes for `cls.seq_relationship`, so a 3-way head under that name would make
AutoModelForPreTraining fail.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from linkbert.model.network import INITIAL_STD, NUM_TOKEN_TYPES, LinkBert, ModelConfig, initialise
from linkbert.training.config import PretrainConfig
from schemas.errors import CheckpointError, ConfigError

WEIGHTS_NAME = "model.safetensors"
RELATION_HEAD_NAME = "drp.safetensors"
CONFIG_NAME = "config.json"

Weights = dict[str, Tensor]

_TOP_NAMES = {
    "encoder.embeddings.word.weight": "bert.embeddings.word_embeddings.weight",
    "encoder.embeddings.position.weight": "bert.embeddings.position_embeddings.weight",
    "encoder.embeddings.token_type.weight": "bert.embeddings.token_type_embeddings.weight",
    "encoder.embeddings.norm.weight": "bert.embeddings.LayerNorm.weight",
    "encoder.embeddings.norm.bias": "bert.embeddings.LayerNorm.bias",
    "masked_token_head.transform.weight": "cls.predictions.transform.dense.weight",
    "masked_token_head.transform.bias": "cls.predictions.transform.dense.bias",
    "masked_token_head.norm.weight": "cls.predictions.transform.LayerNorm.weight",
    "masked_token_head.norm.bias": "cls.predictions.transform.LayerNorm.bias",
    "masked_token_head.bias": "cls.predictions.bias",
    "relation_head.pooler.weight": "bert.pooler.dense.weight",
    "relation_head.pooler.bias": "bert.pooler.dense.bias",
}

_LAYER_NAMES = {
    "attention_output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
    "output_norm": "output.LayerNorm",
}

_RELATION_HEAD = "relation_head.classifier"
_NEXT_SENTENCE_HEAD = "cls.seq_relationship"
_PROJECTIONS = ("query", "key", "value")
_KINDS = ("weight", "bias")


def to_hugging_face(weights: Weights, num_layers: int) -> tuple[Weights, Weights]:
    """Rename our weights; return those of BertForMaskedLM with a pooler, and the relation head."""
    renamed = {theirs: weights[ours].contiguous() for ours, theirs in _names(num_layers)}
    for layer, kind in _layers_and_kinds(num_layers):
        fused = weights[f"encoder.layers.{layer}.query_key_value.{kind}"]
        for projection, part in zip(_PROJECTIONS, fused.chunk(3), strict=True):
            renamed[f"{_self_attention(layer)}.{projection}.{kind}"] = part.contiguous()
    head = {f"drp.{kind}": weights[f"{_RELATION_HEAD}.{kind}"].contiguous() for kind in _KINDS}
    return renamed, head


def from_hugging_face(weights: Weights, num_layers: int) -> Weights:
    """Rename Hugging Face's weights to ours; what a file lacks (heads) is left out.

    A 3-way head comes from `drp.*`, or from BERT's 2-way head: rows contiguous and random are its
    own (is next, is not), row linked is their mean, which keeps what next sentence prediction
    learned.
    """
    weights = {_modern_name(name): tensor for name, tensor in weights.items()}
    renamed = {ours: weights[theirs] for ours, theirs in _names(num_layers) if theirs in weights}
    for layer, kind in _layers_and_kinds(num_layers):
        parts = [f"{_self_attention(layer)}.{projection}.{kind}" for projection in _PROJECTIONS]
        if all(part in weights for part in parts):
            fused = torch.cat([weights[part] for part in parts])
            renamed[f"encoder.layers.{layer}.query_key_value.{kind}"] = fused
    for kind in _KINDS:
        if f"drp.{kind}" in weights:
            renamed[f"{_RELATION_HEAD}.{kind}"] = weights[f"drp.{kind}"]
        elif f"{_NEXT_SENTENCE_HEAD}.{kind}" in weights:
            two_way = weights[f"{_NEXT_SENTENCE_HEAD}.{kind}"]
            three_way = torch.cat([two_way[:2], two_way[:2].mean(0, keepdim=True)])
            renamed[f"{_RELATION_HEAD}.{kind}"] = three_way
    return renamed


def _names(num_layers: int) -> Iterator[tuple[str, str]]:
    yield from _TOP_NAMES.items()
    for layer, kind in _layers_and_kinds(num_layers):
        for ours, theirs in _LAYER_NAMES.items():
            yield (
                f"encoder.layers.{layer}.{ours}.{kind}",
                f"bert.encoder.layer.{layer}.{theirs}.{kind}",
            )


def _layers_and_kinds(num_layers: int) -> Iterator[tuple[int, str]]:
    for layer in range(num_layers):
        for kind in _KINDS:
            yield layer, kind


def _self_attention(layer: int) -> str:
    return f"bert.encoder.layer.{layer}.attention.self"


def _modern_name(name: str) -> str:
    """Return the present name of a weight of an older or a bare encoder's file.

    >>> _modern_name("embeddings.LayerNorm.gamma")
    'bert.embeddings.LayerNorm.weight'
    """
    if name.endswith(".gamma"):
        name = name.removesuffix("gamma") + "weight"
    elif name.endswith(".beta"):
        name = name.removesuffix("beta") + "bias"
    is_bare = name.startswith(("embeddings.", "encoder.", "pooler."))
    return f"bert.{name}" if is_bare else name


def hugging_face_config(model: ModelConfig, pad_id: int) -> dict[str, Any]:
    """Return config.json of an exported folder."""
    return {
        "architectures": ["BertForMaskedLM"],
        "model_type": "bert",
        "vocab_size": model.vocab_size,
        "hidden_size": model.hidden_size,
        "num_hidden_layers": model.num_layers,
        "num_attention_heads": model.num_heads,
        "intermediate_size": model.intermediate_size,
        "hidden_act": "gelu",
        "hidden_dropout_prob": model.hidden_dropout,
        "attention_probs_dropout_prob": model.attention_dropout,
        "max_position_embeddings": model.max_position_embeddings,
        "type_vocab_size": NUM_TOKEN_TYPES,
        "initializer_range": INITIAL_STD,
        "layer_norm_eps": model.layer_norm_epsilon,
        "pad_token_id": pad_id,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    }


def read_model_config(folder: Path) -> ModelConfig:
    """Read the shape of the network from a Hugging Face folder.

    Raises:
        CheckpointError: there is no config.json, or it is not of a network we compute.
    """
    path = folder / CONFIG_NAME
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"expected a Hugging Face folder with {CONFIG_NAME}, found {error} in {folder}"
        ) from error
    expected = {"model_type": "bert", "hidden_act": "gelu", "type_vocab_size": NUM_TOKEN_TYPES}
    for key, value in {**expected, "position_embedding_type": "absolute"}.items():
        if values.get(key, value) != value:
            raise CheckpointError(f"expected {key} {value!r}, found {values[key]!r} in {path}")
    try:
        return ModelConfig(
            vocab_size=values["vocab_size"],
            hidden_size=values["hidden_size"],
            num_layers=values["num_hidden_layers"],
            num_heads=values["num_attention_heads"],
            intermediate_size=values["intermediate_size"],
            max_position_embeddings=values["max_position_embeddings"],
            hidden_dropout=values.get("hidden_dropout_prob", 0.1),
            attention_dropout=values.get("attention_probs_dropout_prob", 0.1),
            layer_norm_epsilon=values.get("layer_norm_eps", 1e-12),
        )
    except KeyError as error:
        raise CheckpointError(
            f"expected the key {error} of a BERT, found none in {path}"
        ) from error


def read_weights(folder: Path) -> Weights:
    """Read every weight of a Hugging Face folder, with the relation head where there is one.

    Raises:
        CheckpointError: there is no safetensors file, or it is damaged.
    """
    names = [WEIGHTS_NAME]
    index = folder / f"{WEIGHTS_NAME}.index.json"
    if index.is_file():
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    if (folder / RELATION_HEAD_NAME).is_file():
        names.append(RELATION_HEAD_NAME)
    weights: Weights = {}
    for name in names:
        try:
            weights.update(load_file(folder / name))
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"expected the weights as {name}, found {error} in {folder}: convert other formats "
                "with save_pretrained(..., safe_serialization=True)"
            ) from error
    return weights


def load_folder(folder: Path, seed: int = 0) -> tuple[LinkBert, list[str]]:
    """Build our network from a Hugging Face folder; return it and the weights it drew anew.

    Raises:
        CheckpointError: the folder is no BERT's, or lacks weights of the encoder.
    """
    config = read_model_config(folder)
    model = LinkBert(config)
    initialise(model, seed)
    weights = from_hugging_face(read_weights(folder), config.num_layers)
    try:
        missing = model.load_state_dict(weights, strict=False).missing_keys
    except RuntimeError as error:
        raise CheckpointError(
            f"expected weights of the shapes of {CONFIG_NAME}, found others in {folder}: "
            f"{str(error).splitlines()[-1].strip()}"
        ) from error
    lost = [name for name in missing if name.startswith("encoder.")]
    if lost:
        raise CheckpointError(
            f"expected a whole BERT encoder, found {len(lost)} weights missing in {folder}, the "
            f"first for {lost[0]}"
        )
    return model, missing


def check_shape(found: ModelConfig, config: PretrainConfig, vocab_size: int, where: Path) -> None:
    """Compare the shape of a folder to start from with the configuration.

    Raises:
        ConfigError: they differ.
    """
    expected = {
        "hidden_size": config.hidden_size,
        "num_layers": config.num_layers,
        "num_heads": config.num_heads,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "vocab_size": vocab_size,
    }
    different = [
        f"{name} {getattr(found, name)} instead of {value}"
        for name, value in expected.items()
        if getattr(found, name) != value
    ]
    if different:
        raise ConfigError(
            f"expected --init to fit the configuration and the shards, found {', '.join(different)}"
            f" in {where}: choose another preset, or --set the keys"
        )
