"""The stage `segment`: documents become segments of token ids, with the documents each links to.

    CORPUS/pages, nodes, mentions, tokenizer
      ──segment──▶ CORPUS/segments    one row per segment
                   CORPUS/tokens      the same ids as one flat file per part, to be memory-mapped:
                                      part-NNNNN.ids, and part-NNNNN.offsets.npy int64 [rows + 1]

Part k of both follows part k of pages. The tokens are there twice because `sample` reads segments
in random order, which no compressed column can give.
"""

from __future__ import annotations

import os
from contextlib import closing
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.engine.outputs import (
    load_finished,
    load_manifest,
    page_parts,
    part_name,
    part_writer,
    save_array,
    sum_counts,
    verify_folder,
    verify_part,
    write_folder_manifest,
)
from pipeline.engine.stage import Job, Phase, Record, Records, Stage, Task
from pipeline.parse.guards import CrashNotes, crash_notes, find_crashing
from pipeline.segment.config import SegmentConfig
from pipeline.segment.cutting import Segment, targets_by_segment
from pipeline.segment.inputs import LinkedText, PartNodes, read_nodes, read_pages
from pipeline.segment.long_pages import Cut, cut_pages
from pipeline.storage import files
from pipeline.tokenizer.encoder import SentenceEncoder, encoder_of
from pipeline.tokenizer.stage import read_tokenizer
from schemas.errors import StageError
from schemas.pair_frame import PairFrame
from schemas.parquet import TableWriter
from schemas.tables.segments import SCHEMA, TOKEN_DTYPE_KEY, binary_column

# A batch of pages is encoded together: enough to keep the encoder busy, little enough to be small.
_BATCH_PAGES = 64
_ROW_GROUP_ROWS = 4096


def fingerprint_inputs(job: Job[SegmentConfig]) -> dict[str, str]:
    """Return the fingerprints of pages, nodes, mentions and tokenizer.

    Raises:
        StageError: one is missing, or the graph was made from other pages.
    """
    manifests = {
        name: load_finished(job.path(name)) for name in ("pages", "nodes", "mentions", "tokenizer")
    }
    found = {name: manifest.fingerprint() for name, manifest in manifests.items()}
    for name in ("nodes", "mentions"):
        if manifests[name].inputs.get("pages") != found["pages"]:
            raise StageError(
                f"expected {name} made from the pages in {job.root}, found one made from others: "
                "run `linkbert graph` again with --overwrite"
            )
    return found


def tasks_of_segment(job: Job[SegmentConfig], records: Records) -> list[Task]:
    """Make one task per part of pages."""
    facts = load_manifest(job.path("tokenizer")).extra
    return [
        Task(index, {"token_dtype": facts["token_dtype"]}, num_rows)
        for index, (_, num_rows) in enumerate(page_parts(job))
    ]


def run_segment(job: Job[SegmentConfig], task: Task) -> Record:
    """Write segments part k and tokens part k; count documents and segments."""
    # One thread per task: the tasks themselves use all cores.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _verify_inputs(job, task.index)
    dtype = np.dtype(task.args["token_dtype"])
    encoder = encoder_of(read_tokenizer(job.root), dtype.str)
    ids_name = f"tokens/{part_name(task.index).removesuffix('.parquet')}.ids"
    offsets_name = f"{ids_name.removesuffix('ids')}offsets.npy"
    metadata = {TOKEN_DTYPE_KEY: dtype.str.encode()}
    nodes = read_nodes(job, task.index)
    with (
        crash_notes(job.state_path("running", f"{task.index:05d}")) as notes,
        files.write_whole(job.path(ids_name)) as ids_file,
        part_writer(job, "segments", task.index, metadata=metadata) as writer,
    ):
        output = _Output(writer, ids_file, dtype)
        skipped, crashing = _skipped_nodes(job, nodes), _crashing_nodes(job, task, nodes, notes)
        counts = dict.fromkeys(_COUNTS, 0)
        if crashing:  # counted only where there is one
            counts[CRASHED] = len(crashing)
        place = 0
        for pages in read_pages(job, task.index, nodes, _BATCH_PAGES):
            notes.note(place)
            place += len(pages)
            counts["disambiguation"] += sum(page.node_id in skipped for page in pages)
            left_out = skipped | crashing
            kept = [page for page in pages if page.node_id not in left_out]
            _add_documents(kept, encoder, job.config, output, counts)
        output.flush()
        num_rows = writer.num_rows
    counts["documents"] = len(nodes.node_ids)
    counts |= {"segments": num_rows, "tokens": output.num_tokens}
    written = {f"segments/{part_name(task.index)}": num_rows, ids_name: 0}
    return {"counts": counts, "files": written | save_array(job, offsets_name, output.offsets())}


def _verify_inputs(job: Job[SegmentConfig], part: int) -> None:
    """Compare what a task reads with its manifests; of nodes, which all read, its share."""
    for folder in ("pages", "mentions"):
        verify_part(job.path(folder), part_name(part))
    verify_folder(job.path("tokenizer"))
    verify_folder(job.path("nodes"), part, len(page_parts(job)))


_COUNTS = (
    "documents",
    "disambiguation",
    "without_tokens",
    "cut_sentences",
    "linked_segments",
    "segment_targets",
    "links",
    "unplaced_links",
)


CRASHED = "crashed"
"""The count of documents left out because they kill the process that cuts them."""


def _crashing_nodes(
    job: Job[SegmentConfig], task: Task, nodes: PartNodes, notes: CrashNotes
) -> set[int]:
    """Return the documents that kill a process, where an attempt at this task was killed."""
    if notes.suspect is None:
        return set()
    places = find_crashing(partial(try_documents, job, task), notes.suspect, _BATCH_PAGES)
    return set(nodes.node_ids[sorted(places)].tolist())


def try_documents(job: Job[SegmentConfig], task: Task, start: int) -> None:
    """Cut the documents of a part from a place on, one by one, to nowhere; print each place first.

    Args:
        job: the stage in its folder.
        task: which part.
        start: how many documents of the part to leave untried.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    dtype = np.dtype(task.args["token_dtype"])
    encoder = encoder_of(read_tokenizer(job.root), dtype.str)
    nodes = read_nodes(job, task.index)
    skipped = _skipped_nodes(job, nodes)
    counts = dict.fromkeys(_COUNTS, 0)
    place = 0
    with (
        open(os.devnull, "wb") as nowhere,
        closing(TableWriter(nowhere, "segments")) as writer,
    ):
        output = _Output(writer, nowhere, dtype)
        for pages in read_pages(job, task.index, nodes, 1):
            for page in pages:
                if place >= start:
                    print(place, flush=True)
                    kept = [page] if page.node_id not in skipped else []
                    _add_documents(kept, encoder, job.config, output, counts)
                place += 1


def _skipped_nodes(job: Job[SegmentConfig], nodes: Any) -> set[int]:
    if not job.config.exclude_disambiguation:
        return set()
    return set(nodes.node_ids[nodes.is_disambiguation].tolist())


def _add_documents(
    pages: list[LinkedText],
    encoder: SentenceEncoder,
    limits: SegmentConfig,
    output: _Output,
    counts: dict[str, int],
) -> None:
    for page, cuts in groupby(cut_pages(pages, encoder, limits), itemgetter(0)):
        _add_document(page, [cut for _, cut in cuts], output, counts)


def _add_document(
    page: LinkedText, cuts: list[Cut], output: _Output, counts: dict[str, int]
) -> None:
    segments = [segment for cut in cuts for segment in cut.segments]
    starts = np.array([segment.start_char for segment in segments], np.int64)
    targets = targets_by_segment(starts, page.link_starts, page.link_targets.astype(np.int64))
    output.add(page.node_id, segments, [cut.token_ids for cut in cuts], targets)
    counts["without_tokens"] += not segments
    counts["cut_sentences"] += sum(cut.num_cut for cut in cuts)
    counts["links"] += len(page.link_targets) + page.num_unplaced
    counts["unplaced_links"] += page.num_unplaced
    counts["linked_segments"] += sum(len(each) > 0 for each in targets)
    counts["segment_targets"] += sum(len(each) for each in targets)


class _Output:
    """Rows on their way into the table and the flat file, written a row group at a time."""

    def __init__(self, writer: TableWriter, ids_file: IO[bytes], dtype: np.dtype[Any]) -> None:
        self._writer, self._ids_file, self.dtype = writer, ids_file, dtype
        self._all_sizes: list[npt.NDArray[np.int32]] = []
        self.num_tokens = 0
        self._clear()

    def _clear(self) -> None:
        self._keys: list[tuple[int, int, int, int]] = []
        self._sizes: list[int] = []
        self._token_ids: list[npt.NDArray[Any]] = []
        self._targets: list[npt.NDArray[Any]] = []

    def add(
        self,
        node_id: int,
        segments: list[Segment],
        token_ids: list[npt.NDArray[Any]],
        targets: list[npt.NDArray[np.int64]],
    ) -> None:
        """Take the segments of one document, and the ids of its tokens in their order."""
        for index, segment in enumerate(segments):
            self._keys.append((node_id, index, segment.start_char, segment.end_char))
            self._sizes.append(segment.end_token - segment.start_token)
        self._token_ids.extend(token_ids)
        self._targets.extend(targets)
        if len(self._keys) >= _ROW_GROUP_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what has been taken as one row group."""
        if not self._keys:
            return
        sizes = np.array(self._sizes, np.int32)
        flat = np.concatenate(self._token_ids)
        if len(flat) != sizes.sum():
            raise StageError(
                f"expected {sizes.sum():,} tokens of the segments, found {len(flat):,}: this is a "
                "fault of the stage, please report it"
            )
        names = ("node_id", "segment_index", "start_char", "end_char")
        columns: dict[str, Any] = dict(zip(names, np.array(self._keys, np.int32).T, strict=True))
        columns["num_tokens"] = sizes
        columns["token_ids"] = binary_column(flat, sizes)
        columns["target_ids"] = _list_column(self._targets)
        self._writer.write(columns)
        self._ids_file.write(flat.data)
        self._all_sizes.append(sizes)
        self.num_tokens += len(flat)
        self._clear()

    def offsets(self) -> npt.NDArray[np.int64]:
        """Return where each segment begins in the flat file, in tokens, and the end of the last."""
        sizes = np.concatenate([np.zeros(1, np.int32), *self._all_sizes])
        return np.cumsum(sizes, dtype=np.int64)


def _list_column(lists: list[npt.NDArray[Any]]) -> pa.Array:
    offsets = np.cumsum([0, *(len(each) for each in lists)], dtype=np.int32)
    values = np.concatenate(lists).astype(np.int32)
    return pa.ListArray.from_arrays(
        pa.array(offsets), pa.array(values), type=SCHEMA.field("target_ids").type
    )


def finish(job: Job[SegmentConfig], records: Records) -> dict[str, Any]:
    """Write the manifests of segments and tokens; return the counts."""
    counts = sum_counts(records["segment"])
    nodes = load_manifest(job.path("nodes"))
    if counts["documents"] != nodes.rows_out:
        raise StageError(
            f"expected the {nodes.rows_out} documents of nodes, found {counts['documents']} "
            f"in the pages of {job.root}: this is a fault of the stage, please report it"
        )
    facts = load_manifest(job.path("tokenizer")).extra
    extra = {name: facts[name] for name in ("vocab_size", "token_dtype")}
    extra |= PairFrame.from_facts(facts).to_facts()
    extra |= {"max_tokens": job.config.max_tokens, "counts": counts}
    write_folder_manifest(
        job,
        "segments",
        records["segment"],
        table="segments",
        rows_in=counts["segments"],
        extra=extra,
    )
    write_folder_manifest(job, "tokens", records["segment"], extra=extra)
    mean = counts["tokens"] / counts["segments"] if counts["segments"] else 0.0
    summary: dict[str, Any] = {**counts, "mean_tokens": round(mean, 1)}
    if CRASHED in counts:
        summary["warnings"] = [
            f"{counts[CRASHED]} of {counts['documents']} documents left out: to cut them kills the "
            "process, out of memory perhaps; they stay in pages and in the graph"
        ]
    return summary


SEGMENT = Stage(
    name="segment",
    phases=(Phase("segment", tasks_of_segment, run_segment, unit="pages"),),
    outputs=("segments", "tokens"),
    fingerprint_inputs=fingerprint_inputs,
    finish=finish,
)
