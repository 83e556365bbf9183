"""Counter-based randomness: a number depends on (seed, purpose, ids), never on when it is drawn.

Sampling and masking share this generator, so it lives with the contract: the same seed must give
the same pairs and masks whatever the runner, the number of workers or the place of a restart. The
mixer is SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014), which passes BigCrush over
consecutive counters.

    key = counter_key(seed, "target", epoch)          one 64-bit key per purpose
    bits = counter_bits(key, segment_ids)             one independent word per id
    bits = counter_bits(counter_bits(key, a), b)      keyed by two ids
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
UInt64Array = npt.NDArray[np.uint64]

_GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def counter_key(seed: int, *purpose: str | int) -> np.uint64:
    """Derive the 64-bit key of one stream of random numbers.

    >>> bool(counter_key(0, "target", 1) == counter_key(0, "target", 1))
    True
    >>> bool(counter_key(0, "target", 1) == counter_key(0, "target", 2))
    False
    """
    text = "/".join(str(part) for part in (seed, *purpose))
    return np.uint64(
        int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
    )


def counter_bits(key: np.uint64 | UInt64Array, ids: npt.ArrayLike) -> UInt64Array:
    """Return one uniform 64-bit word per id; `key` and `ids` broadcast.

    Args:
        key: uint64 scalar from `counter_key`, or uint64 [...] from an earlier call.
        ids: non-negative integers [...].

    Returns:
        uint64 [...], the broadcast shape.
    """
    with np.errstate(over="ignore"):
        counters = (np.asarray(ids).astype(np.uint64) + np.uint64(1)) * _GOLDEN_GAMMA
        return _mixed(np.asarray(counters + key))


def counter_bits_in_runs(
    keys: UInt64Array, starts: Int64Array, lengths: Int64Array, places: Int64Array
) -> UInt64Array:
    """Return the words of several keys one after the other, a third cheaper than one by one.

    Args:
        keys: uint64 [R], one per run.
        starts: int64 [R], the place at which each run's ids begin with 0.
        lengths: int64 [R], how many of the places belong to each run.
        places: int64 [P], non-negative, those of the first run first.

    Returns:
        uint64 [P]: `counter_bits(key, place - start)` with key and start of the place's run.

    >>> keys = counter_bits(counter_key(0, "doc"), [7, 9])
    >>> words = counter_bits_in_runs(keys, np.array([0, 2]), np.array([2, 3]), np.arange(5))
    >>> bool((words[2:] == counter_bits(keys[1], [0, 1, 2])).all())
    True
    """
    with np.errstate(over="ignore"):
        # An id is multiplied by a constant, so its start can be taken off the key, once per run.
        firsts = starts.astype(np.uint64) - np.uint64(1)
        state = np.repeat(keys - firsts * _GOLDEN_GAMMA, lengths)
        state += places.astype(np.uint64) * _GOLDEN_GAMMA
        return _mixed(state)


def _mixed(state: UInt64Array) -> UInt64Array:
    """Mix counters in place: memory traffic is most of the cost."""
    shifted = np.empty_like(state)
    state ^= np.right_shift(state, np.uint64(30), out=shifted)
    state *= _MIX_1
    state ^= np.right_shift(state, np.uint64(27), out=shifted)
    state *= _MIX_2
    state ^= np.right_shift(state, np.uint64(31), out=shifted)
    return state


def counter_uniform(key: np.uint64 | UInt64Array, ids: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return one float64 in [0, 1) per id, with 53 random bits.

    >>> draw = counter_uniform(counter_key(0, "doc"), np.arange(100_000))
    >>> bool((draw >= 0).all() and (draw < 1).all()), round(float(draw.mean()), 2)
    (True, 0.5)
    """
    return np.asarray((counter_bits(key, ids) >> np.uint64(11)) * (1.0 / (1 << 53)))


def unique_words(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return the words with their lowest bits replaced by their place, so that none are equal.

    Sorting then has one result, whatever the algorithm.
    """
    low_bits = np.uint64(max(len(words) - 1, 1).bit_length())
    return ((words >> low_bits) << low_bits) | np.arange(len(words), dtype=np.uint64)
