"""What the pairs of a corpus must agree with: its segments, their tokens and targets, its links."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from schemas.errors import SchemaError
from schemas.manifest import MANIFEST_NAME, read_manifest
from schemas.parquet import table_parts

Array = npt.NDArray[Any]


def keys_of(high: Array, low: Array) -> npt.NDArray[np.int64]:
    """Return one number per pair of ids below 2^31, in their order."""
    return (high.astype(np.int64) << 32) | low.astype(np.int64)


@dataclass(frozen=True, slots=True)
class CorpusFacts:
    """What the pairs of a corpus must agree with, as arrays over segments in stored order.

    Attributes:
        keys: int64 [S], node and index of each segment, ascending.
        order: int64 [S], its row in stored order.
        starts: int64 [S + 1], where its tokens begin, counted over all files in order.
        bases: int64 [F + 1], the first token of each file.
        stores: the ids of each file, memory-mapped.
        target_starts: int64 [S + 1], where its targets begin in `target_ids`.
        indptr, indices: the graph, as compressed rows.
    """

    keys: Array
    order: Array
    starts: Array
    bases: Array
    stores: list[Array]
    target_starts: Array
    target_ids: Array
    indptr: Array
    indices: Array

    @staticmethod
    def open(path: Path) -> CorpusFacts | None:
        """Open a corpus; return None if it is no longer there.

        Raises:
            SchemaError: its tokens are not those of its segments.
        """
        if not all(
            (path / table / MANIFEST_NAME).is_file() for table in ("segments", "tokens", "csr")
        ):
            return None
        columns = ["node_id", "segment_index", "num_tokens", "target_ids"]
        found: dict[str, list[Array]] = {name: [np.zeros(0, np.int64)] for name in (*columns, "n")}
        for part in table_parts(path / "segments"):
            table = pq.read_table(part, columns=columns, use_threads=False)
            for name in columns[:3]:
                found[name].append(table.column(name).to_numpy())
            for chunk in table.column("target_ids").chunks:
                found["n"].append(np.diff(chunk.offsets.to_numpy()))
                found["target_ids"].append(chunk.flatten().to_numpy())
        joined = {name: np.concatenate(pieces) for name, pieces in found.items()}
        keys = keys_of(joined["node_id"], joined["segment_index"])
        order = np.argsort(keys, kind="stable")
        dtype = read_manifest(path / "tokens").extra["token_dtype"]
        stores = [_open_ids(ids, dtype) for ids in sorted((path / "tokens").glob("*.ids"))]
        bases = np.cumsum([0, *(len(store) for store in stores)])
        if bases[-1] != joined["num_tokens"].sum():
            raise SchemaError(
                f"expected {joined['num_tokens'].sum():,} tokens, found {bases[-1]:,} in "
                f"{path}/tokens: run `linkbert segment` again with --overwrite"
            )
        return CorpusFacts(
            keys[order],
            order,
            np.cumsum([0, *joined["num_tokens"]]),
            bases,
            stores,
            np.cumsum([0, *joined["n"]]),
            joined["target_ids"],
            np.load(path / "csr" / "out_indptr.npy", mmap_mode="r"),
            np.load(path / "csr" / "out_indices.npy", mmap_mode="r"),
        )

    def _row(self, node: int, index: int) -> int:
        """Return the row of a segment in stored order, -1 if there is none."""
        key = (node << 32) | index
        at = int(np.searchsorted(self.keys, key))
        return int(self.order[at]) if at < len(self.keys) and self.keys[at] == key else -1

    def tokens(self, node: int, index: int) -> bytes | None:
        """Return the ids of a segment, None if there is none."""
        row = self._row(node, index)
        if row < 0:
            return None
        file = int(np.searchsorted(self.bases, self.starts[row], side="right")) - 1
        here = slice(self.starts[row] - self.bases[file], self.starts[row + 1] - self.bases[file])
        return bytes(self.stores[file][here].tobytes())

    def targets(self, node: int, index: int) -> Array:
        """Return the documents that a segment links to."""
        row = self._row(node, index)
        return self.target_ids[self.target_starts[row] : self.target_starts[row + 1]]

    def has_edge(self, source: int, target: int) -> bool:
        """Tell whether one document links to another."""
        row = self.indices[self.indptr[source] : self.indptr[source + 1]]
        at = int(np.searchsorted(row, target))
        return at < len(row) and bool(row[at] == target)

    def num_segments(self, nodes: Array) -> Array:
        """Return the number of segments of each document."""
        low = np.searchsorted(self.keys, nodes.astype(np.int64) << 32)
        return np.searchsorted(self.keys, (nodes.astype(np.int64) + 1) << 32) - low


def _open_ids(path: Path, dtype: str) -> Array:
    if not path.stat().st_size:  # an empty file cannot be mapped
        return np.zeros(0, dtype)
    return np.memmap(path, dtype, mode="r").view(np.ndarray)
