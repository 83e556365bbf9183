"""Dropout that, on a CPU, draws a quarter of the random words that torch draws.

On a CPU torch draws one random word for each value, which was 4 % of a training step. Here one
64-bit word decides four values: with 16 bits each, the probability is exact to 1 part in 65,536. On
other devices torch's own kernels run.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_DECISIONS_PER_WORD = 4
_DECISION_RANGE = 1 << 16


class Dropout(nn.Module):
    """While training, zero each value with probability `prob` and scale up the others."""

    def __init__(self, prob: float) -> None:
        super().__init__()
        self.prob = prob

    def forward(self, values: Tensor) -> Tensor:
        """Return the values after dropout, with the same shape and dtype."""
        if not self.training or self.prob == 0.0:
            return values
        if values.device.type != "cpu" or self.prob == 1.0:
            return functional.dropout(values, self.prob)
        return values * _scaled_mask(values, self.prob)


def _scaled_mask(values: Tensor, prob: float) -> Tensor:
    num_words = -(-values.numel() // _DECISIONS_PER_WORD)
    words = torch.empty(num_words, dtype=torch.int64).random_(-(1 << 63), None)
    decisions = words.view(torch.int16)[: values.numel()].view(values.shape)
    limit = round(prob * _DECISION_RANGE) - _DECISION_RANGE // 2
    return (decisions >= limit).to(values.dtype).mul_(1.0 / (1.0 - prob))
