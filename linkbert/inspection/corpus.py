"""Read a finished corpus folder by node: titles, pages with their links, mentions, segments.

A page is in one part of the pages table, and mentions and segments have the same parts, so a
look-up reads one row group or one part, never a whole table.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.arrays import map_array
from schemas.errors import GraphError
from schemas.manifest import MANIFEST_NAME, Manifest, read_manifest
from schemas.parquet import table_parts

Row = dict[str, Any]


@dataclass(frozen=True)
class Corpus:
    """A corpus folder, read-only.

    Attributes:
        path: the folder that holds pages, nodes, mentions, segments.
    """

    path: Path

    def manifest(self, table: str) -> Manifest:
        """Return the manifest of one of its tables.

        Raises:
            SchemaError: the table is missing or of another schema version.
        """
        return read_manifest(self.path / table)

    def has(self, table: str) -> bool:
        """Tell whether one of its tables is finished."""
        return (self.path / table / MANIFEST_NAME).is_file()

    def node_by_title(self, title: str) -> Row:
        """Return the row of nodes that has this exact title, or that this redirect leads to.

        Raises:
            GraphError: there is none; the message names up to three similar titles.
        """
        rows = self._nodes(pc.field("title") == title) or self._redirected(title)
        if not rows:
            begins_alike = pc.starts_with(pc.field("title"), title[:4], ignore_case=True)
            alike = [row["title"] for row in self._nodes(begins_alike)]
            closest = get_close_matches(title, alike, 3, 0.0)
            names = ", ".join(map(repr, closest)) or "none that begins alike"
            raise GraphError(
                f"expected the title of a document in {self.path}, found no {title!r} "
                f"(there is {names}): titles are as in the dump, capital first"
            )
        return rows[0]

    def titles(self) -> list[str]:
        """Return the titles of all documents, in the order of their node ids."""
        return list(self._node_table.column("title").to_pylist())

    def nodes_by_id(self, node_ids: list[int]) -> dict[int, Row]:
        """Return the rows of nodes for these ids."""
        rows = self._nodes(pc.field("node_id").isin(sorted(set(node_ids))))
        return {row["node_id"]: row for row in rows}

    def redirect_by_title(self, title: str) -> Row | None:
        """Return the row of redirects with this exact title, or None."""
        rows = self._redirects(pc.field("title") == title)
        return rows[0] if rows else None

    def redirects_by_id(self, page_ids: list[int]) -> dict[int, Row]:
        """Return the rows of redirects with these page ids."""
        if not page_ids:
            return {}
        rows = self._redirects(pc.field("page_id").isin(sorted(set(page_ids))))
        return {row["page_id"]: row for row in rows}

    def most_linked_neighbours(self, node_id: int, direction: str, limit: int) -> list[Row]:
        """Return the rows of nodes for a node's neighbours, highest in-degree first.

        Args:
            node_id: the node of the document.
            direction: `out` for those it links to, `in` for those that link to it.
            limit: the maximum number of rows.

        Raises:
            SchemaError: the corpus has no finished graph.
        """
        found = self.neighbours(node_id, direction)
        neighbours = self._node_table.take(pa.array(found))
        order = [("in_degree", "descending"), ("node_id", "ascending")]
        return list(neighbours.sort_by(order).slice(0, limit).to_pylist())

    def neighbours(self, node_id: int, direction: str) -> npt.NDArray[np.int32]:
        """Return the documents that a document links to (`out`) or that link to it (`in`): int32.

        Raises:
            SchemaError: the corpus has no finished graph.
        """
        indptr, indices = (self._csr(f"{direction}_{name}") for name in ("indptr", "indices"))
        return np.array(indices[int(indptr[node_id]) : int(indptr[node_id + 1])])

    def degrees(self, direction: str) -> npt.NDArray[np.int64]:
        """Return the in- or out-degree of every node: int64 [N]."""
        return np.diff(self._csr(f"{direction}_indptr"))

    @property
    def num_nodes(self) -> int:
        """The number of documents."""
        return len(self._csr("out_indptr")) - 1

    def most_linked(self, limit: int) -> list[Row]:
        """Return the rows of nodes with the highest in-degrees, highest first."""
        order = [("in_degree", "descending"), ("node_id", "ascending")]
        places = pc.select_k_unstable(self._node_table, limit, sort_keys=order)
        return list(self._node_table.take(places).to_pylist())

    def page(self, node: Row) -> Row:
        """Return the row of pages that a row of nodes points to."""
        with pq.ParquetFile(table_parts(self.path / "pages")[node["part"]]) as file:
            first_row = 0
            for group in range(file.num_row_groups):
                num_rows = file.metadata.row_group(group).num_rows
                if node["row"] < first_row + num_rows:
                    table = file.read_row_group(group, use_threads=False)
                    return dict(table.slice(node["row"] - first_row, 1).to_pylist()[0])
                first_row += num_rows
        raise GraphError(
            f"expected row {node['row']} in part {node['part']} of {self.path}/pages, found fewer: "
            "run `linkbert graph --overwrite`, the pages have changed"
        )

    def mentions(self, node: Row) -> list[Row]:
        """Return what became of each link of a document, in the order of its links."""
        return self._rows_of("mentions", node, pc.field("source_id") == node["node_id"])

    def segments(self, node: Row) -> list[Row]:
        """Return the segments of a document in their order."""
        return self._rows_of("segments", node, pc.field("node_id") == node["node_id"])

    def _rows_of(self, table: str, node: Row, where: pc.Expression) -> list[Row]:
        part = table_parts(self.path / table)[node["part"]]
        return list(pq.read_table(part, filters=where, use_threads=False).to_pylist())

    def _redirected(self, title: str) -> list[Row]:
        """Return the node at the end of a redirect, as resolved by `graph`."""
        redirect = self.redirect_by_title(title)
        if redirect is None:
            return []
        ids, targets = (
            map_array(self.path / "index" / f"redirect_{name}.npy")
            for name in ("page_ids", "targets")
        )
        target = int(targets[int(np.searchsorted(ids, redirect["page_id"]))])
        return self._nodes(pc.field("node_id") == target) if target >= 0 else []

    def _csr(self, name: str) -> npt.NDArray[np.int64]:
        read_manifest(self.path / "csr")
        array: npt.NDArray[np.int64] = map_array(self.path / "csr" / f"{name}.npy")
        return array

    def _redirects(self, where: pc.Expression) -> list[Row]:
        return list(pq.read_table(self.path / "redirects", filters=where).to_pylist())

    def _nodes(self, where: pc.Expression) -> list[Row]:
        return list(self._node_table.filter(where).to_pylist())

    @cached_property
    def _node_table(self) -> pa.Table:
        if (self.path / "train").is_dir():
            raise GraphError(
                f"expected a corpus, found shards in {self.path}: name a folder that "
                "`linkbert parse` or `linkbert ingest` wrote"
            )
        if not self.has("nodes"):
            raise GraphError(
                f"expected a corpus with its graph, found no nodes in {self.path}: "
                f"run `linkbert graph {self.path}` first"
            )
        return pq.read_table(self.path / "nodes", memory_map=True)
