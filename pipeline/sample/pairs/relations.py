"""Which segment becomes which relation: shares as near to the wanted ones as eligibility allows.

Every segment is segment_a once. It can be `contiguous` if its document has a next segment,
`linked` if it has a usable link, and `random` nearly always. The totals come first, the nearest to
the wanted shares that are feasible; then one of all assignments with these totals is drawn, each
with the same probability (LinkBERT, arXiv:2203.15827, section 5.1: the options appear uniformly).

    class of a segment     neither   successor   link   both
    code                         0           1      2      3
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from schemas.counter_rng import counter_bits, counter_key, counter_uniform
from schemas.tables.instances import CONTIGUOUS, LINKED, RANDOM

NEITHER, SUCCESSOR, LINK, BOTH = range(4)
CLASS_NAMES = ("neither", "successor", "link", "both")

DROPPED = -1
"""The relation of a segment that none is open to: no successor, no link, no other document."""

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]
Int8Array = npt.NDArray[np.int8]
BoolArray = npt.NDArray[np.bool_]
Totals = tuple[int, int, int]
"""Segments to become contiguous, random and linked, in this order."""

# The number to draw has a standard deviation of at most sqrt(N) / 2: 2,500 for 24 M segments.
_LIKELY_REACH = 1 << 16
_GRID_POINTS = 4096
# Below, log factorials come from a table; from here on Stirling's series is exact to the last bit.
_TABLE_SIZE = 1024
_LOG_FACTORIALS = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1.0, _TABLE_SIZE)))])


def assign_exact(
    classes: Int8Array,
    has_partner: BoolArray,
    ids: Int64Array,
    shares: tuple[float, float, float],
    seed_key: tuple[int, str],
) -> Int8Array:
    """Assign relations with the totals nearest to the shares, drawn uniformly.

    Segments without any document to draw a random one from are few, and only in tiny corpora.
    They are assigned first and the rest makes up for them.

    Args:
        classes: int8 [A], the class of each segment_a.
        has_partner: bool [A], whether there is a document to draw a random segment_b from.
        ids: int64 [A], the number that keys each segment's randomness.
        shares: wanted parts of contiguous, random and linked.
        seed_key: the seed, and what this draw is for.

    Returns:
        int8 [A]: a relation, or DROPPED.

    >>> classes = np.array([NEITHER, SUCCESSOR, LINK, BOTH, BOTH, BOTH], np.int8)
    >>> drawn = assign_exact(classes, np.ones(6, bool), np.arange(6), (1, 1, 1), (0, "doc"))
    >>> np.bincount(drawn).tolist(), int(drawn[0]) == RANDOM
    ([2, 2, 2], True)
    """
    relations = np.full(len(classes), DROPPED, np.int8)
    forced = ~has_partner
    relations[forced] = _without_random(classes[forced], ids[forced], seed_key)
    is_dropped = forced & (relations == DROPPED)
    wanted = choose_totals(np.bincount(classes[~is_dropped], minlength=4).tolist(), shares)
    done = [int((relations[forced] == relation).sum()) for relation in (CONTIGUOUS, LINKED)]
    still = (max(wanted[0] - done[0], 0), wanted[1], max(wanted[2] - done[1], 0))
    rest = np.flatnonzero(has_partner)
    counts = np.bincount(classes[rest], minlength=4).tolist()
    totals = choose_totals(counts, still if sum(still) else shares)
    relations[rest] = _draw_assignment(classes[rest], ids[rest], totals, seed_key)
    return relations


def _without_random(classes: Int8Array, ids: Int64Array, seed_key: tuple[int, str]) -> Int8Array:
    is_heads = counter_uniform(counter_key(*seed_key, "forced"), ids) < 0.5
    open_to_both = np.where(is_heads, CONTIGUOUS, LINKED)
    choices = [np.full(len(ids), each) for each in (DROPPED, CONTIGUOUS, LINKED)]
    return np.choose(classes, [*choices, open_to_both]).astype(np.int8)


def choose_totals(counts: list[int], shares: tuple[float, float, float]) -> Totals:
    """Return the feasible totals nearest to the shares.

    Args:
        counts: segments of each class.
        shares: wanted parts of contiguous, random and linked.

    >>> choose_totals([0, 0, 0, 9], (1, 1, 1))
    (3, 3, 3)
    >>> choose_totals([3, 4, 0, 2], (1, 1, 1))
    (4, 3, 2)
    """
    num_neither, num_successor, num_link, num_both = counts
    total = sum(counts)
    caps = (num_successor + num_both, total, num_link + num_both)
    contiguous, random, linked = _fill(total, shares, caps)
    if random < num_neither:
        contiguous, linked = _fill(total - num_neither, (shares[0], shares[2]), (caps[0], caps[2]))
        random = num_neither
    return contiguous, random, linked


def _fill(total: int, shares: tuple[float, ...], caps: tuple[int, ...]) -> list[int]:
    """Deal out `total` by shares; what exceeds a cap goes to the others by their shares."""
    filled = [0] * len(shares)
    open_indices = [index for index in range(len(shares)) if caps[index] > 0]
    left = total
    while left and open_indices:
        weights = [shares[index] for index in open_indices]
        if not sum(weights):
            weights = [1.0] * len(open_indices)
        dealt = _largest_remainders(left, weights)
        full = [
            index
            for index, amount in zip(open_indices, dealt, strict=True)
            if amount >= caps[index]
        ]
        if not full:
            for index, amount in zip(open_indices, dealt, strict=True):
                filled[index] = amount
            break
        for index in full:
            filled[index] = caps[index]
            left -= caps[index]
            open_indices.remove(index)
    return filled


def _largest_remainders(total: int, weights: list[float]) -> list[int]:
    exact = [total * weight / sum(weights) for weight in weights]
    dealt = [int(amount) for amount in exact]
    by_remainder = sorted(range(len(exact)), key=lambda index: (dealt[index] - exact[index], index))
    for index in by_remainder[: total - sum(dealt)]:
        dealt[index] += 1
    return dealt


def _draw_assignment(
    classes: Int8Array, ids: Int64Array, totals: Totals, seed_key: tuple[int, str]
) -> Int8Array:
    """Draw one of all assignments with these totals, each with the same probability.

    How many of each class become what is drawn first; then, within a class, the segments with the
    smallest words of a counter-based generator are taken, a uniformly random subset.
    """
    relations = np.full(len(classes), RANDOM, np.int8)
    contiguous, linked = draw_split(
        np.bincount(classes, minlength=4).tolist(), totals, counter_key(*seed_key, "split")
    )
    key = counter_key(*seed_key, "relation")
    for name in (SUCCESSOR, LINK, BOTH):
        members = np.flatnonzero(classes == name)
        words = unique_words(counter_bits(key, ids[members]))
        first, second = contiguous[name], contiguous[name] + linked[name]
        ranked = members[_smallest(words, second)]
        relations[ranked[:first]] = CONTIGUOUS
        relations[ranked[first:second]] = LINKED
    return relations


def unique_words(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return the words with their lowest bits replaced by their place, so that none are equal.

    Sorting then has one result, whatever the algorithm.
    """
    low_bits = np.uint64(max(len(words) - 1, 1).bit_length())
    return ((words >> low_bits) << low_bits) | np.arange(len(words), dtype=np.uint64)


def _smallest(words: npt.NDArray[np.uint64], count: int) -> Int64Array:
    """Return the indices of the `count` smallest words, in ascending order of the words."""
    if count == 0:
        return np.zeros(0, np.int64)
    nearest = np.argpartition(words, count - 1)[:count] if count < len(words) else np.arange(count)
    return nearest[np.argsort(words[nearest])]


def draw_split(
    counts: list[int], totals: Totals, key: np.uint64
) -> tuple[dict[int, int], dict[int, int]]:
    """Draw how many of each class become contiguous and how many become linked.

    With s, b, l segments of the classes successor, both, link and c contiguous, k linked in all,
    the number of assignments with i contiguous ones of class successor is, summed over the rest by
    Vandermonde's identity, C(s, i) C(b, c - i) C(l + b - c + i, k). Given i, the number j of linked
    ones of class link is hypergeometric: C(l, j) C(b - c + i, k - j).

    Returns:
        For each class with a choice, the contiguous ones and the linked ones.
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
    return (
        {SUCCESSOR: chosen, LINK: 0, BOTH: contiguous - chosen},
        {SUCCESSOR: 0, LINK: linked_link, BOTH: linked - linked_link},
    )


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


def assign_independently(
    classes: Int8Array,
    has_partner: BoolArray,
    ids: Int64Array,
    shares: tuple[float, float, float],
    seed_key: tuple[int, str],
) -> Int8Array:
    """Draw each segment's relation by the shares of those open to it, on its own.

    Args and result as in `assign_exact`.
    """
    open_to = np.stack([(classes & SUCCESSOR) > 0, has_partner, (classes & LINK) > 0], axis=1)
    weights = np.cumsum(open_to * np.array(shares, np.float64), axis=1)
    drawn = counter_uniform(counter_key(*seed_key, "relation"), ids) * weights[:, 2]
    relations = (drawn[:, None] >= weights[:, :2]).sum(axis=1)
    # With share 0 for all that is open, the first open one is taken.
    nothing = weights[:, 2] == 0
    relations[nothing] = np.argmax(open_to[nothing], axis=1)
    return np.where(open_to.any(axis=1), relations, DROPPED).astype(np.int8)


def class_accuracy(by_class: dict[str, dict[str, int]]) -> float:
    """Return the best accuracy a guess of the relation from the class of segment_a alone can have.

    >>> class_accuracy({"successor": {"contiguous": 3, "random": 1}, "both": {"linked": 4}})
    0.875
    """
    total = sum(sum(relations.values()) for relations in by_class.values())
    best = sum(max(relations.values(), default=0) for relations in by_class.values())
    return best / total if total else 0.0
