import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sample.pairs.relations import (
    BOTH,
    DROPPED,
    LINK,
    NEITHER,
    SUCCESSOR,
    assign_exact,
    assign_independently,
    choose_totals,
    class_accuracy,
)
from schemas.tables.instances import CONTIGUOUS, LINKED, RANDOM

EQUAL = (1.0, 1.0, 1.0)
OPEN_TO = {
    NEITHER: [RANDOM],
    SUCCESSOR: [CONTIGUOUS, RANDOM],
    LINK: [RANDOM, LINKED],
    BOTH: [CONTIGUOUS, RANDOM, LINKED],
}


def assign(classes: list[int], seed: int = 0) -> list[int]:
    codes = np.array(classes, np.int8)
    partner = np.ones(len(codes), bool)
    return assign_exact(codes, partner, np.arange(len(codes)), EQUAL, (seed, "test")).tolist()


def feasible_totals(counts: list[int]) -> list[tuple[int, int, int]]:
    """List all totals that some assignment has, by trying them all."""
    total = sum(counts)
    found = []
    for contiguous in range(counts[SUCCESSOR] + counts[BOTH] + 1):
        for linked in range(counts[LINK] + counts[BOTH] + 1):
            random = total - contiguous - linked
            if random >= counts[NEITHER]:
                found.append((contiguous, random, linked))
    return found


@given(st.lists(st.integers(0, 9), min_size=4, max_size=4))
def test_totals_are_the_feasible_ones_nearest_to_a_third(counts: list[int]) -> None:
    chosen = choose_totals(counts, EQUAL)
    third = sum(counts) / 3

    def distance(totals: tuple[int, int, int]) -> float:
        return sum((count - third) ** 2 for count in totals)

    possible = feasible_totals(counts)
    assert chosen in possible
    assert distance(chosen) == pytest.approx(min(map(distance, possible)))


def test_other_shares_are_kept_where_possible() -> None:
    assert choose_totals([0, 0, 0, 100], (2, 1, 1)) == (50, 25, 25)
    assert choose_totals([0, 50, 0, 50], (1, 1, 0)) == (50, 50, 0)


def test_every_feasible_assignment_is_equally_likely() -> None:
    classes = [NEITHER, SUCCESSOR, SUCCESSOR, LINK, BOTH, BOTH]
    totals = choose_totals(np.bincount(classes, minlength=4).tolist(), EQUAL)
    possible = {
        choice
        for choice in itertools.product(*(OPEN_TO[each] for each in classes))
        if tuple(choice.count(relation) for relation in range(3)) == totals
    }
    draws = 2000
    seen = Counter(tuple(assign(classes, seed)) for seed in range(draws))
    assert set(seen) == possible
    expected = draws / len(possible)
    chi_square = sum((count - expected) ** 2 / expected for count in seen.values())
    # 99.9 % of a chi-square variable with k degrees of freedom lie below this (Wilson, Hilferty).
    k = len(possible) - 1
    assert chi_square < k * (1 - 2 / (9 * k) + 3.09 * (2 / (9 * k)) ** 0.5) ** 3


def test_a_segment_open_to_all_becomes_each_of_them() -> None:
    seen = {assign([BOTH] * 9, seed)[0] for seed in range(50)}
    assert seen == {CONTIGUOUS, RANDOM, LINKED}


def test_large_corpora_get_a_third_each_to_one() -> None:
    rng = np.random.default_rng(0)
    classes = rng.choice(4, 100_001, p=[0.02, 0.28, 0.1, 0.6])
    counts = np.bincount(assign(classes.tolist()))
    assert sorted(counts.tolist()) == [33_333, 33_334, 33_334]


def test_the_draw_does_not_depend_on_the_order_of_segments() -> None:
    rng = np.random.default_rng(1)
    classes = rng.integers(0, 4, 500).astype(np.int8)
    ids = np.arange(500) * 7
    order = rng.permutation(500)
    partner = np.ones(500, bool)
    one = assign_exact(classes, partner, ids, EQUAL, (0, "x"))
    other = assign_exact(classes[order], partner, ids[order], EQUAL, (0, "x"))
    assert (one[order] == other).all()


def test_segments_without_a_partner_are_never_random() -> None:
    classes = np.array([NEITHER, SUCCESSOR, LINK, BOTH] * 5 + [BOTH] * 20, np.int8)
    partner = np.arange(40) >= 20
    for assigner in (assign_exact, assign_independently):
        drawn = assigner(classes, partner, np.arange(40), EQUAL, (0, "x"))
        assert (drawn[~partner] != RANDOM).all()
        assert (drawn[:20][classes[:20] == NEITHER] == DROPPED).all()
        assert (drawn[20:] >= 0).all()
    exact = assign_exact(classes, partner, np.arange(40), EQUAL, (0, "x"))
    counts = np.bincount(exact[exact >= 0], minlength=3)
    assert counts.max() - counts.min() <= 1


def test_independent_draws_follow_what_is_open() -> None:
    classes = np.full(30_000, SUCCESSOR, np.int8)
    drawn = assign_independently(
        classes, np.ones(len(classes), bool), np.arange(len(classes)), EQUAL, (0, "x")
    )
    assert np.bincount(drawn, minlength=3) / len(drawn) == pytest.approx([0.5, 0.5, 0], abs=0.01)


def test_a_relation_that_follows_from_the_class_is_guessed_always() -> None:
    assert class_accuracy({"neither": {"random": 5}, "both": {"linked": 5}}) == 1.0
    assert class_accuracy({}) == 0.0
