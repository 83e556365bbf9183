"""Vocabulary scores and their cross entropy in one large matrix, instead of the usual six.

For small networks, scoring the vocabulary takes most of a training step, much of it on memory
traffic: the usual chain of functions writes logits, log-probabilities, a one-hot gradient and the
gradient of the logits, each [M, V]. Here one matrix holds the logits, then their exponentials and,
in the backward pass, their gradient. The gradient of the weights is returned as a new tensor, so
that autograd can add the gradient of the tied word embedding to it in place.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def linear_cross_entropy(
    hidden_MH: Tensor, weight_VH: Tensor, bias_V: Tensor, labels_M: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the summed loss of `hidden @ weight.T + bias`, and how many labels score highest.

    Args:
        hidden_MH: float [M, H].
        weight_VH: float [V, H].
        bias_V: float [V].
        labels_M: int64 [M].

    Returns:
        Two scalars, float32 or wider even under autocast; the second carries no gradient. Only one
        backward pass is possible: autograd refuses a second.

    >>> hidden, weight = torch.tensor([[0.0], [9.0]]), torch.tensor([[0.0], [1.0]])
    >>> found = linear_cross_entropy(hidden, weight, torch.zeros(2), torch.tensor([1, 1]))
    >>> [round(value.item(), 3) for value in found]
    [0.693, 2.0]
    """
    arguments = hidden_MH, weight_VH, bias_V, labels_M
    found: tuple[Tensor, Tensor] = _LinearCrossEntropy.apply(*arguments)  # type: ignore[no-untyped-call]
    return found


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Tensor) -> tuple[Tensor, Tensor]:
        hidden_MH, weight_VH, bias_V, labels_M = arguments
        logits_MV = functional.linear(hidden_MH, weight_VH, bias_V)
        ctx.product_dtype = logits_MV.dtype  # autocast's
        if logits_MV.dtype != torch.float64:
            logits_MV = logits_MV.float()
        label_logits_M = logits_MV.gather(1, labels_M[:, None]).squeeze(1)
        # In half precision several scores may tie for the highest; only one of them counts, as in
        # validation. Finding its index takes four times as long as the maximum alone on a CPU.
        has_ties = ctx.product_dtype in (torch.bfloat16, torch.float16)
        highest_M, best_M = logits_MV.max(1) if has_ties else (logits_MV.amax(1), None)
        exponentials_MV = logits_MV.sub_(highest_M[:, None]).exp_()
        totals_M = exponentials_MV.sum(1)
        loss = (highest_M - label_logits_M + totals_M.log()).sum()
        is_hit_M = label_logits_M == highest_M if best_M is None else labels_M == best_M
        num_correct = is_hit_M.sum(dtype=loss.dtype)
        ctx.mark_non_differentiable(num_correct)
        ctx.save_for_backward(*arguments, exponentials_MV, totals_M)
        return loss, num_correct

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, Tensor | None, Tensor, None]:
        hidden_MH, weight_VH, bias_V, labels_M, exponentials_MV, totals_M = ctx.saved_tensors
        grad_MV = exponentials_MV.mul_((grad / totals_M)[:, None])
        grad_MV.scatter_add_(1, labels_M[:, None], (-grad).expand(len(labels_M), 1))
        grad_MV = grad_MV.to(ctx.product_dtype)
        return (
            (grad_MV @ weight_VH.to(grad_MV)).to(hidden_MH),
            # The largest product of a step, and not needed when the encoder is frozen.
            (grad_MV.t() @ hidden_MH.to(grad_MV)).to(weight_VH)
            if ctx.needs_input_grad[1]
            else None,
            # On a CPU, a product with ones reads the matrix faster than a sum over its rows.
            (grad_MV.t() @ grad_MV.new_ones(len(labels_M))).to(bias_V),
            None,
        )
