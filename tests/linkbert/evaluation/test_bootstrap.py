"""Intervals by resampling clusters, p-values and their correction."""

import numpy as np
import pytest

from linkbert.evaluation.bootstrap import Clusters, holm, interval, p_value, resampled_sums


def clusters(rng: np.random.Generator, spread: float, num_articles: int = 20) -> Clusters:
    """Pairs whose articles differ by `spread`; columns are a figure of mean 0, and a count."""
    articles = np.repeat(np.arange(num_articles), 5)
    figures = rng.normal(0, spread, num_articles)[articles] + rng.normal(0, 1, len(articles))
    return Clusters(articles, np.stack([figures, np.ones(len(articles))], axis=1))


def interval_of(seeds: list[Clusters]) -> tuple[float, float]:
    sums = resampled_sums(seeds, 200, 0)
    found = interval(sums[:, 0], sums[:, 1])
    assert found is not None
    return found[0], found[1]


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = sum(
        low <= 0 <= high for low, high in (interval_of([clusters(rng, 2.0)]) for _ in range(60))
    )
    assert 51 <= hits <= 60


def test_articles_that_differ_widen_the_interval() -> None:
    rng = np.random.default_rng(1)
    alike, different = (interval_of([clusters(rng, spread)]) for spread in (0.0, 3.0))
    assert different[1] - different[0] > 3 * (alike[1] - alike[0])


def test_seeds_that_differ_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    first, second = clusters(rng, 0.0), clusters(rng, 0.0)
    far = Clusters(second.articles, second.columns + np.array([5.0, 0.0]))
    alike, different = interval_of([first, second]), interval_of([first, far])
    assert different[1] - different[0] > 5 * (alike[1] - alike[0])


def test_replicates_are_the_same_for_the_same_seed() -> None:
    seeds = [clusters(np.random.default_rng(3), 1.0)]
    assert np.array_equal(resampled_sums(seeds, 9, 4), resampled_sums(seeds, 9, 4))
    assert not np.array_equal(resampled_sums(seeds, 9, 4), resampled_sums(seeds, 9, 5))


def test_the_order_of_pairs_does_not_matter_to_what_articles_hold() -> None:
    each = clusters(np.random.default_rng(5), 1.0)
    order = np.random.default_rng(6).permutation(len(each.articles))
    # Equal within articles, so that the order within one cannot show either.
    columns = each.articles[:, None].astype(float) + np.ones((1, 1))
    shuffled = Clusters(each.articles[order], columns[order])
    assert np.array_equal(
        resampled_sums([Clusters(each.articles, columns)], 9, 0), resampled_sums([shuffled], 9, 0)
    )


def test_p_values_are_two_sided_and_never_zero() -> None:
    assert p_value(np.linspace(-1, 1, 999)) == 1.0
    assert p_value(np.full(999, -1.0)) == pytest.approx(0.002)
    assert p_value(np.array([1.0] * 95 + [-1.0] * 4)) == pytest.approx(0.1)


def test_holm_is_monotone_and_never_above_one() -> None:
    assert holm({"a": 0.5, "b": 0.5, "c": 0.001}) == {"a": 1.0, "b": 1.0, "c": 0.003}
    assert holm({}) == {}
