"""The network of a run as transformers reads it: config.json, model.safetensors, drp.safetensors.

A BERT goes by our own names of weights (`linkbert.model.huggingface`), any other encoder by its own
`save_pretrained`. Beside either lies the relation head, which transformers has no place for.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from linkbert.model.families import FamilyConfig, relation_head
from linkbert.model.family_folder import build_family
from linkbert.model.huggingface import hugging_face_config, to_hugging_face
from linkbert.model.network import ModelConfig
from linkbert.model.weights import RELATION_HEAD_NAME, WEIGHTS_NAME, Weights
from linkbert.training.checkpoint import load_weights
from schemas.manifest import write_json
from schemas.model_folder import CONFIG_NAME

_FORMAT = {"format": "pt"}
_VOCABULARY_ROWS = ("encoder.embeddings.word.weight", "masked_token_head.bias")


def write_network(
    folder: Path,
    described: dict[str, Any],
    weights: Weights,
    facts: dict[str, Any],
    num_rows: int | None,
) -> int:
    """Write configuration and weights; return the number of parameters.

    Args:
        folder: where to write.
        described: the network, as run.json has it.
        weights: of a checkpoint.
        facts: what run.json says of the shards.
        num_rows: keep so many rows of the vocabulary; all of them where None.
    """
    if "family" in described:
        return _write_family(folder, described, weights, num_rows)
    config = ModelConfig(**described)
    if num_rows is not None:
        config = replace(config, vocab_size=num_rows)
        weights = weights | {name: weights[name][:num_rows] for name in _VOCABULARY_ROWS}
    pad_id = facts["special_ids"]["pad"]
    write_json(folder / CONFIG_NAME, hugging_face_config(config, pad_id))
    renamed, head = to_hugging_face(weights, config.num_layers)
    for name, tensors in ((WEIGHTS_NAME, renamed), (RELATION_HEAD_NAME, head)):
        save_file(tensors, folder / name, metadata=_FORMAT)
    return sum(tensor.numel() for tensor in (*renamed.values(), *head.values()))


def _write_family(
    folder: Path, described: dict[str, Any], weights: Weights, num_rows: int | None
) -> int:
    model = build_family(FamilyConfig(**described["family"]))
    load_weights(model, weights)
    if num_rows is not None:
        model.masked_lm.resize_token_embeddings(num_rows)
    model.masked_lm.save_pretrained(folder)
    save_file(relation_head(weights), folder / RELATION_HEAD_NAME, metadata=_FORMAT)
    return sum(parameter.numel() for parameter in model.parameters())


def max_positions_of(described: dict[str, Any]) -> int:
    """Return the tokens of the longest sequence of a network, as run.json describes it."""
    if "family" in described:
        return FamilyConfig(**described["family"]).max_positions
    return ModelConfig(**described).max_positions


def shape_of(described: dict[str, Any]) -> dict[str, Any]:
    """Return kind, layers, hidden size and vocabulary of a network, as run.json describes it."""
    if "family" not in described:
        return {**described, "kind": "bert"}
    config = FamilyConfig(**described["family"])
    return {
        "kind": config.kind,
        "num_layers": config.values.get("num_hidden_layers", "?"),
        "hidden_size": config.values.get("hidden_size", "?"),
        "vocab_size": config.vocab_size,
    }
