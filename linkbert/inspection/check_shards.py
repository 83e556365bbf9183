"""Prove finished shards row by row: the rules of LinkBERT (arXiv:2203.15827), section 4.2.

In: the instances of all splits and, where it still lies beside them, the corpus. Checked without
the corpus: ids in stored order, the frame of a pair, lengths, what contiguous and
other pairs are, each segment A once an epoch, the counts of the manifest, and that training saw no
held-out document. With it: the tokens of A and B, the link of a linked pair, no link in a random.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import SchemaError
from schemas.manifest import MANIFEST_NAME, Manifest, read_manifest
from schemas.pair_frame import PairFrame
from schemas.parquet import table_parts
from schemas.tables.instances import CONTIGUOUS, LINKED, RANDOM, RELATIONS

Array = npt.NDArray[Any]
Columns = dict[str, Array]

_NUMBERS = (
    "instance_id", "epoch", "corpus", "num_tokens", "num_tokens_a", "relation",
    "source_id", "source_segment", "target_id", "target_segment",
)  # fmt: skip
_BATCH_ROWS = 8192


def shard_problems(splits: dict[Path, Manifest]) -> Iterator[str]:
    """Yield what is wrong with the instances of one shards folder.

    Args:
        splits: its folders of instances, such as SHARDS/train, whose files are whole.
    """
    seen: dict[Path, Columns] = {}
    for folder, manifest in splits.items():
        corpora = [_CorpusFacts.open(folder.parent / of["path"]) for of in _corpora_of(manifest)]
        yield from _split_problems(folder, manifest, corpora, seen)
    yield from _held_out_problems(seen)


def _corpora_of(manifest: Manifest) -> list[dict[str, Any]]:
    return list(manifest.extra.get("corpora", []))


def _split_problems(
    folder: Path,
    manifest: Manifest,
    corpora: list[_CorpusFacts | None],
    seen: dict[Path, Columns],
) -> Iterator[str]:
    """Check one split; leave the documents and segments of its rows in `seen`."""
    kept: list[Columns] = []
    first_id = 0
    for part in table_parts(folder):
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
                columns = {name: batch.column(name).to_numpy() for name in _NUMBERS}
                problem = _batch_problem(batch, columns, first_id, part, manifest, corpora)
                if problem:
                    yield f"{problem} in {part}"
                    return
                first_id += len(batch)
                kept.append(columns)
    names = ("epoch", "corpus", "relation", "source_id", "source_segment", "target_id")
    rows = {
        name: np.concatenate([np.zeros(0, np.int32), *(of[name] for of in kept)]) for name in names
    }
    seen[folder] = rows
    yield from _count_problems(folder, manifest, rows)
    yield from _once_problems(folder, manifest, rows, corpora)


def _batch_problem(
    batch: pa.RecordBatch,
    columns: Columns,
    first_id: int,
    part: Path,
    manifest: Manifest,
    corpora: list[_CorpusFacts | None],
) -> str | None:
    """Return the first thing wrong with some rows of a part."""
    extra = manifest.extra
    relation, is_same = columns["relation"], columns["source_id"] == columns["target_id"]
    is_next = is_same & (columns["target_segment"] == columns["source_segment"] + 1)
    epoch = int(part.stem.split("-")[1]) if part.stem.count("-") == 2 else None
    rules = (
        ("ids in stored order", columns["instance_id"] == np.arange(len(batch)) + first_id),
        ("the epoch of the file's name", (columns["epoch"] == epoch) | (epoch is None)),
        ("a corpus of the manifest", columns["corpus"] < len(corpora)),
        (f"a relation below {len(RELATIONS)}", (relation >= 0) & (relation < len(RELATIONS))),
        ("at least one token of A and of B", _has_both(columns, extra)),
        (f"at most {extra['max_length']} tokens", columns["num_tokens"] <= extra["max_length"]),
        ("the next segment in a contiguous pair", (relation != CONTIGUOUS) | is_next),
        ("another document in a random or linked pair", (relation == CONTIGUOUS) | ~is_same),
    )
    for expected, holds in rules:
        if not holds.all():
            return f"expected {expected}, found another at row {_first(~holds, first_id)}"
    framed = _is_framed(batch, columns, extra)
    if not framed.all():
        layout = " ".join(map(str, PairFrame.from_facts(extra).wrap("A", "B")))
        return (
            f"expected ids below {extra['vocab_size']} in the layout {layout}, found others at "
            f"row {_first(~framed, first_id)}"
        )
    return _corpus_problem(batch, columns, first_id, manifest, corpora)


def _has_both(columns: Columns, extra: dict[str, Any]) -> Array:
    size_a, num_special = columns["num_tokens_a"], PairFrame.from_facts(extra).num_special
    return np.asarray((size_a >= 1) & (size_a < columns["num_tokens"] - num_special), np.bool_)


def _first(is_wrong: Array, first_id: int) -> int:
    return first_id + int(np.flatnonzero(is_wrong)[0])


def _is_framed(batch: pa.RecordBatch, columns: Columns, extra: dict[str, Any]) -> Array:
    """Tell which rows have the frame's ids where they belong and nowhere else, and known ids."""
    flat = np.frombuffer(b"".join(batch.column("token_ids").to_pylist()), extra["token_dtype"])
    sizes = columns["num_tokens"].astype(np.int64)
    assert sizes.sum() == len(flat), "the sizes were checked before"
    starts = np.cumsum(sizes) - sizes
    frame = PairFrame.from_facts(extra)
    is_framed = np.ones(len(sizes), np.bool_)
    places = (
        (frame.before, starts),
        (frame.between, starts + len(frame.before) + columns["num_tokens_a"]),
        (frame.after, starts + sizes - len(frame.after)),
    )
    for special, place in places:
        for offset, token_id in enumerate(special):
            is_framed &= flat[place + offset] == token_id
    if len(sizes):
        for token_id, count in Counter(frame.wrap((), ())).items():
            is_framed &= np.add.reduceat(flat == token_id, starts, dtype=np.int64) == count
        is_framed &= np.maximum.reduceat(flat, starts) < extra["vocab_size"]
    return is_framed


def _corpus_problem(
    batch: pa.RecordBatch,
    columns: Columns,
    first_id: int,
    manifest: Manifest,
    corpora: list[_CorpusFacts | None],
) -> str | None:
    token_ids = batch.column("token_ids")
    width = np.dtype(manifest.extra["token_dtype"]).itemsize
    frame = PairFrame.from_facts(manifest.extra)
    first_a, end_b = width * len(frame.before), -width * len(frame.after) or None
    scope = manifest.config.get("link_scope")
    lists = {name: columns[name].tolist() for name in _NUMBERS}
    for row, number in enumerate(lists["corpus"]):
        corpus = corpora[number]
        if corpus is None:
            continue
        relation = lists["relation"][row]
        a = lists["source_id"][row], lists["source_segment"][row]
        b = lists["target_id"][row], lists["target_segment"][row]
        end_a = first_a + width * lists["num_tokens_a"][row]
        first_b = end_a + width * len(frame.between)
        data = token_ids[row].as_py()
        where = f"at row {first_id + row}"
        if corpus.tokens(*a) != data[first_a:end_a] or corpus.tokens(*b) != data[first_b:end_b]:
            return f"expected the tokens of segments {a} and {b}, found others {where}"
        is_linked = corpus.has_edge(a[0], b[0])
        links = _corpora_of(manifest)[number]["links"]
        is_unlinked = relation == RANDOM or (relation == LINKED and links == "random")
        if is_unlinked and (is_linked or corpus.has_edge(b[0], a[0])):
            return f"expected no link between documents {a[0]} and {b[0]}, found one {where}"
        if relation == LINKED and links == "hyperlink":
            if scope == "segment":
                is_linked = b[0] in corpus.targets(*a)
            if not is_linked:
                return f"expected a link from segment {a} to document {b[0]}, found none {where}"
    return None


def _count_problems(folder: Path, manifest: Manifest, rows: Columns) -> Iterator[str]:
    counts = np.bincount(rows["relation"], minlength=len(RELATIONS)).tolist()
    found = dict(zip(RELATIONS, counts, strict=True))
    if found != manifest.extra["relations"]:
        yield f"expected relations {manifest.extra['relations']}, found {found} in {folder}"
    per_epoch = np.bincount(rows["epoch"], minlength=manifest.extra["num_epochs"]).tolist()
    if per_epoch != manifest.extra["instances_per_epoch"]:
        expected = manifest.extra["instances_per_epoch"]
        yield f"expected {expected} instances an epoch, found {per_epoch} in {folder}"


def _once_problems(
    folder: Path, manifest: Manifest, rows: Columns, corpora: list[_CorpusFacts | None]
) -> Iterator[str]:
    """Check that each segment of the split's documents is A exactly once an epoch."""
    dropped = sum(manifest.drops.values())
    missing = 0
    for epoch in range(manifest.extra["num_epochs"]):
        for number, corpus in enumerate(corpora):
            here = (rows["epoch"] == epoch) & (rows["corpus"] == number)
            keys = _keys(rows["source_id"][here], rows["source_segment"][here])
            if len(np.unique(keys)) != len(keys):
                yield f"expected each segment to be A once, found one twice in {folder}"
                return
            if corpus is not None:
                documents = np.unique(rows["source_id"][here])
                missing += int(corpus.num_segments(documents).sum()) - len(keys)
    if missing > dropped:
        yield (
            f"expected all segments of the documents to be A but for {dropped} dropped ones, "
            f"found {missing} missing in {folder}"
        )


def _held_out_problems(seen: dict[Path, Columns]) -> Iterator[str]:
    """Check that training has no document of A in validation, or of A or B in the closed set."""
    documents = {
        (folder, side): np.unique(_keys(rows["corpus"], rows[side]))
        for folder, rows in seen.items()
        for side in ("source_id", "target_id")
    }
    trained = [found for (folder, _), found in documents.items() if folder.name == "train"]
    for (folder, side), found in documents.items():
        is_open_target = folder.name == "validation" and side == "target_id"
        if folder.name == "train" or is_open_target:
            continue
        for both in (np.intersect1d(found, those) for those in trained):
            if len(both):
                yield (
                    f"expected no document of {folder.name} in training, found {len(both)}, "
                    f"node {both[0] & 0xFFFFFFFF} first, in {folder}"
                )
                break


def _keys(high: Array, low: Array) -> npt.NDArray[np.int64]:
    return (high.astype(np.int64) << 32) | low.astype(np.int64)


@dataclass(frozen=True, slots=True)
class _CorpusFacts:
    """What the pairs of a corpus must agree with, as arrays over segments in stored order.

    Attributes:
        keys: int64 [S], node and index of each segment, ascending.
        order: int64 [S], its row in stored order.
        starts: int64 [S + 1], where its tokens begin, all files one after the other.
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
    def open(path: Path) -> _CorpusFacts | None:
        """Open a corpus; None where it is no longer there.

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
        keys = _keys(joined["node_id"], joined["segment_index"])
        order = np.argsort(keys, kind="stable")
        dtype = read_manifest(path / "tokens").extra["token_dtype"]
        stores = [_open_ids(ids, dtype) for ids in sorted((path / "tokens").glob("*.ids"))]
        bases = np.cumsum([0, *(len(store) for store in stores)])
        if bases[-1] != joined["num_tokens"].sum():
            raise SchemaError(
                f"expected {joined['num_tokens'].sum():,} tokens, found {bases[-1]:,} in "
                f"{path}/tokens: run `linkbert segment` again with --overwrite"
            )
        return _CorpusFacts(
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
        """Return the row of a segment in stored order, -1 where there is none."""
        key = (node << 32) | index
        at = int(np.searchsorted(self.keys, key))
        return int(self.order[at]) if at < len(self.keys) and self.keys[at] == key else -1

    def tokens(self, node: int, index: int) -> bytes | None:
        """Return the ids of a segment, None where there is none."""
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
