"""AdamW, its schedule and its number formats (LinkBERT, arXiv:2203.15827, section 5.1).

The learning rate warms up, then decays linearly, unless another schedule is chosen. fp32 computes
in float32. bf16 and fp16 compute matrix products in half precision and keep weights, norms and
losses in float32; fp16 scales gradients, because its smallest numbers are too large.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from linkbert.training.config import PretrainConfig
from schemas.errors import ConfigError

# Hägele et al. (arXiv:2405.18392) find a fifth of the steps as good as a full cosine.
_DECAY_SHARE = 0.2
_HALF_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def learning_rate_at(step: int, config: PretrainConfig) -> float:
    """Return the learning rate of a step, counted from 0: up to the peak, then as scheduled.

    >>> from dataclasses import replace
    >>> from linkbert.training.config import load_config
    >>> config = load_config("tiny", ["max_steps=10", "warmup_steps=4", "learning_rate=1.0"])
    >>> [round(learning_rate_at(step, config), 2) for step in (0, 3, 4, 9)]
    [0.25, 1.0, 1.0, 0.17]
    >>> stable = replace(config, schedule="warmup-stable-decay")
    >>> [round(learning_rate_at(step, stable), 2) for step in (3, 7, 8, 9)]
    [1.0, 1.0, 1.0, 0.5]
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.learning_rate
    decay_steps = config.max_steps - config.warmup_steps
    if config.schedule == "warmup-stable-decay":
        decay_steps = min(decay_steps, round(_DECAY_SHARE * config.max_steps))
    remaining = config.max_steps - step
    return min(config.learning_rate, config.learning_rate * remaining / max(1, decay_steps))


def build_optimizer(model: nn.Module, config: PretrainConfig) -> torch.optim.AdamW:
    """Return fused AdamW; weight decay spares biases and layer norms, which have one dimension."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    decayed = [weight for weight in trained if weight.dim() > 1]
    spared = [weight for weight in trained if weight.dim() <= 1]
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


@dataclass(frozen=True, slots=True)
class Precision:
    """A number format on a device; `name` is fp32, bf16 or fp16."""

    name: str
    device_type: str

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which the forward pass runs."""
        half = _HALF_TYPES.get(self.name)
        return torch.autocast(self.device_type, half, enabled=half is not None)

    def gradient_scaler(self) -> torch.amp.GradScaler:
        """Return a scaler of gradients, which does nothing except in fp16."""
        return torch.amp.GradScaler(self.device_type, enabled=self.name == "fp16")


def choose_precision(wanted: str, device: torch.device) -> Precision:
    """Resolve `auto`: bf16 where a GPU has it, else fp16; fp32 on a CPU.

    >>> choose_precision("auto", torch.device("cpu")).name
    'fp32'

    Raises:
        ConfigError: the device cannot compute in the format.
    """
    if device.type != "cuda":
        if wanted == "fp16":
            raise ConfigError("expected a GPU for precision fp16, found none: use fp32 or bf16")
        return Precision("fp32" if wanted == "auto" else wanted, device.type)
    # Emulated bf16 (before Ampere) is slower than fp32.
    has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    if wanted == "bf16" and not has_bf16:
        raise ConfigError("expected a GPU with bf16, found an older one: use precision=fp16")
    return Precision(("bf16" if has_bf16 else "fp16") if wanted == "auto" else wanted, device.type)
