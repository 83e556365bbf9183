"""What a stage writes and the next one reads: parts of tables, arrays, and their manifests."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.engine.stage import AnyJob, Record
from pipeline.storage import files
from schemas import __version__
from schemas.arrays import map_array
from schemas.errors import StageError
from schemas.manifest import (
    MANIFEST_NAME,
    FileEntry,
    Json,
    Manifest,
    encode_manifest,
    missing_note,
    parse_manifest,
)
from schemas.parquet import TableWriter

# What computes bytes, or decides whether a worker can run a task.
_PACKAGES = ("apache-beam", "mwparserfromhell", "numpy", "pyarrow", "tokenizers")

AnyArray = npt.NDArray[Any]


@contextmanager
def part_writer(
    job: AnyJob,
    folder: str,
    index: int,
    table: str = "",
    metadata: dict[bytes, bytes] | None = None,
) -> Iterator[TableWriter]:
    """Write `root/folder/part-NNNNN.parquet`, whole or not at all.

    Args:
        job: whose root it lies under.
        folder: the table's folder.
        index: the number of the part.
        table: the table whose schema it follows; the folder's name unless given.
        metadata: schema metadata, such as the token dtype.
    """
    with (
        files.write_whole(job.path(folder, part_name(index))) as file,
        # Closed on an error too: the file under it is discarded then, but must still be open.
        closing(TableWriter(file, table or folder, metadata)) as writer,
    ):
        yield writer


def part_name(index: int) -> str:
    """Return the file name of a part.

    >>> part_name(7)
    'part-00007.parquet'
    """
    return f"part-{index:05d}.parquet"


def part_paths(folder: str) -> list[str]:
    """Return the files that the manifest of a folder names, in their order.

    Raises:
        StageError: there is no manifest.
    """
    return [files.join(folder, entry.name) for entry in load_manifest(folder).files]


@contextmanager
def open_part(path: str, **options: Any) -> Iterator[pq.ParquetFile]:
    """Open a part of a table, local or remote; the options are those of `pyarrow`."""
    with files.open_read(path) as file, pq.ParquetFile(file, **options) as part:
        yield part


def read_batches(
    path: str, columns: list[str] | None = None, batch_rows: int = 8192
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a part in their order, at most `batch_rows` at once.

    Arrow's own threads stay out of it: tasks use the cores already.
    """
    with open_part(path) as part:
        yield from part.iter_batches(batch_rows, columns=columns, use_threads=False)


def sum_counts(records: list[Record]) -> dict[str, int]:
    """Add up the counts of records by name, names sorted.

    >>> sum_counts([{"counts": {"red": 1}}, {"counts": {"red": 2, "self": 1}}])
    {'red': 3, 'self': 1}
    """
    total: dict[str, int] = {}
    for record in records:
        for name, count in record["counts"].items():
            total[name] = total.get(name, 0) + count
    return dict(sorted(total.items()))


def write_folder_manifest(
    job: AnyJob,
    folder: str,
    records: list[Record],
    *,
    table: str = "",
    rows_in: int = 0,
    drops: Mapping[str, int] | None = None,
    extra: dict[str, Json] | None = None,
) -> Manifest:
    """Write `root/folder/_manifest.json` from the records of the tasks that filled the folder.

    Args:
        job: the job; its config and inputs are noted.
        folder: a folder under the root.
        records: all records that may name files in it.
        table: the schema the files follow, empty for arrays.
        rows_in: rows or pages read to make it.
        drops: how many of those were left out, by reason.
        extra: what only this stage knows.

    Raises:
        StageError: rows in are not rows out plus drops, or a footer disagrees with its record.
    """
    entries = _entries_in(folder, records)
    drops = dict(sorted((drops or {}).items()))
    rows_out = sum(entry.num_rows for entry in entries)
    if table:
        check_footers(job.path(folder), entries)
        if rows_in != rows_out + sum(drops.values()):
            raise StageError(
                f"expected rows in = rows out + drops for {folder}, found {rows_in} in, "
                f"{rows_out} out, drops {drops}: this is a fault of the stage, please report it"
            )
    manifest = Manifest(
        stage=job.stage.name,
        config=job.config_json(),
        inputs=job.inputs,
        rows_in=rows_in,
        rows_out=rows_out,
        drops=drops,
        files=tuple(entries),
        versions=versions_here(),
        extra=extra or {},
        table=table,
    )
    with files.write_whole(job.path(folder, MANIFEST_NAME), is_synced=True) as file:
        file.write(encode_manifest(manifest))
    return manifest


def load_manifest(folder: str) -> Manifest:
    """Read the manifest of a folder, local or remote.

    Raises:
        StageError: there is none.
        SchemaError: it is damaged or of another schema version.
    """
    path = files.join(folder, MANIFEST_NAME)
    if not files.exists(path):
        raise StageError(
            f"expected a finished folder, found no {MANIFEST_NAME} in {folder}: "
            f"run `linkbert {_WRITERS.get(folder.rsplit('/', 1)[-1], 'parse')}` first"
        )
    return parse_manifest(files.read_bytes(path), path)


def load_finished(folder: str) -> Manifest:
    """Read the manifest of a folder that a stage is to read, and check that it was left alone.

    Raises:
        StageError: it is not finished, its stage's notes are missing, or files lie beside its own.
        SchemaError: the manifest is damaged or of another schema version.
    """
    manifest = load_manifest(folder)
    missing = missing_note(folder.rsplit("/", 1)[0], manifest.stage, files.exists)
    if missing:
        raise StageError(
            f"expected {missing}, which tells how `linkbert {manifest.stage}` ended, found none: "
            f"run `linkbert {manifest.stage}` again, with --overwrite if it says that it is done"
        )
    refuse_strays(folder, manifest)
    return manifest


_WRITERS = {
    "nodes": "graph",
    "edges": "graph",
    "mentions": "graph",
    "csr": "graph",
    "index": "graph",
    "tokenizer": "tokenizer",
    "segments": "segment",
    "tokens": "segment",
    "train": "sample",
}


def _entries_in(folder: str, records: list[Record]) -> list[FileEntry]:
    prefix = f"{folder}/"
    found = (FileEntry(**entry) for record in records for entry in record["files"])
    chosen = [entry for entry in found if entry.name.startswith(prefix)]
    named = [replace(entry, name=entry.name.removeprefix(prefix)) for entry in chosen]
    return sorted(named, key=lambda entry: entry.name)


def first_row(job: AnyJob, folder: str, records: list[Record]) -> dict[str, Json]:
    """Return the first row of a table that tasks wrote, empty where none has a row."""
    for entry in _entries_in(folder, records):
        if entry.num_rows:
            batch = next(read_batches(job.path(folder, entry.name), batch_rows=1))
            return dict(batch.to_pylist()[0])
    return {}


def versions_here() -> dict[str, str]:
    """Return the versions of this package, of Python, and of what the stages compute with."""
    return {"linkbert": __version__, "python": platform.python_version()} | {
        name: _version_of(name) for name in _PACKAGES
    }


def _version_of(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"


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


def verify_file(folder: str, entry: FileEntry, stage: str) -> None:
    """Compare the bytes of a file with those that its stage wrote.

    Args:
        folder: of the file.
        entry: its entry in the manifest of the folder.
        stage: that wrote it.

    Raises:
        StageError: it is missing, or has other bytes.
    """
    path = files.join(folder, entry.name)
    found = files.digest(path) if files.exists(path) else None
    if found != (entry.num_bytes, entry.sha256):
        what = "none" if found is None else "other bytes"
        raise StageError(
            f"expected the file that `linkbert {stage}` wrote, found {what} at {path}: run "
            f"`linkbert {stage}` again with --overwrite"
        )


def verify_part(folder: str, name: str) -> None:
    """Compare the bytes of one file of a finished folder with those that its stage wrote.

    Raises:
        StageError: it has other bytes, or the manifest does not name it.
    """
    manifest = load_manifest(folder)
    for entry in manifest.files:
        if entry.name == name:
            verify_file(folder, entry, manifest.stage)
            return
    raise StageError(
        f"expected {name} among the files of {folder}, found it in no manifest: "
        f"run `linkbert {manifest.stage}` again with --overwrite"
    )


def verify_folder(folder: str, first: int = 0, step: int = 1) -> None:
    """Do so for every `step`-th file of a folder from number `first` on.

    So the tasks of a phase, each of which may read any of them, verify each once between them.
    """
    manifest = load_manifest(folder)
    for entry in manifest.files[first::step]:
        verify_file(folder, entry, manifest.stage)


def refuse_strays(folder: str, manifest: Manifest) -> None:
    """Check that a folder holds no file besides those that its manifest names.

    Raises:
        StageError: it does.
    """
    named = {entry.name for entry in manifest.files}
    for path in files.matching(files.join(folder, "*")):
        name = path.rsplit("/", 1)[-1]
        if name not in named and not name.startswith(("_", ".")):
            raise StageError(
                f"expected the files that `linkbert {manifest.stage}` wrote, found {path} beside "
                "them: move it elsewhere"
            )


def save_array(job: AnyJob, name: str, array: AnyArray) -> dict[str, int]:
    """Write `root/name` and return its entry for a record's `files`."""
    return save_chunks(job, name, array.dtype, len(array), [array])


def save_chunks(
    job: AnyJob, name: str, dtype: npt.DTypeLike, length: int, chunks: Iterable[AnyArray]
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
        if written != length:
            raise StageError(
                f"expected {length:,} values for {name}, found {written:,}: this is a fault of the "
                "stage, please report it"
            )
    return {name: 0}


@contextmanager
def open_array(path: str) -> Iterator[AnyArray]:
    """Open an array memory-mapped; a remote one is copied to the local disk for the while."""
    with files.local_copy(path) as local:
        yield map_array(local, path)


def spill_name(job: AnyJob, kind: str, index: int, suffix: str = "npy") -> str:
    """Return the path under the root of a file that lives only until the stage is finished."""
    return f"_state/{job.stage.name}/spill/{kind}-{index:05d}.{suffix}"


def page_parts(job: AnyJob) -> list[tuple[str, int]]:
    """Return the path under the root and the number of rows of each part of pages, in order."""
    manifest = load_manifest(job.path("pages"))
    return [(f"pages/{entry.name}", entry.num_rows) for entry in manifest.files]
