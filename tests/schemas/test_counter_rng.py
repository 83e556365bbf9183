import numpy as np

from schemas.counter_rng import (
    counter_bits,
    counter_bits_in_runs,
    counter_key,
    counter_uniform,
    unique_words,
)


def test_words_are_those_of_the_published_generator() -> None:
    # SplitMix64 seeded with 0: the first outputs of the reference implementation.
    assert counter_bits(np.uint64(0), [0, 1, 2]).tolist() == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]


def test_a_draw_depends_on_its_id_alone() -> None:
    key = counter_key(1, "target", 0)
    whole = counter_uniform(key, np.arange(1000))
    assert np.array_equal(counter_uniform(key, [17, 3]), whole[[17, 3]])


def test_seeds_purposes_and_epochs_give_unrelated_streams() -> None:
    ids = np.arange(20_000)
    keys = [counter_key(*parts) for parts in ((0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1))]
    streams = np.stack([counter_uniform(key, ids) for key in keys])
    correlations = np.corrcoef(streams)[np.triu_indices(4, 1)]
    assert np.abs(correlations).max() < 0.03


def test_draws_keyed_by_two_ids_are_uniform() -> None:
    bits = counter_bits(
        counter_bits(counter_key(0, "mask"), np.arange(300))[:, None], np.arange(300)
    )
    counts = np.bincount((bits % np.uint64(10)).astype(int).ravel(), minlength=10)
    assert np.abs(counts / bits.size - 0.1).max() < 0.005


def test_words_of_runs_are_those_of_each_key_and_id() -> None:
    keys = counter_bits(counter_key(0, "mask"), np.arange(4))
    starts, lengths = np.array([0, 3, 3, 3 - (1 << 32)]), np.array([3, 0, 5, 2])
    places = np.array([0, 1, 2, 3, 4, 7, 9, 10, 11, 12])
    expected = [
        int(counter_bits(keys[run], places[i] - starts[run]))
        for i, run in enumerate(np.repeat(np.arange(4), lengths))
    ]
    assert counter_bits_in_runs(keys, starts, lengths, places).tolist() == expected


def test_words_become_distinct_and_keep_their_high_bits() -> None:
    words = np.array([1 << 40, 1 << 40, (1 << 40) + 1], np.uint64)
    found = unique_words(words)
    assert len(set(found.tolist())) == 3
    assert (found >> np.uint64(8) == words >> np.uint64(8)).all()
