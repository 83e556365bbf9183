"""What `segment` reads for one part of pages: which document a page is, where its links lead.

Part k of mentions follows part k of pages, so two streams go forward side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.engine.outputs import open_part, part_name, part_paths, read_batches
from pipeline.engine.stage import Job
from pipeline.segment.config import SegmentConfig
from schemas.errors import StageError
from schemas.tables import pages
from schemas.tables.mentions import REDIRECT, RESOLVED

Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]

NO_PLACE = -1
"""The start of a link that has no place in the text."""


@dataclass(frozen=True, slots=True)
class PartNodes:
    """The documents of one part of pages [N], by the row of their page, ascending."""

    rows: Int32Array
    node_ids: Int32Array
    is_disambiguation: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class LinkedText:
    """A document with its text and its links to other documents.

    Attributes:
        node_id: which document.
        text: its plain text.
        anchors: (start_char, end_char) of every link with a place, edge or not, ascending.
        link_starts: int64 [L], start_char of each link that makes an edge, NO_PLACE for citations.
        link_targets: int32 [L], the document it leads to.
        num_unplaced: links that make an edge and are not citations but leave no text.
    """

    node_id: int
    text: str
    anchors: list[tuple[int, int]]
    link_starts: Int64Array
    link_targets: Int32Array
    num_unplaced: int


def read_nodes(job: Job[SegmentConfig], part: int) -> PartNodes:
    """Read the documents that lie in one part of pages.

    Nodes are stored by page id, nearly the order of the dump, so the statistics of their row
    groups leave few to be read.
    """
    found = []
    columns = ["row", "node_id", "is_disambiguation", "part"]
    for path in part_paths(job.path("nodes")):
        with open_part(path) as table:
            groups = [
                group for group in range(table.num_row_groups) if _may_hold(table, group, part)
            ]
            if groups:
                rows = table.read_row_groups(groups, columns=columns, use_threads=False)
                found.append(rows.filter(pc.equal(rows.column("part"), part)))
    if not found:
        none = np.zeros(0, np.int32)
        return PartNodes(none, none, np.zeros(0, np.bool_))
    nodes = pa.concat_tables(found).sort_by("row")
    return PartNodes(*(nodes.column(name).to_numpy() for name in columns[:3]))


def _may_hold(table: pq.ParquetFile, group: int, part: int) -> bool:
    index = table.schema_arrow.get_field_index("part")
    statistics = table.metadata.row_group(group).column(index).statistics
    if statistics is None or not statistics.has_min_max:
        return True
    return bool(statistics.min <= part <= statistics.max)


def read_pages(
    job: Job[SegmentConfig], part: int, nodes: PartNodes, batch_pages: int
) -> Iterator[list[LinkedText]]:
    """Yield the documents of a part of pages in the order of their rows, in batches."""
    columns = [
        "text",
        *(f"links.list.element.{name}" for name in ("start_char", "end_char", "kind")),
    ]
    targets = _LinkTargets(job, part, nodes)
    first_row = 0
    path = job.path("pages", part_name(part))
    for batch in read_batches(path, columns, batch_pages):
        low, high = np.searchsorted(nodes.rows, [first_row, first_row + len(batch)])
        rows = nodes.rows[low:high] - first_row
        yield _pages_of(batch, rows, nodes.node_ids[low:high], targets)
        first_row += len(batch)


class _LinkTargets:
    """The mentions of one part, read once, asked for document by document."""

    def __init__(self, job: Job[SegmentConfig], part: int, nodes: PartNodes) -> None:
        columns = ["source_id", "link_index", "target_id", "fate"]
        path = job.path("mentions", part_name(part))
        with open_part(path, read_dictionary=["fate"]) as file:
            table = file.read(columns=columns, use_threads=False)
        leads = pc.is_in(table.column("fate"), value_set=pa.array([RESOLVED, REDIRECT]))
        table = table.filter(leads)
        sources = table.column("source_id").to_numpy()
        self._link_index = table.column("link_index").to_numpy()
        self._target_ids = table.column("target_id").to_numpy()
        # Mentions follow the rows of pages; node ids follow page ids, which may be another order.
        by_id = np.argsort(nodes.node_ids)
        ranks = by_id[np.searchsorted(nodes.node_ids, sources, sorter=by_id)]
        if not (np.diff(ranks) >= 0).all():
            raise StageError(
                f"expected mentions in the order of their pages, found another in {path}: run "
                "`linkbert graph` again with --overwrite"
            )
        self._ends = np.searchsorted(ranks, np.arange(len(nodes.node_ids)), side="right")
        self._ranks = {int(node_id): rank for rank, node_id in enumerate(nodes.node_ids)}

    def of(self, node_id: int) -> tuple[Int32Array, Int32Array]:
        """Return the link indices of a document that lead to a document, and where they lead."""
        rank = self._ranks[node_id]
        low = self._ends[rank - 1] if rank else 0
        high = self._ends[rank]
        return self._link_index[low:high], self._target_ids[low:high]


def _pages_of(
    batch: pa.RecordBatch, rows: Int32Array, node_ids: Int32Array, targets: _LinkTargets
) -> list[LinkedText]:
    links = batch.column("links")
    offsets = links.offsets.to_numpy()
    starts, ends, kinds = (_flat_field(links, name) for name in ("start_char", "end_char", "kind"))
    texts = batch.column("text")
    found = []
    for row, node_id in zip(rows.tolist(), node_ids.tolist(), strict=True):
        here = slice(offsets[row] - offsets[0], offsets[row + 1] - offsets[0])
        indices, target_ids = targets.of(node_id)
        kind, start = kinds[here], starts[here]
        is_edge = _MAKES_EDGE[kind[indices]]
        is_lost = (start[indices] < 0) & (kind[indices] != _CITATION)
        kept = is_edge & ~is_lost
        anchors = sorted(
            zip(start[start >= 0].tolist(), ends[here][start >= 0].tolist(), strict=True)
        )
        found.append(
            LinkedText(
                node_id,
                texts[row].as_py(),
                anchors,
                start[indices][kept],
                target_ids[kept],
                int((is_edge & is_lost).sum()),
            )
        )
    return found


_MAKES_EDGE = np.array([kind in pages.EDGE_KINDS for kind in pages.LINK_KINDS])
_CITATION = pages.LINK_KINDS.index(pages.CITATION)


def _flat_field(links: pa.ListArray, name: str) -> npt.NDArray[Any]:
    """Return one field of the links of a batch as an array over all of them; null is -1."""
    values = links.flatten().field(name)
    if pa.types.is_string(values.type):
        return np.asarray(pc.index_in(values, value_set=pa.array(pages.LINK_KINDS)), np.int64)
    return np.asarray(pc.fill_null(values, NO_PLACE).to_numpy(zero_copy_only=False), np.int64)
