"""Convert weights between our names and Hugging Face's.

Folders are read as BertForPreTraining and its kin write them, or as `linkbert export` does, with
the 3-way relation head in drp.safetensors. The head has a file of its own because Hugging Face
hard-codes two classes for `cls.seq_relationship`: three would make AutoModelForPreTraining fail.
`linkbert.model.weights` reads the files.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import torch

from linkbert.model.network import NUM_TOKEN_TYPES, LinkBert, ModelConfig, initialise
from linkbert.model.weights import Shapes, Weights, read_weights
from schemas.errors import CheckpointError
from schemas.model_folder import CONFIG_NAME, check_encoder, read_object

logger = logging.getLogger(__name__)

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
    """Rename our weights; return those of a BertForMaskedLM with pooler, and the relation head."""
    renamed = {theirs: weights[ours].contiguous() for ours, theirs in _names(num_layers)}
    for layer, kind in product(range(num_layers), _KINDS):
        fused = weights[f"encoder.layers.{layer}.query_key_value.{kind}"]
        for projection, part in zip(_PROJECTIONS, fused.chunk(3), strict=True):
            renamed[f"{_self_attention(layer)}.{projection}.{kind}"] = part.contiguous()
    head = {f"drp.{kind}": weights[f"{_RELATION_HEAD}.{kind}"].contiguous() for kind in _KINDS}
    return renamed, head


def from_hugging_face(weights: Weights, num_layers: int) -> Weights:
    """Rename Hugging Face's weights to ours, leaving out those that are missing.

    The 3-way head comes from `drp.*`, or from BERT's 2-way head: the rows for contiguous and random
    are its two rows (is next, is not next), and the row for linked is their mean, so that the head
    keeps what next sentence prediction learned.
    """
    weights = {_modern_name(name): tensor for name, tensor in weights.items()}
    if "cls.predictions.decoder.bias" in weights:  # some versions write only this one
        weights.setdefault("cls.predictions.bias", weights["cls.predictions.decoder.bias"])
    renamed = {ours: weights[theirs] for ours, theirs in _names(num_layers) if theirs in weights}
    for layer, kind in product(range(num_layers), _KINDS):
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
    for layer, kind in product(range(num_layers), _KINDS):
        for ours, theirs in _LAYER_NAMES.items():
            yield (
                f"encoder.layers.{layer}.{ours}.{kind}",
                f"bert.encoder.layer.{layer}.{theirs}.{kind}",
            )


def _self_attention(layer: int) -> str:
    return f"bert.encoder.layer.{layer}.attention.self"


def _modern_name(name: str) -> str:
    """Return the current name of a weight from an old file, or from one of a bare encoder.

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
    """Return the config.json of an exported folder."""
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
        "initializer_range": model.initial_std,
        "layer_norm_eps": model.layer_norm_epsilon,
        "pad_token_id": pad_id,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    }


def read_model_config(folder: Path) -> ModelConfig:
    """Read the shape of the network from a Hugging Face folder.

    Raises:
        CheckpointError: there is no config.json, or it describes a network we cannot compute.
    """
    path = folder / CONFIG_NAME
    values = read_object(path)
    check_encoder(values, str(path))
    expected = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "type_vocab_size": NUM_TOKEN_TYPES,
        "position_embedding_type": "absolute",
        "tie_word_embeddings": True,
    }
    for key, value in expected.items():
        if values.get(key, value) != value:
            raise CheckpointError(
                f"expected {key} {value!r}, found {values[key]!r} in {path}: our network supports "
                "no other, choose another folder"
            )
    found = {ours: _number(values, theirs, path) for ours, theirs in _SHAPE_KEYS.items()}
    if found["hidden_size"] % found["num_heads"]:
        raise CheckpointError(
            f"expected num_attention_heads to divide hidden_size {found['hidden_size']}, found "
            f"{found['num_heads']} in {path}"
        )
    return ModelConfig(
        **found,
        hidden_dropout=_share(values, "hidden_dropout_prob", 0.1, path),
        attention_dropout=_share(values, "attention_probs_dropout_prob", 0.1, path),
        layer_norm_epsilon=_share(values, "layer_norm_eps", 1e-12, path),
    )


_SHAPE_KEYS = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
    "max_position_embeddings": "max_position_embeddings",
}
_MAX_SHAPE = 1 << 24


def _number(values: dict[str, Any], key: str, path: Path) -> int:
    found = values.get(key)
    if type(found) is not int or not 0 < found <= _MAX_SHAPE:
        raise CheckpointError(
            f"expected {key} to be a number from 1 to {_MAX_SHAPE:,}, found "
            f"{'none' if found is None else repr(found)[:40]} in {path}"
        )
    return found


def _share(values: dict[str, Any], key: str, default: float, path: Path) -> float:
    found = values.get(key, default)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= 1:
        raise CheckpointError(
            f"expected {key} to be a number from 0 to 1, found {repr(found)[:40]} in {path}"
        )
    return float(found)


def load_folder(folder: Path, seed: int = 0) -> tuple[LinkBert, list[str]]:
    """Build our network from a Hugging Face folder; return it and the names of missing weights.

    Raises:
        CheckpointError: the folder does not hold a BERT, or lacks weights of the encoder.
    """
    config = read_model_config(folder)
    theirs = read_weights(folder, lambda found: check_shapes(found, config, folder))
    _check_tied(theirs, folder)
    weights = from_hugging_face(theirs, config.num_layers)
    model = LinkBert(config)
    initialise(model, seed)
    try:
        missing = model.load_state_dict(weights, strict=False).missing_keys
    except RuntimeError as error:
        raise CheckpointError(
            f"expected weights of the shapes of {CONFIG_NAME}, found others in {folder}: "
            f"{str(error).splitlines()[-1].strip()}"
        ) from error
    return model, missing


_LAYER_NUMBER = re.compile(r"bert\.encoder\.layer\.(\d+)\.")


def check_shapes(found: Shapes, config: ModelConfig, folder: Path) -> None:
    """Compare the weights of a folder with its config.json, before memory is allocated for either.

    Raises:
        CheckpointError: they belong to another network, have more or fewer layers, or are missing.
    """
    shapes = {_modern_name(name): shape for name, shape in found.items()}
    if not any(name.startswith("bert.") for name in shapes):
        example = next(iter(shapes), "none at all")
        raise CheckpointError(
            f"expected the weights of a BERT (bert.*), found none, but {example}, in {folder}: "
            "choose another folder"
        )
    layers = {int(match[1]) for name in shapes if (match := _LAYER_NUMBER.match(name))}
    if layers != set(range(min(config.num_layers, 1 + max(layers, default=0)))):
        raise CheckpointError(
            f"expected {config.num_layers} layers as in {CONFIG_NAME}, found weights of "
            f"{len(layers)}, the last one number {max(layers, default=-1)}, in {folder}: {_CURE}"
        )
    wanted = dict(_encoder_shapes(config, max(layers, default=0) + 1))
    for name, shape in wanted.items():
        if shapes.get(name, shape) != shape:
            raise CheckpointError(
                f"expected {name} of shape {list(shape)} as in {CONFIG_NAME}, found other weights "
                f"in {folder}, {list(shapes[name])}: {_CURE}"
            )
    lost = [name for name in wanted if name not in shapes]
    num_lost = len(lost) + (config.num_layers - len(layers)) * _WEIGHTS_PER_LAYER
    if num_lost:
        first = lost[0] if lost else f"bert.encoder.layer.{len(layers)}"
        raise CheckpointError(
            f"expected a whole BERT encoder, found {num_lost} weights missing in {folder}, the "
            f"first of them {first}: {_CURE}"
        )


_CURE = "its files do not match, download the folder again"
_WEIGHTS_PER_LAYER = 16


def _encoder_shapes(config: ModelConfig, num_layers: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield Hugging Face's names of the weights of embeddings and layers, with their shapes."""
    hidden, inner = config.hidden_size, config.intermediate_size
    embeddings = "bert.embeddings"
    yield f"{embeddings}.word_embeddings.weight", (config.vocab_size, hidden)
    yield f"{embeddings}.position_embeddings.weight", (config.max_position_embeddings, hidden)
    yield f"{embeddings}.token_type_embeddings.weight", (NUM_TOKEN_TYPES, hidden)
    for kind in _KINDS:
        yield f"{embeddings}.LayerNorm.{kind}", (hidden,)
    sizes = {"intermediate.dense": (inner, hidden), "output.dense": (hidden, inner)}
    for layer in range(num_layers):
        names = [*_LAYER_NAMES.values(), *(f"attention.self.{each}" for each in _PROJECTIONS)]
        for name in names:
            square = (hidden,) if name.endswith("LayerNorm") else (hidden, hidden)
            shape = sizes.get(name, square)
            yield f"bert.encoder.layer.{layer}.{name}.weight", shape
            yield f"bert.encoder.layer.{layer}.{name}.bias", shape[:1]


def _check_tied(weights: Weights, folder: Path) -> None:
    """Refuse a network whose output weights are not the word embeddings.

    Raises:
        CheckpointError: they are not.
    """
    decoder = weights.get("cls.predictions.decoder.weight")
    words = weights.get("bert.embeddings.word_embeddings.weight")
    if decoder is None or words is None or torch.equal(decoder, words):
        return
    raise CheckpointError(
        "expected cls.predictions.decoder.weight to equal the word embeddings (tied), found other "
        f"values in {folder}: a network with output weights of its own cannot be trained here"
    )
