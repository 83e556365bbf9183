"""Draw how many segments of each class get which relation, as a uniform assignment would have it.

Of all assignments with given totals each must have the same probability. Counting them gives the
distribution of two numbers, which decide the rest; both are drawn from exact log-weights, so that
tens of millions of segments need no loop.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from schemas.counter_rng import counter_uniform

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]
Totals = tuple[int, int, int]
"""Segments to become contiguous, random and linked, in this order."""

# The number to draw has a standard deviation of at most sqrt(N) / 2: 2,500 for 24 M segments.
_LIKELY_REACH = 1 << 16
_GRID_POINTS = 4096
# Below, log factorials come from a table; from here on Stirling's series is exact to the last bit.
_TABLE_SIZE = 1024
_LOG_FACTORIALS = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1.0, _TABLE_SIZE)))])


def draw_split(counts: list[int], totals: Totals, key: np.uint64) -> tuple[list[int], list[int]]:
    """Draw how many of each class become contiguous and how many become linked.

    With s, b, l segments of the classes successor, both, link and c contiguous, k linked in all,
    the number of assignments with i contiguous ones of class successor is, summed over the rest by
    Vandermonde's identity, C(s, i) C(b, c - i) C(l + b - c + i, k). Given i, the number j of linked
    ones of class link is hypergeometric: C(l, j) C(b - c + i, k - j).

    Args:
        counts: segments of the classes neither, successor, link and both.
        totals: segments to become contiguous, random and linked; feasible ones.
        key: of the draw.

    Returns:
        For each class, how many become contiguous, and how many linked.

    >>> draw_split([0, 2, 2, 0], (2, 1, 1), np.uint64(7))
    ([0, 2, 0, 0], [0, 0, 1, 0])
    """
    _, num_successor, num_link, num_both = counts
    contiguous, _, linked = totals

    def weigh_contiguous(numbers: Int64Array) -> Float64Array:
        others = num_link + num_both - contiguous + numbers
        from_both = _log_choose(num_both, contiguous - numbers)
        return _log_choose(num_successor, numbers) + from_both + _log_choose(others, linked)

    def weigh_linked(numbers: Int64Array) -> Float64Array:
        return _log_choose(num_link, numbers) + _log_choose(both_left, linked - numbers)

    low, high = max(0, contiguous - num_both), min(num_successor, contiguous)
    chosen = _draw_number(low, high, weigh_contiguous, float(counter_uniform(key, 0)))
    both_left = num_both - contiguous + chosen
    low, high = max(0, linked - both_left), min(num_link, linked)
    linked_link = _draw_number(low, high, weigh_linked, float(counter_uniform(key, 1)))
    return [0, chosen, 0, contiguous - chosen], [0, 0, linked_link, linked - linked_link]


def _draw_number(
    low: int, high: int, log_weights: Callable[[Int64Array], Float64Array], uniform: float
) -> int:
    """Draw a number from low to high by weights whose logarithms are concave."""
    numbers = _likely_range(low, high, log_weights)
    weights = log_weights(numbers)
    cumulative = np.cumsum(np.exp(weights - weights.max()))
    found = np.searchsorted(cumulative, uniform * cumulative[-1], side="right")
    return int(numbers[min(int(found), len(numbers) - 1)])


def _likely_range(
    low: int, high: int, log_weights: Callable[[Int64Array], Float64Array]
) -> Int64Array:
    """Return the numbers around the mode; what is left out is beyond 26 standard deviations."""
    left, right = low, high
    while right - left > 2 * _GRID_POINTS:
        # The weights rise to one peak and fall: it lies beside the best point of a grid.
        grid = np.unique(np.linspace(left, right, _GRID_POINTS).astype(np.int64))
        best = int(np.argmax(log_weights(grid)))
        left, right = int(grid[max(best - 1, 0)]), int(grid[min(best + 1, len(grid) - 1)])
    middle = (left + right) // 2
    return np.arange(max(low, middle - _LIKELY_REACH), min(high, middle + _LIKELY_REACH) + 1)


def _log_choose(total: npt.ArrayLike, chosen: npt.ArrayLike) -> Float64Array:
    """Return log C(total, chosen), -inf where chosen is not between 0 and total."""
    total, chosen = np.broadcast_arrays(np.asarray(total), np.asarray(chosen))
    is_possible = (chosen >= 0) & (chosen <= total)
    n, k = np.where(is_possible, total, 0), np.where(is_possible, chosen, 0)
    logs = log_factorial(n) - log_factorial(k) - log_factorial(n - k)
    return np.asarray(np.where(is_possible, logs, -np.inf))


def log_factorial(numbers: npt.ArrayLike) -> Float64Array:
    """Return the natural logarithm of the factorial of each number.

    >>> round(float(log_factorial(5)), 4), round(float(log_factorial(2000)), 4)
    (4.7875, 13206.5244)
    """
    small = np.asarray(numbers)
    x = np.maximum(small, _TABLE_SIZE).astype(np.float64)
    inverse = 1.0 / x
    series = inverse / 12 - inverse**3 / 360 + inverse**5 / 1260
    large = x * np.log(x) - x + 0.5 * np.log(2 * np.pi * x) + series
    table = _LOG_FACTORIALS[np.minimum(small, _TABLE_SIZE - 1)]
    return np.asarray(np.where(small < _TABLE_SIZE, table, large))
