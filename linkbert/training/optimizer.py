"""AdamW and its schedule (LinkBERT, arXiv:2203.15827, section 5.1): warm-up, then linear decay."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from linkbert.training.config import PretrainConfig


def learning_rate_at(step: int, config: PretrainConfig) -> float:
    """Return the learning rate of a step, counted from 0: up to the peak, then down towards 0.

    >>> from linkbert.training.config import load_config
    >>> config = load_config("tiny", ["max_steps=10", "warmup_steps=4", "learning_rate=1.0"])
    >>> [round(learning_rate_at(step, config), 2) for step in (0, 3, 4, 9)]
    [0.25, 1.0, 1.0, 0.17]
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    remaining = config.max_steps - step
    return config.learning_rate * remaining / max(1, config.max_steps - config.warmup_steps)


def build_optimizer(model: nn.Module, config: PretrainConfig) -> torch.optim.AdamW:
    """Return fused AdamW; weight decay spares biases and layer norms, which have one dimension."""
    decayed = [weight for weight in model.parameters() if weight.dim() > 1]
    spared = [weight for weight in model.parameters() if weight.dim() <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decayed},
        {"params": spared, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups,
        lr=config.learning_rate,
        betas=(config.adam_beta1, config.adam_beta2),
        eps=config.adam_epsilon,
        weight_decay=config.weight_decay,
        fused=True,
    )
