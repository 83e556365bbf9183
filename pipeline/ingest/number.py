"""The last phases of `ingest`: number the documents, then write pages with every target a title.

    number  keys and titles of all pieces ──▶ redirects, and spills that the tasks of `write` map:
            key_hashes, key_rows             the row of a key
            page_ids                         the page id of a row, -1 for a repeated document
            title_offsets, title_bytes       the title of a row
    write   piece k ──▶ pages part k

Integers stay page ids; other ids are numbered in sorted order. A later document of the same id
replaces the earlier one, as an update file of PubMed does; such files withdraw others. Titles are
made unique, so that a link to an id can be kept as a link to a title and every later stage works
as for a wiki.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.outputs import (
    AnyArray,
    open_array,
    open_part,
    part_name,
    part_writer,
    save_array,
    save_chunks,
)
from pipeline.engine.stage import Job, Record, Records, Task
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.read import REDIRECT_SCHEMA
from pipeline.wiki.title_index import Int64Array, TitleIndex, hash_titles, sort_index
from schemas.errors import GraphError
from schemas.tables.pages import LINK

_ROWS_PER_GROUP = 1 << 17


def tasks_of_number(job: Job[IngestConfig], records: Records) -> list[Task]:
    """One task over the keys and titles of all pieces."""
    pieces = [name for record in records["read"] for name in record["pieces"]]
    redirects = [record["redirects"] for record in records["read"]]
    deleted, num_rows = [], 0
    for record in records["read"]:
        num_rows += sum(record["piece_rows"])
        # A deletion stands at the end of its file and concerns what came before.
        deleted += [[key, num_rows] for key in record["deleted"]]
    args = {"pieces": pieces, "redirects": redirects, "deleted": deleted}
    return [Task(0, args, max(len(pieces), 1))]


def run_number(job: Job[IngestConfig], task: Task) -> Record:
    """Write redirects and the spills; count repeated documents and titles made unique."""
    keys, is_number, title_hashes = _read_keys(job, task.args["pieces"])
    index, repeated = _index_keys(keys, job.root)
    deleted = _deleted_rows(index, task.args["deleted"])
    page_ids = number_documents(keys, is_number, np.concatenate([repeated, deleted]))
    retitled = _repeated_titles(page_ids, title_hashes)
    written = _save_titles(job, task.args["pieces"], keys, retitled)
    arrays: dict[str, AnyArray] = {
        "key_hashes": index.hashes,
        "key_rows": index.values,
        "page_ids": page_ids,
    }
    for name, array in arrays.items():
        written |= save_array(job, _spill(job, name), array)
    first_free = int(page_ids.max(initial=0)) + 1
    written |= _write_redirects(job, task.args["redirects"], first_free)
    counts = {
        "duplicate_id": len(repeated),
        "deleted": len(deleted),
        "retitled": len(retitled),
    }
    return {"counts": counts, "files": written}


def number_documents(
    keys: pa.Array, is_number: npt.NDArray[np.bool_], repeated: Int64Array
) -> Int64Array:
    """Return the page id of every row, -1 for the rows in `repeated`.

    >>> keys, is_number = pa.array(["b", "7", "a"]), np.array([False, True, False])
    >>> number_documents(keys, is_number, np.array([], int))
    array([9, 7, 8])
    """
    page_ids = np.full(len(keys), -1, np.int64)
    is_kept = np.ones(len(keys), bool)
    is_kept[repeated] = False
    numbers = np.flatnonzero(is_number & is_kept)
    page_ids[numbers] = keys.take(pa.array(numbers)).cast(pa.int64()).to_numpy()
    texts = np.flatnonzero(~is_number & is_kept)
    order = pc.sort_indices(keys.take(pa.array(texts))).to_numpy()
    first = int(page_ids.max(initial=0)) + 1
    page_ids[texts[order]] = np.arange(first, first + len(texts))
    return page_ids


def _read_keys(job: Job[IngestConfig], pieces: list[str]) -> tuple[pa.Array, AnyArray, AnyArray]:
    keys, is_number, hashes = [pa.array([], pa.string())], [np.zeros(0, bool)], []
    for batch in _batches(job, pieces, ["key", "is_number", "title"]):
        keys.append(batch.column(0))
        is_number.append(batch.column(1).to_numpy(zero_copy_only=False))
        hashes.append(hash_titles(batch.column(2)))
    all_hashes = np.concatenate([np.zeros(0, np.uint64), *hashes])
    return pa.concat_arrays(keys), np.concatenate(is_number), all_hashes


def _index_keys(keys: pa.Array, root: str) -> tuple[TitleIndex, Int64Array]:
    """Index rows by key, the last of equal keys winning; return also the rows that lose."""
    rows = np.arange(len(keys))[::-1]
    hashes = hash_titles(keys)[::-1]
    index, losers, winners = sort_index(hashes, rows.astype(np.int32), 0)
    lost, won = rows[losers], rows[winners]
    if not keys.take(pa.array(lost)).equals(keys.take(pa.array(won))):
        raise GraphError(
            f"expected distinct hashes of distinct ids, found a collision for {root}: "
            "this happens once in 10,000 corpora of 10^8 documents; change one id"
        )
    return index, lost


def _deleted_rows(index: TitleIndex, deleted: list[tuple[str, int]]) -> Int64Array:
    """Return the rows, the last of their key, that a deletion behind them withdraws."""
    rows = index.look_up(pa.array([key for key, _ in deleted], pa.string())).astype(np.int64)
    limits = np.array([limit for _, limit in deleted], np.int64)
    return np.unique(rows[(rows >= 0) & (rows < limits)])


def _repeated_titles(page_ids: Int64Array, title_hashes: AnyArray) -> Int64Array:
    """Return the kept rows whose title a document of a lower page id has, in order."""
    kept = np.flatnonzero(page_ids >= 0)
    kept = kept[np.argsort(page_ids[kept], kind="stable")]
    _, losers, _ = sort_index(title_hashes[kept], np.zeros(len(kept), np.int32), 0)
    return np.sort(kept[losers])


def _save_titles(
    job: Job[IngestConfig], pieces: list[str], keys: pa.Array, retitled: Int64Array
) -> dict[str, int]:
    """Write all titles as one string of bytes, so that a title is found without reading others."""
    lengths = [np.zeros(1, np.int64)]
    lengths += [pc.binary_length(t).to_numpy() for t in _titles(job, pieces, keys, retitled)]
    offsets = np.cumsum(np.concatenate(lengths), dtype=np.int64)
    written = save_array(job, _spill(job, "title_offsets"), offsets)
    chunks = (_bytes_of(titles) for titles in _titles(job, pieces, keys, retitled))
    name = _spill(job, "title_bytes")
    return written | save_chunks(job, name, np.uint8, int(offsets[-1]), chunks)


def _titles(
    job: Job[IngestConfig], pieces: list[str], keys: pa.Array, retitled: Int64Array
) -> Iterator[pa.Array]:
    first = 0
    for batch in _batches(job, pieces, ["title"]):
        titles = batch.column(0)
        bounds = np.searchsorted(retitled, [first, first + len(titles)])
        here = retitled[bounds[0] : bounds[1]]
        if len(here):
            changed = titles.to_pylist()
            for row in here.tolist():
                changed[row - first] += f" ({keys[row].as_py()})"
            titles = pa.array(changed, pa.string())
        yield titles
        first += len(titles)


def _bytes_of(titles: pa.Array) -> AnyArray:
    offsets = np.frombuffer(titles.buffers()[1], np.int32)[titles.offset :][: len(titles) + 1]
    data = titles.buffers()[2]
    return np.frombuffer(data or b"", np.uint8)[int(offsets[0]) : int(offsets[-1])]


def _write_redirects(job: Job[IngestConfig], names: list[str], first_id: int) -> dict[str, int]:
    tables = [REDIRECT_SCHEMA.empty_table()]
    for name in names:
        with open_part(job.path(name)) as piece:
            tables.append(piece.read())
    table = pa.concat_tables(tables)
    table = table.sort_by([(name, "ascending") for name in table.column_names])
    with part_writer(job, "redirects", 0) as writer:
        for start in range(0, table.num_rows, _ROWS_PER_GROUP):
            rows = table.slice(start, _ROWS_PER_GROUP)
            ids = np.arange(rows.num_rows, dtype=np.int64) + start + first_id
            columns = {name: rows.column(name) for name in rows.column_names}
            columns["page_id"] = pa.array(ids)
            columns["target_namespace"] = pa.array(np.zeros(len(ids), np.int32))
            columns["is_interwiki"] = pa.array(np.zeros(len(ids), bool))
            writer.write(columns)
    return {f"redirects/{part_name(0)}": table.num_rows}


def tasks_of_write(job: Job[IngestConfig], records: Records) -> list[Task]:
    """Make one task per piece; a corpus without documents still has one empty part."""
    tasks: list[Task] = []
    first_row = 0
    for record in records["read"]:
        for name, num_rows in zip(record["pieces"], record["piece_rows"], strict=True):
            args = {"piece": name, "first_row": first_row}
            tasks.append(Task(len(tasks), args, num_rows))
            first_row += num_rows
    return tasks or [Task(0, {"piece": "", "first_row": 0})]


@dataclass(frozen=True, slots=True)
class _Numbering:
    """The spills of `number`, memory-mapped."""

    keys: TitleIndex
    page_ids: Int64Array
    # All titles, by row.
    titles: pa.LargeStringArray


def run_write(job: Job[IngestConfig], task: Task) -> Record:
    """Write pages part k."""
    counts = {"dangling_id": 0, "empty_text": 0}
    pieces = [task.args["piece"]] if task.args["piece"] else []
    row = task.args["first_row"]
    with ExitStack() as stack, part_writer(job, "pages", task.index) as writer:
        numbering = _open_numbering(job, stack)
        for batch in _batches(job, pieces, None):
            ids = np.array(numbering.page_ids[row : row + len(batch)])
            titles = numbering.titles.slice(row, len(batch)).cast(pa.string())
            row += len(batch)
            texts = batch.column("text")
            is_empty = pc.equal(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False)
            counts["empty_text"] += int((is_empty & (ids >= 0)).sum())
            links, num_dangling = _translate(batch.column("links"), numbering, ids >= 0)
            counts["dangling_id"] += num_dangling
            columns = _page_columns(batch, ids, titles, links)
            writer.write(pa.table(columns).filter(pa.array((ids >= 0) & ~is_empty)))
    written = {f"pages/{part_name(task.index)}": writer.num_rows}
    return {"counts": counts, "files": written}


def _open_numbering(job: Job[IngestConfig], stack: ExitStack) -> _Numbering:
    def open_one(name: str) -> AnyArray:
        return stack.enter_context(open_array(job.path(_spill(job, name))))

    keys = TitleIndex(open_one("key_hashes"), open_one("key_rows"), 0)
    offsets, data = open_one("title_offsets"), open_one("title_bytes")
    titles = pa.LargeStringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data)
    )
    return _Numbering(keys, open_one("page_ids"), titles)


def _translate(
    links: pa.ListArray, numbering: _Numbering, is_kept: AnyArray
) -> tuple[pa.ListArray, int]:
    """Turn links to ids into links to titles; count those whose document is not there."""
    flat = links.flatten()
    target_keys, titles = flat.field("target_key"), flat.field("target_title")
    by_key = np.flatnonzero(target_keys.is_valid().to_numpy(zero_copy_only=False))
    num_dangling = 0
    if len(by_key):
        wanted = target_keys.take(pa.array(by_key))
        rows = numbering.keys.look_up(wanted)
        # The title of a withdrawn document may be another's by now.
        places = np.maximum(rows, 0)
        is_missing = (rows < 0) | (numbering.page_ids[places] < 0)
        found = numbering.titles.take(pa.array(places))
        # No page is called so, because a wiki's titles hold no `#`; the link stays red.
        unknown = pc.binary_join_element_wise("#", wanted, "")
        chosen = pc.if_else(pa.array(is_missing), unknown, found.cast(pa.string()))
        mask = np.zeros(len(flat), bool)
        mask[by_key] = True
        titles = pc.replace_with_mask(titles, pa.array(mask), chosen)
        of_kept = np.repeat(is_kept, links.value_lengths().to_numpy())
        num_dangling = int((is_missing & of_kept[by_key]).sum())
    columns: dict[str, Any] = {name: flat.field(name) for name in _SAME_LINK_FIELDS}
    columns["target_title"] = titles
    columns["target_namespace"] = pa.array(np.zeros(len(flat), np.int32))
    values = pa.StructArray.from_arrays([columns[field.name] for field in LINK], fields=list(LINK))
    lengths = links.value_lengths().to_numpy()
    offsets = np.concatenate([np.zeros(1, np.int32), np.cumsum(lengths, dtype=np.int32)])
    return pa.ListArray.from_arrays(pa.array(offsets), values), num_dangling


_SAME_LINK_FIELDS = ("start_char", "end_char", "target_fragment", "kind")


def _page_columns(
    batch: pa.RecordBatch, ids: Int64Array, titles: pa.Array, links: pa.ListArray
) -> dict[str, pa.Array]:
    num_rows = len(batch)
    is_number = batch.column("is_number")
    no_text = pa.nulls(num_rows, pa.string())
    return {
        "page_id": pa.array(ids),
        "title": titles,
        "text": batch.column("text"),
        "is_disambiguation": pa.array(np.zeros(num_rows, bool)),
        "sections": batch.column("sections"),
        "links": links,
        "categories": pa.array([[]] * num_rows, pa.list_(pa.string())),
        "revision_id": pa.nulls(num_rows, pa.int64()),
        "timestamp": pa.nulls(num_rows, pa.timestamp("s", tz="UTC")),
        "source_key": pc.if_else(is_number, no_text, batch.column("key")),
    }


def _batches(
    job: Job[IngestConfig], pieces: list[str], columns: list[str] | None
) -> Iterator[pa.RecordBatch]:
    """Yield row groups of pieces, in order."""
    for name in pieces:
        with open_part(job.path(name)) as piece:
            for group in range(piece.num_row_groups):
                table = piece.read_row_group(group, columns=columns, use_threads=False)
                yield from table.combine_chunks().to_batches()


def _spill(job: Job[IngestConfig], name: str) -> str:
    return f"_state/{job.stage.name}/spill/{name}.npy"
