"""Instances of a shards folder in training order, any stretch of it on demand.

In: the instances table of one split. Out: stretches of a sequence without end. Its first pass is
the stored order, epoch after epoch, because the sampler already stored a full permutation of each.
Every later pass permutes the row groups, then the rows within windows of several row groups, keyed
by (seed, pass); no instance is lost or repeated. So the state of reading is one integer, the
number of instances read, whatever the batch size and the number of ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from linkbert.loader.masking import Int64Array
from schemas.counter_rng import counter_bits, counter_key
from schemas.errors import SchemaError
from schemas.manifest import Manifest, missing_note, read_manifest
from schemas.model_folder import sha256_of
from schemas.parquet import check_schema, table_parts

COLUMNS = [
    "epoch", "corpus", "token_ids", "num_tokens", "num_tokens_a", "relation",
    "source_id", "source_segment", "target_id", "target_segment",
]  # fmt: skip

MASK_PASS = "mask_pass"
"""Column added on reading: how often an instance's A was read before, so that masks differ."""

WINDOW_ROWS = 1 << 16
"""Rows permuted together from the second pass on: about 40 MB of ids at 512 tokens."""


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One unit of reading."""

    path: Path
    index: int
    num_rows: int


@dataclass(frozen=True, slots=True)
class Split:
    """One instances table of a shards folder, with what its manifest says."""

    folder: Path
    manifest: Manifest
    row_groups: tuple[RowGroup, ...]
    num_instances: int

    @property
    def token_bytes(self) -> int:
        """Bytes of a stored id."""
        return np.dtype(str(self.manifest.extra["token_dtype"])).itemsize


def mean_tokens(split: Split) -> float:
    """Return the mean tokens of an instance in the first row group, as its footer tells them."""
    first = split.row_groups[0]
    with _opened(first.path) as file:
        group = file.metadata.row_group(first.index)
        columns = [group.column(number) for number in range(group.num_columns)]
    ids = next(each for each in columns if each.path_in_schema == "token_ids")
    # Each value is stored as four bytes of its length and the ids.
    num_bytes = float(ids.total_uncompressed_size) / first.num_rows - 4
    return max(1.0, num_bytes / split.token_bytes)


def open_split(folder: Path) -> Split:
    """Read the manifest and the footers of an instances table.

    Raises:
        SchemaError: it is absent, unfinished or does not fit its manifest.
    """
    refuse_remote(folder)
    manifest = read_manifest(folder)
    row_groups: list[RowGroup] = []
    for path in table_parts(folder):
        with _opened(path) as file:
            check_schema(file.schema_arrow, "instances", str(path))
            row_groups += [
                RowGroup(path, index, file.metadata.row_group(index).num_rows)
                for index in range(file.num_row_groups)
            ]
    _refuse_strays(folder, manifest)
    num_instances = sum(group.num_rows for group in row_groups)
    if num_instances != manifest.rows_out:
        raise SchemaError(
            f"expected {manifest.rows_out} instances as the manifest says, found {num_instances} "
            f"in {folder}: copy the folder whole, or sample again (--overwrite)"
        )
    return Split(folder, manifest, tuple(row_groups), num_instances)


def _refuse_strays(folder: Path, manifest: Manifest) -> None:
    """Check that the notes of `sample` are there, and no part besides those of the manifest."""
    missing = missing_note(str(folder.parent), manifest.stage)
    if missing:
        raise SchemaError(
            f"expected {missing}, which tells that the shards are whole, found none: copy the "
            "folder whole, or sample again (--overwrite)"
        )
    strays = {path.name for path in table_parts(folder)} - {each.name for each in manifest.files}
    if strays:
        raise SchemaError(
            f"expected the parts that `linkbert sample` wrote, found {min(strays)} beside them in "
            f"{folder}: move it elsewhere"
        )


def refuse_remote(folder: Path) -> None:
    """Refuse object stores: training reads shards from a local disk.

    Raises:
        SchemaError: the path is a gs:// or s3:// one.
    """
    text = str(folder)
    for scheme, command in (("gs:", "gcloud storage cp -r"), ("s3:", "aws s3 cp --recursive")):
        if text.startswith(scheme):
            source = text.replace(":/", "://", 1) if "://" not in text else text
            raise SchemaError(
                f"expected shards on a local disk, found {source}: copy them first with "
                f"`{command} {source} .`"
            )


class InstanceReader:
    """Read any stretch of the training order; the last row groups read are kept.

    Args:
        split: what to read; it must hold instances.
        seed: of the order of the passes after the first.
    """

    def __init__(self, split: Split, seed: int) -> None:
        self._split, self._seed = split, seed
        self._num_epochs = max(1, int(split.manifest.extra.get("num_epochs", 1)))
        self._cached: tuple[tuple[int, int], pa.Table] | None = None
        self._order: tuple[int, PassOrder] | None = None
        self._unread = {entry.name: entry for entry in split.manifest.files}

    def read(self, start: int, stop: int, heed: Callable[[], None] = lambda: None) -> pa.Table:
        """Return the instances at places [start, stop) of the training order, with `mask_pass`.

        What `heed` raises, asked before each stretch of a window, ends it.
        """
        pieces = []
        while start < stop:
            heed()
            number, place = divmod(start, self._split.num_instances)
            piece = self._read_in_pass(number, place, stop - start)
            pieces.append(piece)
            start += piece.num_rows
        return pa.concat_tables(pieces).combine_chunks()

    def _read_in_pass(self, number: int, place: int, limit: int) -> pa.Table:
        if self._order is None or self._order[0] != number:
            self._order = number, PassOrder(self._split.row_groups, self._seed, number)
        window, offset = self._order[1].locate(place)
        return self._window(number, window).slice(offset, limit)

    def _window(self, number: int, window: int) -> pa.Table:
        if self._cached is None or self._cached[0] != (number, window):
            assert self._order is not None
            order = self._order[1]
            for group in order.windows[window]:
                self._verify(group.path)
            tables = [_read_row_group(group) for group in order.windows[window]]
            table = pa.concat_tables(tables).combine_chunks()
            rows = order.rows(window)
            table = table if rows is None else table.take(pa.array(rows))
            passes = table.column("epoch").to_numpy() + number * self._num_epochs
            self._cached = (number, window), table.append_column(MASK_PASS, pa.array(passes))
        return self._cached[1]

    def _verify(self, path: Path) -> None:
        """Compare a part with its digest before its first rows are read: a CPU second per GB.

        Raises:
            SchemaError: it has other bytes than those that `sample` wrote.
        """
        entry = self._unread.pop(path.name, None)
        if entry is not None and sha256_of(path) != entry.sha256:
            raise SchemaError(
                f"expected the part that `linkbert sample` wrote, found a damaged one in {path} "
                "(other bytes): copy the folder whole, or sample again (--overwrite)"
            )


class PassOrder:
    """The order of one pass: windows of row groups, and the order of the rows in each.

    >>> groups = [RowGroup(Path("part"), index, 2) for index in range(3)]
    >>> [group.index for window in PassOrder(groups, 0, 0).windows for group in window]
    [0, 1, 2]
    """

    def __init__(
        self,
        row_groups: tuple[RowGroup, ...] | list[RowGroup],
        seed: int,
        number: int,
        window_rows: int = WINDOW_ROWS,
    ) -> None:
        self._key = counter_key(seed, "pass", number)
        self._is_stored_order = number == 0
        order = range(len(row_groups)) if number == 0 else _permutation(self._key, len(row_groups))
        ordered = [row_groups[index] for index in order]
        # In stored order nothing is gained by more than one row group at a time.
        self.windows = _windows(ordered, 1 if number == 0 else window_rows)
        sizes = [sum(group.num_rows for group in window) for window in self.windows]
        self._starts = np.cumsum([0, *sizes])

    def locate(self, place: int) -> tuple[int, int]:
        """Return the window of a place in the pass, and the offset in it."""
        window = int(np.searchsorted(self._starts, place, side="right")) - 1
        return window, place - int(self._starts[window])

    def rows(self, window: int) -> Int64Array | None:
        """Return the order of the rows of a window, None for the stored one."""
        if self._is_stored_order:
            return None
        num_rows = int(self._starts[window + 1] - self._starts[window])
        return _permutation(counter_bits(self._key, window), num_rows)


def _permutation(key: np.uint64 | npt.NDArray[np.uint64], size: int) -> Int64Array:
    return np.argsort(counter_bits(key, np.arange(size)), kind="stable")


def _windows(row_groups: list[RowGroup], window_rows: int) -> list[list[RowGroup]]:
    windows: list[list[RowGroup]] = []
    room = 0
    for group in row_groups:
        if room <= 0:
            windows.append([])
            room = window_rows
        windows[-1].append(group)
        room -= group.num_rows
    return windows


def _read_row_group(group: RowGroup) -> pa.Table:
    with _opened(group.path) as file:
        table = file.read_row_group(group.index, columns=COLUMNS, use_threads=False)
    return table.replace_schema_metadata(None)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a part for reading.

    Raises:
        SchemaError: it is cut off or damaged, which may show only when its rows are read.
    """
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            yield file
    except MemoryError:  # Arrow's too: the file is not to blame
        raise
    except (pa.ArrowException, OSError) as error:
        raise SchemaError(
            f"expected a Parquet file, found a damaged one in {path} "
            f"({str(error).splitlines()[0]}): copy it again, or sample again (--overwrite)"
        ) from error
