"""Read `.npy` files of the chain: memory-mapped, and never as pickled objects."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.errors import SchemaError


def map_array(path: str | os.PathLike[str], where: str = "") -> npt.NDArray[Any]:
    """Map an array into memory.

    Args:
        path: a local file.
        where: what to call it in an error; the path unless given.

    Raises:
        SchemaError: its header is damaged, asks for more than the file holds, or for objects.
    """
    try:
        # A plain view: indexing through the memmap class costs three times as much.
        array = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    except (ValueError, OverflowError, EOFError, SyntaxError) as error:
        raise SchemaError(
            f"expected an array of numbers, found damage in {where or path} ({error}): "
            "run the stage that writes it again with --overwrite"
        ) from error
    return np.asarray(array)
