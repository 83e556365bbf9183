import pytest
import torch
from torch import Tensor
from torch.nn import functional

from linkbert.model.cross_entropy import linear_cross_entropy


def arguments(num_masked: int = 40, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((num_masked, 16), (300, 16), (300,))
    found = [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return [value.to(dtype).requires_grad_() for value in found]


def usual(hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    logits = functional.linear(hidden, weight, bias)
    loss = functional.cross_entropy(logits.float(), labels, reduction="sum")
    return loss, (logits.argmax(1) == labels).sum()


LABELS = torch.arange(40) * 7


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_loss_hits_and_gradients_are_those_of_the_usual_functions(scale: float) -> None:
    results = []
    hidden, weight, bias = arguments()
    highest = functional.linear(hidden * scale, weight, bias).argmax(1)
    labels = torch.where(torch.arange(40) < 13, highest, LABELS)
    for function in (linear_cross_entropy, usual):
        hidden, weight, bias = arguments()
        loss, num_correct = function(hidden * scale, weight, bias, labels)
        (loss / 3).backward()
        results.append([loss, num_correct, hidden.grad, weight.grad, bias.grad])
    assert results[0][1].item() == 13
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs.to(ours), rtol=1e-5, atol=1e-5 * scale)


def test_one_of_the_labels_that_tie_in_half_precision_is_a_hit() -> None:
    hidden, weight, bias = (torch.ones(*shape) for shape in ((300, 16), (300, 16), (300,)))
    with torch.autocast("cpu", torch.bfloat16):
        _, num_correct = linear_cross_entropy(hidden, weight, bias, torch.arange(300))
    assert num_correct.item() == 1


def test_gradient_is_that_of_finite_differences() -> None:
    hidden, weight, bias = arguments(4, torch.float64)
    loss, _ = linear_cross_entropy(hidden, weight, bias, LABELS[:4])
    loss.backward()
    assert weight.grad is not None
    for place in ((0, 0), (7, 3), (299, 15)):
        moved = weight.detach().clone()
        losses = []
        for shift in (1e-6, -1e-6):
            moved[place] = weight.detach()[place] + shift
            losses.append(linear_cross_entropy(hidden, moved, bias, LABELS[:4])[0].item())
        slope = (losses[0] - losses[1]) / 2e-6
        assert weight.grad[place].item() == pytest.approx(slope, abs=1e-6)


def test_autocast_keeps_the_loss_in_float32_and_gradients_in_those_of_the_weights() -> None:
    results = []
    for enabled in (True, False):
        hidden, weight, bias = arguments()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss, _ = linear_cross_entropy(hidden, weight, bias, LABELS)
        loss.backward()
        assert loss.dtype == torch.float32
        results.append((loss, hidden.grad, weight.grad, bias.grad))
    for half, single in zip(*results, strict=True):
        assert half.dtype == torch.float32
        assert (half - single).abs().max() < 0.03 * single.abs().max()
        assert not torch.equal(half, single)


def test_batch_without_masked_tokens_has_no_loss_and_no_gradient() -> None:
    hidden, weight, bias = arguments(0)
    loss, num_correct = linear_cross_entropy(hidden, weight, bias, LABELS[:0])
    loss.backward()
    assert (loss.item(), num_correct.item()) == (0.0, 0.0)
    assert weight.grad is not None
    assert not weight.grad.any()


def test_second_backward_pass_is_refused_rather_than_wrong() -> None:
    loss, _ = linear_cross_entropy(*arguments(), LABELS)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
