"""What runs on a GPU alone, as far as a machine without one can show it."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from linkbert.model import attention
from linkbert.model.attention import BatchLayout, attend

LENGTHS = torch.tensor([7, 12, 1, 4])


def qkv(head_size: int = 16, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(24, 3, 2, head_size, generator=generator).to(dtype).requires_grad_()


def one_by_one(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    ends_q: Tensor,
    ends_k: Tensor,
    max_q: int,
    max_k: int,
) -> Tensor:
    """Attend in each sequence alone, and check what the kernel demands of its arguments."""
    assert query.shape == key.shape == value.shape == (24, 2, 16)
    assert ends_q.dtype == ends_k.dtype == torch.int32
    assert ends_q.tolist() == ends_k.tolist() == [0, 7, 19, 20, 24]
    assert max_q == max_k == 12
    sequences = [
        [part.transpose(0, 1) for part in parts]
        for parts in zip(
            *(values.split(LENGTHS.tolist()) for values in (query, key, value)), strict=True
        )
    ]
    found = [functional.scaled_dot_product_attention(*sequence) for sequence in sequences]
    return torch.cat([context.transpose(0, 1) for context in found])


def test_kernel_for_ragged_batches_gets_what_the_grid_computes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layout = BatchLayout.of(LENGTHS, 12, 24)
    monkeypatch.setattr(attention.varlen, "varlen_attn", one_by_one)
    results = []
    for is_ragged in (True, False):
        monkeypatch.setattr(attention, "_has_ragged_kernel", lambda *_, r=is_ragged: r)
        given = qkv()
        context = attend(given, layout, 0.0)
        context.square().sum().backward()
        assert given.grad is not None
        results.append((context.detach(), given.grad))
    for ragged, grid in zip(*results, strict=True):
        assert torch.allclose(ragged, grid, atol=1e-5)


def test_installed_kernel_takes_our_arguments_forward_and_backward(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Tensors without data run torch's own function and its gradient, but for the CUDA code.
    monkeypatch.setattr(attention, "_has_ragged_kernel", lambda *_: True)
    layout = BatchLayout.of(LENGTHS, 12, 24)._replace(
        bounds=torch.empty(5, dtype=torch.int32).to("meta")
    )
    given = torch.empty(24, 3, 2, 16, dtype=torch.bfloat16, device="meta", requires_grad=True)
    context = attend(given, layout, 0.0)
    context.float().sum().backward()
    assert (context.shape, context.dtype) == ((24, 32), torch.bfloat16)
    assert given.grad is not None
    assert (given.grad.shape, given.grad.dtype) == (given.shape, given.dtype)


@pytest.mark.parametrize(
    ("capability", "head_size", "dtype", "dropout", "is_taken"),
    [
        (9, 64, torch.bfloat16, 0.0, True),
        (8, 64, torch.float16, 0.0, True),
        (7, 64, torch.float16, 0.0, False),  # RTX 2080 Ti
        (9, 20, torch.bfloat16, 0.0, False),
        (9, 264, torch.bfloat16, 0.0, False),
        (9, 64, torch.float32, 0.0, False),
        (9, 64, torch.bfloat16, 0.1, False),
    ],
)
def test_flash_attention_is_used_where_it_runs(
    capability: int,
    head_size: int,
    dtype: torch.dtype,
    dropout: float,
    is_taken: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def properties(device: object) -> Any:
        return SimpleNamespace(major=capability)

    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    given: Any = SimpleNamespace(
        shape=(24, 3, 2, head_size), is_cuda=True, dtype=dtype, device="cuda"
    )
    assert attention._has_ragged_kernel(given, dropout) is is_taken
