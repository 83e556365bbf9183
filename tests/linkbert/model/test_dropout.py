import pytest
import torch

from linkbert.model.dropout import Dropout


@pytest.mark.parametrize("prob", [0.1, 0.5, 0.9])
def test_share_and_scale_are_those_of_the_probability(prob: float) -> None:
    torch.manual_seed(0)
    values = Dropout(prob)(torch.ones(1000, 1003))
    kept = values != 0
    # 5 standard deviations of a million draws
    assert abs(kept.float().mean().item() - (1 - prob)) < 5 * (prob * (1 - prob) / 1e6) ** 0.5
    assert torch.allclose(values[kept], torch.tensor(1 / (1 - prob)))
    # No place is favoured, neither of the four that share a word nor any column.
    shares = kept.flatten()[: 1003 * 996].view(-1, 4).float().mean(0)
    assert (shares - (1 - prob)).abs().max() < 0.005


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(1)
    dropped = (Dropout(0.5)(torch.ones(400_000)) == 0).float()
    for distance in range(1, 9):
        together = (dropped[distance:] * dropped[:-distance]).mean().item()
        assert abs(together - 0.25) < 0.005


def test_gradient_passes_where_values_do() -> None:
    values = torch.randn(50, 7, requires_grad=True)
    out = Dropout(0.3)(values)
    out.sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad * values, out)


def test_same_seed_drops_the_same() -> None:
    results = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        results.append(Dropout(0.5)(torch.ones(99)))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_nothing_is_dropped_in_evaluation_or_everything_at_probability_one() -> None:
    values = torch.randn(9)
    assert Dropout(0.5).eval()(values) is values
    assert Dropout(0.0)(values) is values
    assert not Dropout(1.0)(values).any()
