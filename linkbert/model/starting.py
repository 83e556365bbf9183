"""Load a BERT folder as a network that fits the shards, in vocabulary rows and positions.

A vocabulary may be padded to a multiple of some number. The surplus rows stay, but are never
targets, because no token id in the shards reaches them. Positions beyond those needed are cut off.
Missing positions are added if `extend_positions` is set: row p copies row p modulo the number of
learned rows, as Longformer (arXiv:2004.05150, section 5) initialises its longer ones.
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
    """Return the shape of a BERT folder, with the dropout and positions of the configuration.

    Args:
        wanted: what the configuration and the shards ask for.
        longest: number of tokens in the longest sequence of the shards.
        may_extend: whether missing positions may be added.
        folder: a Hugging Face folder.

    Raises:
        ConfigError: it has too few rows or positions for the shards.
        CheckpointError: it does not hold a BERT.
    """
    found = read_model_config(folder)
    _describe(found, wanted, folder)
    if found.vocab_size < wanted.vocab_size:
        raise ConfigError(
            f"expected rows for the {wanted.vocab_size:,} tokens of the shards, found "
            f"{found.vocab_size:,} in {folder}: make the shards with `linkbert tokenizer CORPUS "
            f"--from {folder}`; if they were, its files do not match, so download it again"
        )
    positions = wanted.max_position_embeddings
    if found.max_position_embeddings < positions and not may_extend:
        positions = found.max_position_embeddings
    if positions < longest:
        raise ConfigError(
            f"expected positions for sequences of {longest} tokens, found {positions} in {folder}: "
            "segment with a smaller --max-tokens, or use --set extend_positions=true, which starts "
            "further positions as copies of the learned ones"
        )
    return replace(
        found,
        max_position_embeddings=positions,
        hidden_dropout=wanted.hidden_dropout,
        attention_dropout=wanted.attention_dropout,
    )


def _describe(found: ModelConfig, wanted: ModelConfig, folder: Path) -> None:
    """Log where a folder's network differs from the configuration and the shards."""
    shape = ("num_layers", "hidden_size", "num_heads", "intermediate_size")
    different = [
        f"{name} {getattr(found, name)} (the configuration says {getattr(wanted, name)})"
        for name in shape
        if getattr(found, name) != getattr(wanted, name)
    ]
    if different:
        logger.info("the network has the shape of %s: %s", folder, ", ".join(different))
    if found.vocab_size > wanted.vocab_size:
        logger.info(
            "%s has %d rows for %d tokens: the surplus rows are kept, but are never targets",
            folder, found.vocab_size, wanted.vocab_size,
        )  # fmt: skip


def load_start(folder: Path, config: ModelConfig, seed: int) -> LinkBert:
    """Load a BERT folder as the network that `starting_config` described.

    Raises:
        CheckpointError: the folder is damaged, or lacks weights of the encoder.
    """
    network, drawn = load_folder(folder, seed)
    if drawn:
        logger.info("missing in %s, initialised at random: %s", folder, ", ".join(drawn))
    position, wanted = network.encoder.embeddings.position, config.max_position_embeddings
    learned = position.num_embeddings
    if learned != wanted:
        how = "the first ones are kept" if learned > wanted else "the rest start as copies of them"
        logger.info("%s has %d positions, %d are needed: %s", folder, learned, wanted, how)
        rows = torch.arange(wanted) % learned
        fitted = nn.Embedding(wanted, position.embedding_dim)
        with torch.no_grad():
            fitted.weight.copy_(position.weight[rows])
        network.encoder.embeddings.position = fitted
    fitting = LinkBert(config)
    fitting.load_state_dict(network.state_dict())
    return fitting
