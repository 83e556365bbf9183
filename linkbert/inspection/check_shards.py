"""Check finished shards row by row by the rules of LinkBERT (arXiv:2203.15827), section 4.2.

In: the instances of all splits and, if it is still in its place, the corpus. Without the corpus
this checks ids in stored order, the frame of a pair, lengths, what makes a pair contiguous or not,
that each segment is A once per epoch, the counts of the manifest, and that training saw no held-out
document. With the corpus also the tokens of A and B, that a linked pair has its link, and that the
documents of a random pair are not linked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from linkbert.inspection.corpus_facts import CorpusFacts, keys_of
from pipeline.engine.outputs import read_batches
from schemas.errors import SchemaError
from schemas.manifest import Manifest
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
        splits: its folders of instances, such as SHARDS/train, with undamaged files.
    """
    seen: dict[Path, Columns] = {}
    for folder, manifest in splits.items():
        corpora = [CorpusFacts.open(folder.parent / of["path"]) for of in _corpora_of(manifest)]
        yield from _split_problems(folder, manifest, corpora, seen)
    yield from _held_out_problems(seen)


def _corpora_of(manifest: Manifest) -> list[dict[str, Any]]:
    return list(manifest.extra.get("corpora", []))


def _split_problems(
    folder: Path,
    manifest: Manifest,
    corpora: list[CorpusFacts | None],
    seen: dict[Path, Columns],
) -> Iterator[str]:
    """Check one split; put the documents and segments of its rows into `seen`."""
    kept: list[Columns] = []
    first_id = 0
    for part in table_parts(folder):
        for batch in read_batches(str(part), batch_rows=_BATCH_ROWS):
            columns = {name: batch.column(name).to_numpy() for name in _NUMBERS}
            problem = _batch_problem(
                batch, columns, first_id, part, manifest=manifest, corpora=corpora
            )
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
    *,
    manifest: Manifest,
    corpora: list[CorpusFacts | None],
) -> str | None:
    """Return the first problem with some rows of a part."""
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
    """Tell which rows have the frame's ids only where they belong, and no unknown ids."""
    flat = np.frombuffer(b"".join(batch.column("token_ids").to_pylist()), extra["token_dtype"])
    sizes = columns["num_tokens"].astype(np.int64)
    if sizes.sum() != len(flat):
        raise SchemaError(f"expected {sizes.sum():,} tokens in a batch, found {len(flat):,}")
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
    corpora: list[CorpusFacts | None],
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
        yield f"expected {expected} instances per epoch, found {per_epoch} in {folder}"


def _once_problems(
    folder: Path, manifest: Manifest, rows: Columns, corpora: list[CorpusFacts | None]
) -> Iterator[str]:
    """Check that each segment of the split's documents is A exactly once per epoch."""
    dropped = sum(manifest.drops.values())
    missing = 0
    for epoch in range(manifest.extra["num_epochs"]):
        for number, corpus in enumerate(corpora):
            here = (rows["epoch"] == epoch) & (rows["corpus"] == number)
            keys = keys_of(rows["source_id"][here], rows["source_segment"][here])
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
        (folder, side): np.unique(keys_of(rows["corpus"], rows[side]))
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
