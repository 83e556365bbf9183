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
        # In place from here on: memory traffic is most of the cost.
        state = np.asarray(counters + key)
        state ^= state >> np.uint64(30)
        state *= _MIX_1
        state ^= state >> np.uint64(27)
        state *= _MIX_2
        state ^= state >> np.uint64(31)
        return state


def counter_uniform(key: np.uint64 | UInt64Array, ids: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return one float64 in [0, 1) per id, with 53 random bits.

    >>> draw = counter_uniform(counter_key(0, "doc"), np.arange(100_000))
    >>> bool((draw >= 0).all() and (draw < 1).all()), round(float(draw.mean()), 2)
    (True, 0.5)
    """
    return np.asarray((counter_bits(key, ids) >> np.uint64(11)) * (1.0 / (1 << 53)))
