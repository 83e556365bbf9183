"""Where training and held-out data lie: two files, or a folder that holds one of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from schemas.errors import SchemaError


def find_files(data: Sequence[Path]) -> tuple[Path, Path]:
    """Return the training and the held-out file.

    Args:
        data: a folder with one file named train... and one named dev... (or valid..., or
            testa...), or the two files in this order.

    Raises:
        SchemaError: there is none, or more than one.
    """
    if len(data) == 2:
        for path in data:
            if not path.is_file():
                raise SchemaError(f"expected a file, found none at {path}")
        return data[0], data[1]
    if len(data) != 1 or not data[0].is_dir():
        raise SchemaError(
            f"expected a folder or the two files TRAIN DEV, found {', '.join(map(str, data))}"
        )
    return _only(data[0], ("train",)), _only(data[0], ("dev", "valid", "testa", "eng.testa"))


def _only(folder: Path, beginnings: tuple[str, ...]) -> Path:
    found = sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.name.lower().startswith(beginnings)
    )
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise SchemaError(
            f"expected one file named {beginnings[0]}... in {folder}, found {names}: "
            "name the two files TRAIN DEV instead"
        )
    return found[0]
