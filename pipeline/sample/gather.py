"""Write shards of instances: for each pair of the plan, copy both segments from the flat ids.

The ids of all corpora are memory-mapped; a shard is a slice of the plan, so its rows lie anywhere
in them. Copying is a slice assignment a segment: measured, that is faster than any indexing of
single tokens, which costs eight bytes of index for two of data.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.storage import files
from schemas.pair_frame import PairFrame
from schemas.token_column import binary_column

AnyArray = npt.NDArray[Any]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TokenStore:
    """Flat ids in several files, read as one long array.

    Attributes:
        bases: int64 [F + 1], the first token of each file, and the number of all.
        views: the bytes of each file.
        dtype: of the ids.
    """

    bases: Int64Array
    views: list[memoryview]
    dtype: np.dtype[Any]

    def slices(self, starts: Int64Array, sizes: Int64Array) -> Iterator[memoryview]:
        """Yield the bytes of each run of tokens; a run lies within one file."""
        owners = np.searchsorted(self.bases, starts, side="right") - 1
        lows = (starts - self.bases[owners]) * self.dtype.itemsize
        highs = lows + sizes * self.dtype.itemsize
        views = self.views
        for owner, low, high in zip(owners.tolist(), lows.tolist(), highs.tolist(), strict=True):
            yield views[owner][low:high]


@contextmanager
def open_store(paths: Sequence[str], dtype: np.dtype[Any]) -> Iterator[TokenStore]:
    """Map files of ids until the block ends; remote ones are copied to the local disk first."""
    with ExitStack() as stack:
        views = []
        for path in paths:
            file = stack.enter_context(open(stack.enter_context(files.local_copy(path)), "rb"))
            views.append(_map_bytes(file.fileno()))
        sizes = [len(view) // dtype.itemsize for view in views]
        yield TokenStore(np.cumsum([0, *sizes], dtype=np.int64), views, dtype)


def _map_bytes(descriptor: int) -> memoryview:
    try:
        return memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))
    except ValueError:  # an empty file cannot be mapped
        return memoryview(b"")


@dataclass(frozen=True, slots=True)
class TokenRuns:
    """Runs of tokens in a store [R]: where each starts, and its size."""

    starts: Int64Array
    sizes: Int64Array


def join_pairs(
    store: TokenStore, runs_a: TokenRuns, runs_b: TokenRuns, frame: PairFrame
) -> tuple[AnyArray, npt.NDArray[np.int32]]:
    """Return the framed ids of each pair, one after the other, and the sizes [R].

    >>> ids = np.array([7, 8, 9], "<u2")
    >>> store = TokenStore(np.array([0, 3]), [memoryview(ids.tobytes())], ids.dtype)
    >>> a, b = TokenRuns(np.array([0]), np.array([2])), TokenRuns(np.array([2]), np.array([1]))
    >>> frame = PairFrame.of_bert({"pad": 0, "unk": 3, "cls": 1, "sep": 2, "mask": 4})
    >>> joined, sizes = join_pairs(store, a, b, frame)
    >>> joined.tolist(), sizes.tolist()
    ([1, 7, 8, 2, 9, 2], [6])
    """
    sizes = runs_a.sizes + runs_b.sizes + frame.num_special
    ends = np.cumsum(sizes)
    joined = np.empty(int(ends[-1]) if len(ends) else 0, store.dtype)
    place = ends - sizes
    for special, runs in ((frame.before, runs_a), (frame.between, runs_b)):
        place = _put(special, place, joined)
        _copy_runs(store, runs, place, joined)
        place = place + runs.sizes
    _put(frame.after, place, joined)
    return joined, sizes.astype(np.int32)


def _put(special: tuple[int, ...], places: Int64Array, into: AnyArray) -> Int64Array:
    """Put the same ids at each place; return the places after them."""
    for offset, token_id in enumerate(special):
        into[places + offset] = token_id
    return places + len(special)


def _copy_runs(store: TokenStore, runs: TokenRuns, places: Int64Array, into: AnyArray) -> None:
    target = into.data.cast("B")
    lows = places * store.dtype.itemsize
    highs = lows + runs.sizes * store.dtype.itemsize
    pieces = store.slices(runs.starts, runs.sizes)
    for low, high, piece in zip(lows.tolist(), highs.tolist(), pieces, strict=True):
        target[low:high] = piece


def instance_columns(
    joined: AnyArray, sizes: npt.NDArray[np.int32], others: dict[str, AnyArray]
) -> dict[str, Any]:
    """Return the columns of instances for joined pairs and what is known of each."""
    return {**others, "token_ids": binary_column(joined, sizes), "num_tokens": sizes}
