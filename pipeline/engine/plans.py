"""Two plans of a stage: the one that lies in a folder, and the one that a job would write there."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.errors import StageError
from schemas.manifest import Json


def compare_plans(found: dict[str, Json], wanted: dict[str, Json], root: str) -> None:
    """Compare the plan that lies in a folder with the one a job would write there.

    Raises:
        StageError: they differ; the message says in what.
    """
    differences = [
        f"{where} was {old!r}, now {new!r}"
        for where, old, new in _differences(found, wanted)
        if old != new
    ]
    if differences:
        raise StageError(
            f"expected an unfinished or finished `{wanted['stage']}` of the same plan in "
            f"{root}, found another one ({'; '.join(differences)}): "
            "use --overwrite to start anew, or another folder"
        )


def _differences(
    found: dict[str, Json], wanted: dict[str, Json], prefix: str = ""
) -> Iterator[tuple[str, Json, Json]]:
    for key in sorted({*found, *wanted}):
        old, new = found.get(key), wanted.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", old, new
