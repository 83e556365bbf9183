"""From a BERT folder to a network that fits the shards: its vocabulary's rows and its positions.

A vocabulary may be padded to a multiple: the surplus rows stay, and are never targets, because no
id of the shards reaches them. Positions beyond those wanted are cut. Too few are extended where
`extend_positions` asks for it: row p is a copy of row p modulo the number of learned rows, as
Longformer (arXiv:2004.05150, section 5) starts its longer ones.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from linkbert.model.huggingface import load_folder, read_model_config
from linkbert.model.network import LinkBert, ModelConfig
from schemas.errors import ConfigError

logger = logging.getLogger(__name__)


def starting_config(
    wanted: ModelConfig, longest: int, may_extend: bool, folder: Path
) -> ModelConfig:
    """Return the network that a BERT folder makes: the folder's shape, our dropout and positions.

    Args:
        wanted: what the configuration and the shards ask for.
        longest: tokens of the longest sequence of the shards.
        may_extend: whether missing positions are added.
        folder: a Hugging Face folder.

    Raises:
        ConfigError: it has too few rows or positions for the shards.
        CheckpointError: it is not a BERT's.
    """
    found = read_model_config(folder)
    _describe(found, wanted, folder)
    if found.vocab_size < wanted.vocab_size:
        raise ConfigError(
            f"expected rows for the {wanted.vocab_size:,} tokens of the shards, found "
            f"{found.vocab_size:,} in {folder}: make the shards with `linkbert tokenizer CORPUS "
            f"--from {folder}`; if they were, its files do not belong together, download it again"
        )
    positions = wanted.max_position_embeddings
    if found.max_position_embeddings < positions and not may_extend:
        positions = found.max_position_embeddings
    if positions < longest:
        raise ConfigError(
            f"expected positions for sequences of {longest} tokens, found {positions} in {folder}: "
            "segment with a smaller --max-tokens, or --set extend_positions=true, which begins "
            "further positions as copies of the learned ones"
        )
    return replace(
        found,
        max_position_embeddings=positions,
        hidden_dropout=wanted.hidden_dropout,
        attention_dropout=wanted.attention_dropout,
    )


def _describe(found: ModelConfig, wanted: ModelConfig, folder: Path) -> None:
    """Say what a folder's network has otherwise than the configuration and the shards."""
    shape = ("num_layers", "hidden_size", "num_heads", "intermediate_size")
    different = [
        f"{name} {getattr(found, name)} (the configuration says {getattr(wanted, name)})"
        for name in shape
        if getattr(found, name) != getattr(wanted, name)
    ]
    if different:
        logger.info("the shape is that of %s: %s", folder, ", ".join(different))
    if found.vocab_size > wanted.vocab_size:
        logger.info(
            "%s has %d rows for %d tokens: the surplus is kept, and is never a target",
            folder, found.vocab_size, wanted.vocab_size,
        )  # fmt: skip


def load_start(folder: Path, config: ModelConfig, seed: int) -> LinkBert:
    """Load a BERT folder as the network that `starting_config` described.

    Raises:
        CheckpointError: the folder is damaged, or lacks weights of the encoder.
    """
    network, drawn = load_folder(folder, seed)
    if drawn:
        logger.info("not in %s, drawn anew: %s", folder, ", ".join(drawn))
    position, wanted = network.encoder.embeddings.position, config.max_position_embeddings
    learned = position.num_embeddings
    if learned != wanted:
        done = "the first are kept" if learned > wanted else "further ones copy them from the first"
        logger.info("%s has %d positions, wanted are %d: %s", folder, learned, wanted, done)
        rows = torch.arange(wanted) % learned
        fitted = nn.Embedding(wanted, position.embedding_dim)
        with torch.no_grad():
            fitted.weight.copy_(position.weight[rows])
        network.encoder.embeddings.position = fitted
    fitting = LinkBert(config)
    fitting.load_state_dict(network.state_dict())
    return fitting
