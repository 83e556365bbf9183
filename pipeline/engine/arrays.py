"""Arrays of a graph job as `.npy` files under the job's root, written whole and opened mapped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.engine.stage import Job, load_manifest
from pipeline.storage import files
from schemas.arrays import map_array

AnyArray = npt.NDArray[Any]


def save_array(job: Job, name: str, array: AnyArray) -> dict[str, int]:
    """Write `root/name` and return its entry for a record's `files`."""
    return save_chunks(job, name, array.dtype, len(array), [array])


def save_chunks(
    job: Job, name: str, dtype: npt.DTypeLike, length: int, chunks: Iterable[AnyArray]
) -> dict[str, int]:
    """Write `root/name` from consecutive pieces, so that no whole array is ever in memory.

    Args:
        job: under whose root it lies.
        name: a path ending in .npy.
        dtype: of the file; stored little-endian.
        length: the total length of the chunks.
        chunks: one-dimensional arrays.

    Returns:
        {name: 0}, the entry for a record's `files`.
    """
    little = np.dtype(dtype).newbyteorder("<")
    written = 0
    with files.write_whole(job.path(name)) as file:
        header = {"descr": little.str, "fortran_order": False, "shape": (length,)}
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in chunks:
            file.write(np.ascontiguousarray(chunk, little).data)
            written += len(chunk)
        assert written == length, (name, written, length)
    return {name: 0}


@contextmanager
def open_array(path: str) -> Iterator[AnyArray]:
    """Open an array memory-mapped; a remote one is copied to the local disk for the while."""
    with files.local_copy(path) as local:
        yield map_array(local, path)


def spill_name(job: Job, kind: str, index: int, suffix: str = "npy") -> str:
    """Return the path under the root of a file that lives only until the stage is finished."""
    return f"_state/{job.stage.name}/spill/{kind}-{index:05d}.{suffix}"


def page_parts(job: Job) -> list[tuple[str, int]]:
    """Return the path under the root and the number of rows of each part of pages, in order."""
    manifest = load_manifest(job.path("pages"))
    return [(f"pages/{entry.name}", entry.num_rows) for entry in manifest.files]
