"""What a stage does last: look once more at its inputs and its files, and seal its notes."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.storage import files
from schemas.errors import StageError
from schemas.manifest import SEAL_NAME, FileEntry, encode_json


def check_inputs(stage: str, before: dict[str, str], now: dict[str, str]) -> None:
    """Compare the fingerprints of a stage's inputs at its end with those at its beginning.

    Raises:
        StageError: one has changed.
    """
    changed = [name for name in {**before, **now} if now.get(name) != before.get(name)]
    if changed:
        raise StageError(
            f"expected the inputs of `{stage}` to stay as they were, found "
            f"{', '.join(changed)} changed while they were read: wait until they are whole, then "
            "run it again with --overwrite"
        )


def check_footers(folder: str, entries: list[FileEntry]) -> None:
    """Compare the rows that tasks counted with those that the footers of their files tell.

    Raises:
        StageError: they differ.
    """
    for entry in entries:
        with files.open_read(files.join(folder, entry.name)) as file:
            found = pq.read_metadata(file).num_rows
        if found != entry.num_rows:
            raise StageError(
                f"expected {entry.num_rows} rows, found {found} in {folder}/{entry.name}: "
                "run the stage again with --overwrite"
            )


def seal(folder: str, summary: dict[str, Any]) -> None:
    """Write the digests of all notes in a stage's local folder, the summary to come included."""
    notes = [path for path in Path(folder).rglob("*") if path.is_file() and path.name != SEAL_NAME]
    digests = {path.relative_to(folder).as_posix(): files.digest(str(path))[1] for path in notes}
    digests["_summary.json"] = sha256(encode_json(summary) + b"\n").hexdigest()
    files.write_json(files.join(folder, SEAL_NAME), digests)
