"""Which segment becomes which relation: shares as near to the wanted ones as eligibility allows.

Every segment is segment_a once. It can be `contiguous` if its document has a next segment,
`linked` if it has a usable link, and `random` nearly always. The totals come first, the nearest to
the wanted shares that are feasible; then one of all assignments with these totals is drawn, each
with the same probability (LinkBERT, arXiv:2203.15827, section 5.1: the options appear uniformly).

    class of a segment     neither   successor   link   both
    code                         0           1      2      3
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.sample.pairs.splits import Totals, draw_split
from schemas.counter_rng import counter_bits, counter_key, counter_uniform, unique_words
from schemas.tables.instances import CONTIGUOUS, LINKED, RANDOM

NEITHER, SUCCESSOR, LINK, BOTH = range(4)
CLASS_NAMES = ("neither", "successor", "link", "both")

DROPPED = -1
"""The relation of a segment that none is open to: no successor, no link, no other document."""

Int64Array = npt.NDArray[np.int64]
Int8Array = npt.NDArray[np.int8]
BoolArray = npt.NDArray[np.bool_]


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


def _smallest(words: npt.NDArray[np.uint64], count: int) -> Int64Array:
    """Return the indices of the `count` smallest words, in ascending order of the words."""
    if count == 0:
        return np.zeros(0, np.int64)
    nearest = np.argpartition(words, count - 1)[:count] if count < len(words) else np.arange(count)
    return nearest[np.argsort(words[nearest])]


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
