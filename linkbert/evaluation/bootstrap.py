"""Intervals from resampling what varies together: seeds, then articles, then pairs.

Pairs of one article resemble each other, and all pairs of a seed share its model, so a bootstrap
that drew only pairs would make every interval too narrow. A replicate draws seeds with replacement,
then articles of each drawn seed, then pairs of each drawn article (Davison and Hinkley, Bootstrap
Methods and their Application, 1997, section 3.8).

A few seeds cannot show how much seeds differ. In simulations with 60 articles per seed the interval
contained the true value in 98 % of cases if seeds did not differ. With 2, 3 and 5 seeds that spread
by about twice the standard error of a single seed it did so in 80, 85 and 89 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Figures = npt.NDArray[np.float64]

INTERVAL = (2.5, 97.5)
"""Percentiles of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """The pairs of one seed.

    Attributes:
        articles: int64 [P], the article of each pair, numbered from 0 without gaps.
        columns: float64 [P, C], figures of each pair that can be summed.
    """

    articles: npt.NDArray[np.int64]
    columns: Figures


def resampled_sums(seeds: Sequence[Clusters], num_resamples: int, seed: int) -> Figures:
    """Return the column sums of every replicate.

    Args:
        seeds: the pairs of each seed, all with the same columns.
        num_resamples: the number of replicates.
        seed: the seed of the draws.

    Returns:
        float64 [num_resamples, C].

    >>> one = Clusters(np.array([0, 0, 1]), np.ones((3, 1)))
    >>> bool((resampled_sums([one], 100, 0) >= 2).all())
    True
    """
    draws = np.random.Generator(np.random.Philox(seed))
    ordered = [_Ordered(each) for each in seeds]
    sums = np.zeros((num_resamples, seeds[0].columns.shape[1]))
    for replicate in range(num_resamples):
        for chosen in draws.integers(0, len(ordered), len(ordered)).tolist():
            sums[replicate] += ordered[chosen].draw(draws)
    return sums


class _Ordered:
    """The pairs of a seed, article by article."""

    def __init__(self, clusters: Clusters) -> None:
        self._columns = clusters.columns[np.argsort(clusters.articles, kind="stable")]
        self._sizes = np.bincount(clusters.articles)
        self._starts = np.cumsum(self._sizes) - self._sizes

    def draw(self, draws: np.random.Generator) -> Figures:
        """Return the column sums of one draw of articles, then of pairs of each."""
        articles = draws.integers(0, len(self._sizes), len(self._sizes))
        sizes = self._sizes[articles]
        places = (draws.random(int(sizes.sum())) * np.repeat(sizes, sizes)).astype(np.int64)
        rows = np.repeat(self._starts[articles], sizes) + places
        weights = np.bincount(rows, minlength=len(self._columns)).astype(np.float64)
        drawn: Figures = weights @ self._columns
        return drawn


def interval(sums: Figures, counts: Figures) -> list[float] | None:
    """Return the 95 % interval of a ratio of sums over replicates; None if all counts are 0.

    >>> interval(np.array([1.0, 1.0]), np.array([2.0, 2.0]))
    [0.5, 0.5]
    """
    kept = counts > 0
    if not kept.any():
        return None
    low, high = np.percentile(sums[kept] / counts[kept], INTERVAL)
    return [float(low), float(high)]


def p_value(differences: Figures) -> float:
    """Return the two-sided p-value of a difference of zero, from its replicates.

    >>> p_value(np.array([1.0] * 99))
    0.02
    """
    size = len(differences)
    tail = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (size + 1))


def holm(p_values: dict[str, float]) -> dict[str, float]:
    """Return p-values corrected for multiple testing (Holm, Scand. J. Statist. 1979).

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    corrected: dict[str, float] = {}
    highest = 0.0
    ordered = sorted(p_values.items(), key=lambda item: item[1])
    for rank, (name, value) in enumerate(ordered):
        highest = max(highest, min(1.0, value * (len(ordered) - rank)))
        corrected[name] = highest
    return {name: corrected[name] for name in p_values}
