"""The flat token ids of corpora, memory-mapped and read as one long store.

Ids are numbered corpus by corpus and part by part. A segment is a run of them, and a run lies
within one file.
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

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TokenRuns:
    """Runs of tokens in a store [R]: where each starts, and its size."""

    starts: Int64Array
    sizes: Int64Array


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

    def slices(self, runs: TokenRuns) -> Iterator[memoryview]:
        """Yield the bytes of each run of tokens."""
        owners = np.searchsorted(self.bases, runs.starts, side="right") - 1
        lows = (runs.starts - self.bases[owners]) * self.dtype.itemsize
        highs = lows + runs.sizes * self.dtype.itemsize
        views = self.views
        for owner, low, high in zip(owners.tolist(), lows.tolist(), highs.tolist(), strict=True):
            yield views[owner][low:high]


def store_of(views: list[memoryview], dtype: np.dtype[Any]) -> TokenStore:
    """Return the store of ids that lie in some buffers, one after the other."""
    sizes = [len(view) // dtype.itemsize for view in views]
    return TokenStore(np.cumsum([0, *sizes], dtype=np.int64), views, dtype)


@contextmanager
def open_store(paths: Sequence[str], dtype: np.dtype[Any]) -> Iterator[TokenStore]:
    """Map files of ids until the block ends; remote ones are copied to the local disk first."""
    with ExitStack() as stack:
        views = []
        for path in paths:
            file = stack.enter_context(open(stack.enter_context(files.local_copy(path)), "rb"))
            views.append(_map_bytes(file.fileno()))
        yield store_of(views, dtype)


def _map_bytes(descriptor: int) -> memoryview:
    try:
        return memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))
    except ValueError:  # an empty file cannot be mapped
        return memoryview(b"")
