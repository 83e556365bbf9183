"""The first phase of `ingest`: read the inputs into pieces of a few megabytes of text.

A plain .jsonl file is cut by bytes, a line belonging to the range of its first byte; other inputs
(compressed, PubMed, plain text) are read by one task each. Pieces and redirects are Parquet files
that live until the stage is finished; malformed records go straight to the rejects table.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import PurePosixPath
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.engine.outputs import part_name, part_writer, spill_name
from pipeline.engine.stage import Job, Record, Records, Task
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.entries import (
    Deletion,
    Document,
    Entry,
    Malformed,
    Redirect,
)
from pipeline.ingest.jsonl import MAX_LINE_BYTES, read_jsonl
from pipeline.ingest.plain_text import read_text
from pipeline.ingest.pubmed import read_pubmed
from pipeline.storage import files
from schemas.errors import DumpError
from schemas.tables import pages

RANGE_BYTES = 64 << 20
_CHARS_PER_GROUP = 1 << 21
_DOCUMENTS_PER_GROUP = 1 << 13
_GROUPS_PER_PIECE = 8
_ROWS_PER_GROUP = 1 << 16
_MAX_REJECTS_AT_START = 1000
_SKIPPED_BYTES = 1 << 20
_REDIRECTS_LOOKED_AT = 100

_LINK = pa.struct(
    [
        ("start_char", pa.int32()),
        ("end_char", pa.int32()),
        ("target_title", pa.string()),
        ("target_fragment", pa.string()),
        ("target_key", pa.string()),
        ("kind", pa.string()),
    ]
)
PIECE_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("is_number", pa.bool_()),
        ("title", pa.string()),
        ("text", pa.string()),
        ("sections", pages.SCHEMA.field("sections").type),
        ("links", pa.list_(_LINK)),
    ]
)
REDIRECT_SCHEMA = pa.schema(
    [("title", pa.string()), ("target_title", pa.string()), ("target_fragment", pa.string())]
)


def input_paths(job: Job[IngestConfig]) -> list[str]:
    """Return the files that the sources name, globs expanded, in the order given."""
    return [path for source in job.sources for path in files.matching(source)]


def check_redirects(sources: Sequence[str]) -> None:
    """Check that files named as redirects hold some, as far as that can be told at their start.

    Records say themselves what they are, so a file of something else would only be counted as
    rejects, or as documents. Remote files are not asked: their store has not been checked yet.

    Raises:
        DumpError: the first records of a file are all something else.
    """
    local = [source for source in sources if not files.is_remote(source)]
    readable = [source for source in local if not files.unreadable(source)]
    for path in (path for source in readable for path in files.matching(source)):
        with _open_input(path) as file:
            start = list(islice(read_jsonl(_lines(file, path, 0, None)), _REDIRECTS_LOOKED_AT))
        if start and not any(isinstance(entry, Redirect) for entry in start):
            first = start[0]
            found = first.reason if isinstance(first, Malformed) else "a document"
            raise DumpError(
                'expected redirects, lines of {"source": ..., "target": ...}, found none at the '
                f"start of {path} (its first record: {found.replace('_', ' ')}): name files of "
                "documents before --redirects"
            )


def tasks_of_read(job: Job[IngestConfig], records: Records) -> list[Task]:
    """Make one task per input, or per range of a plain .jsonl."""
    tasks: list[Task] = []
    for source, path in enumerate(input_paths(job)):
        size = files.size(path)
        step = RANGE_BYTES if _can_split(job.config.format, path) else max(size, 1)
        for start in range(0, max(size, 1), step):
            args = {"source": source, "start": start, "stop": start + step}
            tasks.append(Task(len(tasks), args, min(step, size - start)))
    return tasks


def run_read(job: Job[IngestConfig], task: Task) -> Record:
    """Read a range into pieces, redirects and rejects; count what each became.

    Raises:
        DumpError: the input is damaged, or nothing in its first records is of the format.
    """
    path = input_paths(job)[task.args["source"]]
    counts: Counter[str] = Counter(documents=0, redirects=0, rejects=0)
    pieces = _PieceWriter(job, task.index)
    redirects_name = spill_name(job, "redirects", task.index, "parquet")
    with (
        part_writer(job, "rejects", task.index) as rejects,
        files.write_whole(job.path(redirects_name)) as redirects_file,
        pq.ParquetWriter(redirects_file, REDIRECT_SCHEMA, compression="zstd") as redirects,
        _open_input(path) as file,
    ):
        deleted: list[str] = []
        waiting_redirects: list[dict[str, Any]] = []
        waiting_rejects: list[dict[str, Any]] = []
        for entry in _entries(job, task, file, path):
            _count(counts, entry)
            if isinstance(entry, Document):
                pieces.add(entry)
            elif isinstance(entry, Redirect):
                waiting_redirects.append(asdict(entry))
            elif isinstance(entry, Deletion):
                deleted.append(entry.key)
            else:
                waiting_rejects.append(_reject_row(entry, path))
                _refuse_other_format(job, counts, entry, path)
            if len(waiting_redirects) >= _ROWS_PER_GROUP:
                redirects.write_table(_take_rows(waiting_redirects, REDIRECT_SCHEMA))
            if len(waiting_rejects) >= _ROWS_PER_GROUP:
                rejects.write(_take_rows(waiting_rejects, rejects.schema))
        redirects.write_table(_take_rows(waiting_redirects, REDIRECT_SCHEMA))
        rejects.write(_take_rows(waiting_rejects, rejects.schema))
    pieces.close()
    written = {
        f"rejects/{part_name(task.index)}": counts["rejects"],
        redirects_name: 0,
        **dict.fromkeys(pieces.names, 0),
    }
    return {
        "counts": dict(sorted(counts.items())),
        "files": written,
        "pieces": pieces.names,
        "piece_rows": pieces.num_rows,
        "redirects": redirects_name,
        "deleted": deleted,
    }


def _count(counts: Counter[str], entry: Entry) -> None:
    if isinstance(entry, Document):
        counts["documents"] += 1
        counts["characters"] += len(entry.text)
        counts["links"] += len(entry.links)
        counts.update(entry.dropped)
    elif isinstance(entry, Redirect):
        counts["redirects"] += 1
    elif isinstance(entry, Malformed):
        counts["rejects"] += 1
        counts[f"rejected_{entry.reason}"] += 1


def _refuse_other_format(
    job: Job[IngestConfig], counts: Counter[str], entry: Malformed, path: str
) -> None:
    """Stop early at a file of another format, which would be rejected line by line."""
    if counts["rejects"] >= _MAX_REJECTS_AT_START and not counts["documents"]:
        if counts["redirects"]:
            return
        raise DumpError(
            f"expected records of format {job.config.format}, found none in the first "
            f"{counts['rejects']} of {path} ({entry.reason}: {entry.detail}): "
            "choose another --format"
        )


def _take_rows(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return waiting rows as a table and leave none waiting."""
    table = pa.Table.from_pylist(rows, schema=schema)
    rows.clear()
    return table


class _PieceWriter:
    """Write documents into pieces, row group by row group."""

    def __init__(self, job: Job[IngestConfig], task_index: int) -> None:
        self.names: list[str] = []
        self.num_rows: list[int] = []
        self._job, self._task_index = job, task_index
        self._group: list[Document] = []
        self._num_chars = 0
        self._tables: list[pa.Table] = []

    def add(self, document: Document) -> None:
        """Add a document, writing a piece when it is full."""
        self._group.append(document)
        self._num_chars += len(document.text)
        if self._num_chars >= _CHARS_PER_GROUP or len(self._group) >= _DOCUMENTS_PER_GROUP:
            self._end_group()

    def close(self) -> None:
        """Write what is left."""
        self._end_group()
        self._end_piece()

    def _end_group(self) -> None:
        if self._group:
            rows = [_piece_row(document) for document in self._group]
            self._tables.append(pa.Table.from_pylist(rows, schema=PIECE_SCHEMA))
        self._group, self._num_chars = [], 0
        if len(self._tables) >= _GROUPS_PER_PIECE:
            self._end_piece()

    def _end_piece(self) -> None:
        if not self._tables:
            return
        kind = f"piece-{self._task_index:05d}"
        self.names.append(spill_name(self._job, kind, len(self.names), "parquet"))
        self.num_rows.append(sum(table.num_rows for table in self._tables))
        _write_spill(self._job, self.names[-1], *self._tables)
        self._tables = []


def _piece_row(document: Document) -> dict[str, Any]:
    return {
        "key": document.key,
        "is_number": document.is_number,
        "title": document.title,
        "text": document.text,
        "sections": [asdict(section) for section in document.sections],
        "links": [asdict(link) for link in document.links],
    }


def _write_spill(job: Job[IngestConfig], name: str, *tables: pa.Table) -> None:
    with (
        files.write_whole(job.path(name)) as file,
        pq.ParquetWriter(file, tables[0].schema, compression="zstd") as writer,
    ):
        for table in tables:
            writer.write_table(table, row_group_size=max(table.num_rows, 1))


def _entries(job: Job[IngestConfig], task: Task, file: IO[bytes], path: str) -> Iterator[Entry]:
    config, start, stop = job.config, task.args["start"], task.args["stop"]
    if config.format == "pubmed":
        return read_pubmed(cast(IO[bytes], _CheckedFile(file, path)), path)
    if config.format == "text":
        # Nothing is cut: the whole file is one range.
        lines = _lines(file, path, 0, None)
        return read_text(lines, task.args["source"], PurePosixPath(path).name)
    limit = stop if _can_split(config.format, path) else None
    lines = _lines(file, path, start, limit)
    return read_jsonl(lines, config.titles, config.only_exact_links)


def _lines(file: IO[bytes], path: str, start: int, stop: int | None) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that begin in [start, stop), with their offsets."""
    checked = _CheckedFile(file, path)
    if start:
        # The line that ends at or after start - 1 belongs to the range before.
        file.seek(start - 1)
        checked.offset = start - 1
        _finish_line(checked, b"")
    while stop is None or checked.offset < stop:
        offset = checked.offset
        # One byte beyond what is allowed tells that there is more.
        line = checked.readline(MAX_LINE_BYTES + 1)
        if not line:
            return
        yield offset, line
        _finish_line(checked, line)


def _finish_line(checked: _CheckedFile, begun: bytes) -> None:
    """Move behind the end of a line of which some is read, holding little of the rest."""
    while not begun.endswith(b"\n"):
        begun = checked.readline(_SKIPPED_BYTES)
        if not begun:
            return


class _CheckedFile:
    """A file to read from, whose damage is told in one line that names the place."""

    def __init__(self, file: IO[bytes], path: str) -> None:
        self.offset = 0
        self._file, self._path = file, path

    def read(self, size: int = -1) -> bytes:
        return self._checked(self._file.read, size)

    def readline(self, size: int) -> bytes:
        return self._checked(self._file.readline, size)

    def _checked(self, take: Callable[..., bytes], *args: int) -> bytes:
        try:
            taken = take(*args)
        except (EOFError, lzma.LZMAError, zlib.error, OSError) as error:
            raise DumpError(
                f"expected a whole compressed file, found damage near byte {self.offset} of "
                f"{self._path} ({error}): fetch the file again"
            ) from error
        self.offset += len(taken)
        return taken


def _can_split(format_name: str, path: str) -> bool:
    return format_name == "jsonl" and path.endswith((".jsonl", ".json", ".ndjson"))


@contextmanager
def _open_input(path: str) -> Iterator[IO[bytes]]:
    suffix = PurePosixPath(path).suffix
    with ExitStack() as stack:
        file = stack.enter_context(files.open_read(path))
        if suffix == ".zst":
            stream = pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")
            yield cast(IO[bytes], stack.enter_context(io.BufferedReader(stream)))
        elif suffix in _DECOMPRESSORS:
            yield cast(IO[bytes], stack.enter_context(_DECOMPRESSORS[suffix](file)))
        else:
            yield file


_DECOMPRESSORS: dict[str, Callable[[IO[bytes]], Any]] = {
    ".gz": lambda file: gzip.GzipFile(fileobj=file),
    ".xz": lzma.LZMAFile,
    ".bz2": bz2.BZ2File,
}


def _reject_row(entry: Malformed, path: str) -> dict[str, Any]:
    return {
        "source_path": PurePosixPath(path).name,
        "offset": entry.offset,
        "page_id": None,
        "title": entry.title,
        "reason": entry.reason,
        "detail": entry.detail,
    }
