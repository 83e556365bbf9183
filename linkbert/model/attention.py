"""Attention over sequences stored end to end, by the fastest kernel available on the device.

On a GPU of the Ampere generation or newer, in half precision, flash attention takes the ragged
batch as it is. Elsewhere queries, keys and values (and nothing else in the network) are laid out on
a padded grid for scaled_dot_product_attention. A batch of equal lengths is already a grid.

Shapes: `linkbert.model.network`.
"""

# Fields carry their shapes in capitals.
# ruff: noqa: N815

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

try:
    from torch.nn.attention import varlen
except ImportError:  # before torch 2.10
    varlen = None  # type: ignore[assignment]


_LARGEST_FLASH_HEAD = 256

_AMPERE = 8
"""Compute capability of the first GPUs that run flash attention (the paper's tiny model was
trained on two GPUs with 7.5)."""


class BatchLayout(NamedTuple):
    """Where each sequence lies in the tokens of a batch."""

    starts_B: Tensor  # int64, first token of each sequence
    bounds: Tensor  # int32 [B + 1], as variable-length kernels want them
    # Both are None if all sequences have the same length.
    slots_N: Tensor | None  # int64, row of each token on the padded grid [B * T]
    is_token_B11T: Tensor | None  # bool, grid places that hold a token
    num_sequences: int
    max_length: int

    @staticmethod
    def of(lengths_B: Tensor, max_length: int, num_tokens: int) -> BatchLayout:
        """Lay out sequences of the given lengths, none above `max_length`.

        >>> BatchLayout.of(torch.tensor([2, 3]), 3, 5).slots_N
        tensor([0, 1, 3, 4, 5])
        """
        num_sequences = len(lengths_B)
        ends_B = lengths_B.long().cumsum(0)
        starts_B = ends_B - lengths_B
        bounds = functional.pad(ends_B, (1, 0)).int()
        if num_sequences * max_length == num_tokens:
            return BatchLayout(starts_B, bounds, None, None, num_sequences, max_length)
        place_N = torch.arange(num_tokens, device=lengths_B.device)
        row_N = torch.repeat_interleave(lengths_B, output_size=num_tokens)
        slots_N = place_N + row_N * max_length - starts_B[row_N]
        place_T = torch.arange(max_length, device=lengths_B.device)
        is_token_B11T = (place_T < lengths_B[:, None])[:, None, None, :]
        return BatchLayout(starts_B, bounds, slots_N, is_token_B11T, num_sequences, max_length)


def attend(qkv_N3AD: Tensor, layout: BatchLayout, dropout_prob: float) -> Tensor:
    """Return context_NH: attention of each token to the tokens of its own sequence."""
    if _has_ragged_kernel(qkv_N3AD, dropout_prob):
        return _attend_ragged(qkv_N3AD, layout)
    return _attend_on_grid(qkv_N3AD, layout, dropout_prob)


def _has_ragged_kernel(qkv_N3AD: Tensor, dropout_prob: float) -> bool:
    """Tell whether flash attention supports this input; the limits are from its source code."""
    head_size = qkv_N3AD.shape[-1]
    return (
        varlen is not None
        and qkv_N3AD.is_cuda
        and qkv_N3AD.dtype in (torch.bfloat16, torch.float16)
        and dropout_prob == 0.0
        and head_size % 8 == 0
        and head_size <= _LARGEST_FLASH_HEAD
        and torch.cuda.get_device_properties(qkv_N3AD.device).major >= _AMPERE
    )


def _attend_ragged(qkv_N3AD: Tensor, layout: BatchLayout) -> Tensor:
    query_NAD, key_NAD, value_NAD = qkv_N3AD.unbind(1)
    bounds, longest = layout.bounds, layout.max_length
    context_NAD = varlen.varlen_attn(
        query_NAD, key_NAD, value_NAD, bounds, bounds, longest, longest
    )
    assert isinstance(context_NAD, Tensor)  # it returns a pair only on request
    return context_NAD.flatten(1)


def _attend_on_grid(qkv_N3AD: Tensor, layout: BatchLayout, dropout_prob: float) -> Tensor:
    num_heads, head_size = qkv_N3AD.shape[2:]
    grid = qkv_N3AD.flatten(1)
    if layout.slots_N is not None:
        num_slots = layout.num_sequences * layout.max_length
        grid = _Spread.apply(grid, layout.slots_N, num_slots)  # type: ignore[no-untyped-call]
    shape = (layout.num_sequences, layout.max_length, 3, num_heads, head_size)
    query_BATD, key_BATD, value_BATD = grid.view(shape).permute(2, 0, 3, 1, 4)
    context_BATD = functional.scaled_dot_product_attention(
        query_BATD, key_BATD, value_BATD, layout.is_token_B11T, dropout_prob
    )
    context = context_BATD.transpose(1, 2).reshape(-1, num_heads * head_size)
    if layout.slots_N is not None:
        context = _Gather.apply(context, layout.slots_N)  # type: ignore[no-untyped-call]
    return context


class _Spread(torch.autograd.Function):
    """Copy rows to distinct slots of a zeroed grid; the gradient is the plain gather."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, slots: Tensor, num_slots: int) -> Tensor:
        ctx.save_for_backward(slots)
        return rows.new_zeros(num_slots, rows.shape[1]).index_copy_(0, slots, rows)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (slots,) = ctx.saved_tensors
        return grad.index_select(0, slots), None, None


class _Gather(torch.autograd.Function):
    """Gather rows from distinct slots; the gradient is copied, where autograd's would be added."""

    @staticmethod
    def forward(ctx: Any, grid: Tensor, slots: Tensor) -> Tensor:
        ctx.save_for_backward(slots)
        ctx.num_slots = grid.shape[0]
        return grid.index_select(0, slots)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (slots,) = ctx.saved_tensors
        return grad.new_zeros(ctx.num_slots, grad.shape[1]).index_copy_(0, slots, grad), None
