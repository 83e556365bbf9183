"""The title index finds exactly the titles it was given."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.wiki.title_index import MISSING, hash_titles, sort_index

TITLES = st.lists(st.text(max_size=30))


@given(TITLES, st.integers(0, 5))
def test_hash_of_a_title_does_not_depend_on_its_neighbours(titles: list[str], offset: int) -> None:
    whole = hash_titles(pa.array(titles, pa.string()))
    alone = [hash_titles(pa.array([title]))[0] for title in titles]
    assert whole.tolist() == alone
    sliced = pa.array(titles, pa.string()).slice(offset)
    assert hash_titles(sliced).tolist() == alone[offset:]


@given(st.lists(st.text(max_size=30), unique=True))
def test_distinct_titles_have_distinct_hashes(titles: list[str]) -> None:
    assert len(set(hash_titles(pa.array(titles, pa.string())).tolist())) == len(titles)


def test_titles_that_differ_in_length_or_by_one_bit_are_told_apart() -> None:
    titles = ["", "\x00", "\x00\x00", *("a" * n for n in range(1, 40))]
    titles += ["a" * 20 + chr(98 + n) for n in range(20)]
    assert len(set(hash_titles(pa.array(titles)).tolist())) == len(titles)


def test_large_strings_hash_like_strings() -> None:
    titles = ["Rēzne", "", "Latgolys upe"]
    plain = hash_titles(pa.array(titles))
    assert plain.tolist() == hash_titles(pa.array(titles, pa.large_string())).tolist()


def test_salts_give_unrelated_hashes() -> None:
    titles = pa.array([str(n) for n in range(1000)])
    assert not set(hash_titles(titles, 0).tolist()) & set(hash_titles(titles, 1).tolist())


def test_every_bit_of_the_hash_is_fair() -> None:
    hashes = hash_titles(pa.array([f"Title {n}" for n in range(20_000)]))
    ones = np.unpackbits(hashes.view(np.uint8)).reshape(-1, 64).mean(axis=0)
    # 20,000 fair bits stay within 5 standard deviations of 1/2 with near certainty.
    assert abs(ones - 0.5).max() < 5 * 0.5 / np.sqrt(20_000)


@given(st.lists(st.text(max_size=3)), TITLES)
def test_look_up_equals_a_dict(known: list[str], wanted: list[str]) -> None:
    hashes = hash_titles(pa.array(known, pa.string()))
    index, _, _ = sort_index(hashes, np.arange(len(known), dtype=np.int32), 0)
    expected = {title: place for place, title in reversed(list(enumerate(known)))}
    found = index.look_up(pa.array([*wanted, *known], pa.string()))
    assert found.tolist() == [expected.get(title, MISSING) for title in [*wanted, *known]]


def test_losers_are_reported_with_their_winner() -> None:
    hashes = np.array([5, 9, 5, 5, 1], np.uint64)
    index, losers, winners = sort_index(hashes, np.arange(5, dtype=np.int32), 0)
    assert index.hashes.tolist() == [1, 5, 9]
    assert index.values.tolist() == [4, 0, 1]
    assert list(zip(losers.tolist(), winners.tolist(), strict=True)) == [(2, 0), (3, 0)]


@given(st.lists(st.integers(0, 5), max_size=40))
def test_the_first_of_equal_hashes_wins_however_many_there_are(numbers: list[int]) -> None:
    hashes = np.array(numbers, np.uint64)
    index, losers, winners = sort_index(hashes, np.arange(len(numbers), dtype=np.int32), 0)
    assert index.values.tolist() == [numbers.index(number) for number in sorted(set(numbers))]
    expected = [place for place, number in enumerate(numbers) if numbers.index(number) != place]
    assert sorted(losers.tolist()) == expected
    found = dict(zip(losers.tolist(), winners.tolist(), strict=True))
    assert found == {place: numbers.index(numbers[place]) for place in expected}
