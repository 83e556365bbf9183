"""`_manifest.json`: what a folder holds, what it was made from, and what was lost on the way.

Every output folder carries one. A stage fingerprints its inputs by their manifests, so a folder
made from other inputs, another configuration or another schema version is noticed, not used.
Manifests hold no time, host or absolute path: the same inputs give the same bytes.
"""

from __future__ import annotations

import fcntl
import glob
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from schemas.errors import SchemaError

SCHEMA_VERSION = 1
"""Raised when a table, manifest or array changes so that older readers or writers would err."""

MANIFEST_NAME = "_manifest.json"

SEAL_NAME = "_seal.json"
"""Beside the notes of a finished stage: the SHA-256 of each of them, by name."""

SUMMARY_NAME = "_summary.json"
"""Among the notes of a stage: it ended, and this is what it printed."""

PACKED_NAME = "_packed.json"
"""Beside the folders of a corpus that was packed: the size and SHA-256 of each file, by its path.

A pack leaves out what `sample` does not read, so that files are thinner than manifests say.
"""

STAGES_WITH_NOTES = frozenset(
    {"parse", "ingest", "subset", "graph", "tokenizer", "segment", "sample"}
)
"""Stages that keep notes in `_state` beside the folders that they write."""

ASIDE_SUFFIX = ".tmp"
"""Ends the name of a file while it is being written."""

_DIGEST_KEY = "digest"
_DIGEST_CHUNK_BYTES = 1 << 20

Json = Any


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a folder: name relative to the folder, rows (0 for arrays), size and SHA-256."""

    name: str
    num_rows: int
    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The record of one output folder; `extra` holds what only its stage knows (siteinfo, ...)."""

    stage: str
    config: dict[str, Json]
    inputs: dict[str, str]
    rows_in: int
    rows_out: int
    drops: dict[str, int]
    files: tuple[FileEntry, ...]
    versions: dict[str, str]
    extra: dict[str, Json] = field(default_factory=dict)
    # The table whose schema the files follow; empty for arrays and tokenizers.
    table: str = ""
    schema_version: int = SCHEMA_VERSION

    def fingerprint(self) -> str:
        """Return a digest of the whole manifest, the identity of the folder's content."""
        return hashlib.sha256(encode_json(asdict(self))).hexdigest()


def digest(file: IO[bytes]) -> tuple[int, str]:
    """Return the size in bytes and the SHA-256 of what is left to read of a file."""
    state, total = hashlib.sha256(), 0
    while chunk := file.read(_DIGEST_CHUNK_BYTES):
        state.update(chunk)
        total += len(chunk)
    return total, state.hexdigest()


def write_manifest(folder: str | os.PathLike[str], manifest: Manifest) -> None:
    """Write `folder/_manifest.json`, whole or not at all."""
    with write_whole(Path(folder) / MANIFEST_NAME) as file:
        file.write(encode_manifest(manifest))


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the bytes of a manifest's file: its values and, as `digest`, its fingerprint."""
    return encode_json({**asdict(manifest), _DIGEST_KEY: manifest.fingerprint()}) + b"\n"


def read_manifest(folder: str | os.PathLike[str]) -> Manifest:
    """Read and check the manifest of a folder.

    Raises:
        SchemaError: there is none, it is unreadable, or it is of another schema version.
    """
    path = Path(folder) / MANIFEST_NAME
    if not path.is_file():
        raise SchemaError(
            f"expected a finished folder with {MANIFEST_NAME}, found none in {folder}: "
            "run the stage that writes it, or run it again if it was cut off"
        )
    return parse_manifest(path.read_bytes(), str(path))


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Parse the bytes of a manifest found at `where`.

    Raises:
        SchemaError: as `read_manifest`.
    """
    try:
        values = json.loads(data)
        found = values["schema_version"]
        if found != SCHEMA_VERSION:
            raise SchemaError(
                f"expected schema version {SCHEMA_VERSION}, found {found} in {where}: "
                "make the folder again with this version (--overwrite)"
            )
        values["files"] = tuple(FileEntry(**entry) for entry in values["files"])
        for entry in values["files"]:
            _check_name(entry.name, where)
        values.pop(_DIGEST_KEY, None)
        manifest = Manifest(**values)
    except (ValueError, KeyError, TypeError) as error:
        raise SchemaError(
            f"expected a manifest, found damaged JSON in {where} ({error}): "
            "make the folder again (--overwrite)"
        ) from error
    # To the byte: a digest that is missing would prove nothing.
    if data != encode_manifest(manifest):
        raise SchemaError(
            f"expected the manifest as it was written, found it changed in {where}: "
            "make the folder again (--overwrite)"
        )
    return manifest


def missing_note(root: str, stage: str, exists: Callable[[str], bool] = os.path.exists) -> str:
    """Return the note of a stage's end that a folder lacks, empty if it lacks none.

    Args:
        root: the folder above those that the stage wrote; a pack of a corpus holds tables alone.
        stage: the stage's name.
        exists: tells whether there is a file.
    """
    if stage not in STAGES_WITH_NOTES:
        return ""
    notes = (f"{root}/_state/{stage}/{name}" for name in (SUMMARY_NAME, SEAL_NAME))
    missing = next((path for path in notes if not exists(path)), "")
    return "" if missing and exists(f"{root}/{PACKED_NAME}") else missing


def _check_name(name: str, where: str) -> None:
    parts = name.split("/")
    if not name or name.startswith("/") or "\\" in name or "://" in name or ".." in parts:
        raise SchemaError(
            f"expected names of files below the folder, found {name!r} in {where}: "
            "somebody changed it; make the folder again (--overwrite)"
        )


def write_json(path: str | os.PathLike[str], value: Json) -> None:
    """Write readable JSON with sorted keys to a local file, whole or not at all."""
    with write_whole(path) as file:
        file.write(encode_json(value) + b"\n")


@contextmanager
def write_whole(path: str | os.PathLike[str], *, is_synced: bool = True) -> Iterator[IO[bytes]]:
    """Open a local file for writing that appears under its name only when the block ends well.

    Args:
        path: the name it gets.
        is_synced: whether it survives a loss of power from then on. Without, it may be found
            damaged after one; a killed process never damages it.
    """
    target = Path(path)
    # Begins with a dot: readers of a table folder skip what a killed writer may leave behind.
    aside = target.with_name(f".{target.name}.{uuid.uuid4().hex}{ASIDE_SUFFIX}")
    try:
        with open(aside, "wb") as file, _held(file.fileno()):
            yield file
            file.flush()
            if is_synced:
                os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


@contextmanager
def folder_aside(target: Path) -> Iterator[Path]:
    """Make a folder beside a target, to be filled and then renamed; what stays there is deleted."""
    aside = target.with_name(f".{target.name}.{uuid.uuid4().hex}{ASIDE_SUFFIX}")
    aside.mkdir(parents=True)
    descriptor = os.open(aside, os.O_RDONLY)
    try:
        with _held(descriptor):
            yield aside
    finally:
        os.close(descriptor)
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _held(descriptor: int) -> Iterator[None]:
    """Show `sweep_aside` that the writer lives, where the file system has locks."""
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    yield


def sweep_aside(target: Path) -> None:
    """Delete what killed writers of a file or folder left beside it; living ones hold theirs."""
    for path in target.parent.glob(f".{glob.escape(target.name)}.*{ASIDE_SUFFIX}"):
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            finally:
                os.close(descriptor)


def encode_json(value: Json) -> bytes:
    """Return the bytes of readable JSON with sorted keys: equal values, equal bytes."""
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True).encode()
