"""Dropout, from a quarter of the random words where it is computed on a CPU.

torch draws one 32-bit word per number there, one by one, which was 4 % of a training step. 16 bits
are enough to decide: the probability is met to 1 part in 65,536. Elsewhere torch's own kernels run.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_DECISIONS_PER_WORD = 4
_DECISION_RANGE = 1 << 16


class Dropout(nn.Module):
    """Zero numbers with probability `prob` while training and scale up the others."""

    def __init__(self, prob: float) -> None:
        super().__init__()
        self.prob = prob

    def forward(self, values: Tensor) -> Tensor:
        """Return the values with some zeroed, the same shape and dtype."""
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
