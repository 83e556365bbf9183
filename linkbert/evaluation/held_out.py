"""The held-out segments of a shards folder, each with every kind of partner.

In: an instances table whose A are held out (`validation` or `validation_closed`). Out: for each
linked instance its A with the linked B it was paired with, a random B, and the contiguous one.

The contiguous B is the A of another row, since every held-out segment is A once. The random B comes
from the rows whose relation is random: some are drawn, and the one closest in length to the linked
B is chosen, so that differences in length cannot explain a result. Documents that are linked to A's
in this split are not used; a link that the split does not show would make the random partner better
and the measured gain smaller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from linkbert.loader.dataset import COLUMNS, InstanceReader, Split
from schemas.counter_rng import counter_bits, counter_key
from schemas.errors import SchemaError
from schemas.pair_frame import PairFrame
from schemas.tables.instances import LINKED, RANDOM

_NUM_CANDIDATES = 32

Ids = npt.NDArray[np.int32]
Document = tuple[int, int]
"""Corpus and node of a document."""


@dataclass(frozen=True, slots=True)
class HeldOutPair:
    """A held-out segment A with its partners; ids are int32, without special tokens.

    Attributes:
        corpus: index of its corpus.
        source_id: document of A.
        source_segment: number of A in its document.
        a: ids of A.
        linked: ids of a segment of a document that A links to.
        random: ids of a segment of a random document.
        contiguous: ids of the segment after A; None if A is the last one.
    """

    corpus: int
    source_id: int
    source_segment: int
    a: Ids
    linked: Ids
    random: Ids
    contiguous: Ids | None


def read_table(split: Split, max_instances: int | None = None) -> pa.Table:
    """Return the first instances of a split; without a limit, all of them."""
    stop = min(split.num_instances, max_instances or split.num_instances)
    reader = InstanceReader(split, seed=0)
    pieces = [reader.read(start, min(start + 4096, stop)) for start in range(0, stop, 4096)]
    if not pieces:
        raise SchemaError(
            f"expected held-out instances, found none in {split.folder}: sample with a larger "
            "--validation-fraction"
        )
    return pa.concat_tables(pieces).select(COLUMNS)


def held_out_pairs(
    split: Split, facts: dict[str, Any], max_pairs: int, seed: int
) -> list[HeldOutPair]:
    """Return up to `max_pairs` held-out pairs in stored order, which is random.

    Args:
        split: validation or validation_closed.
        facts: what the manifest of the shards says about ids and their frame.
        max_pairs: the maximum number of pairs.
        seed: the seed for the choice of random partners.

    Raises:
        SchemaError: the split has no linked or no random instances.
    """
    rows = Rows(read_table(split), facts)
    linked = np.flatnonzero(rows.relation == LINKED)[:max_pairs]
    pool = np.flatnonzero(rows.relation == RANDOM)
    if not len(linked) or not len(pool):
        raise SchemaError(
            f"expected linked and random instances, found {len(linked)} and {len(pool)} in "
            f"{split.folder}: sample a corpus with links, with a larger --validation-fraction"
        )
    partners = rows.partners()
    by_source = {rows.key_of_a(row): row for row in range(len(rows.relation))}
    key = counter_key(seed, "random partner")
    pairs = []
    for number, row in enumerate(linked.tolist()):
        words = counter_bits(counter_bits(key, number), np.arange(_NUM_CANDIDATES))
        candidates = pool[(words % np.uint64(len(pool))).astype(np.int64)]
        chosen = _nearest_in_length(rows, row, candidates, partners)
        if chosen is None:
            continue
        corpus, source, segment = rows.key_of_a(row)
        following = by_source.get((corpus, source, segment + 1))
        contiguous = None if following is None else rows.ids_a(following)
        pairs.append(
            HeldOutPair(
                corpus, source, segment, rows.ids_a(row), rows.ids_b(row), rows.ids_b(chosen),
                contiguous,
            )
        )  # fmt: skip
    return pairs


class Rows:
    """The columns of an instances table as arrays, and the ids of any row's A and B."""

    def __init__(self, table: pa.Table, facts: dict[str, Any]) -> None:
        self._bytes = table.column("token_ids").to_pylist()
        self._dtype, self._frame = np.dtype(facts["token_dtype"]), PairFrame.from_facts(facts)
        columns = {name: table.column(name).to_numpy() for name in COLUMNS if name != "token_ids"}
        self._columns = columns
        self.relation = columns["relation"]
        self.num_a = columns["num_tokens_a"]
        self.num_b = columns["num_tokens"] - self.num_a - self._frame.num_special

    def ids_a(self, row: int) -> Ids:
        """Return the ids of A."""
        return self._ids(row)[len(self._frame.before) :][: self.num_a[row]]

    def ids_b(self, row: int) -> Ids:
        """Return the ids of B."""
        return self._ids(row)[self._frame.num_before_b + self.num_a[row] :][: self.num_b[row]]

    def _ids(self, row: int) -> Ids:
        return np.frombuffer(self._bytes[row], self._dtype).astype(np.int32)

    def key_of_a(self, row: int) -> tuple[int, int, int]:
        """Return corpus, node and segment of A."""
        columns = self._columns
        names = ("corpus", "source_id", "source_segment")
        corpus, source, segment = (int(columns[name][row]) for name in names)
        return corpus, source, segment

    def document_of_b(self, row: int) -> Document:
        """Return corpus and node of B."""
        return int(self._columns["corpus"][row]), int(self._columns["target_id"][row])

    def partners(self) -> dict[Document, set[Document]]:
        """Return which documents the split shows linked to each, in either direction."""
        found: dict[Document, set[Document]] = {}
        for row in np.flatnonzero(self.relation == LINKED).tolist():
            source, target = self.key_of_a(row)[:2], self.document_of_b(row)
            found.setdefault(source, set()).add(target)
            found.setdefault(target, set()).add(source)
        return found


def _nearest_in_length(
    rows: Rows,
    row: int,
    candidates: npt.NDArray[np.int64],
    partners: dict[Document, set[Document]],
) -> int | None:
    own = rows.key_of_a(row)[:2]
    refused = partners.get(own, set()) | {own}
    allowed = [
        candidate
        for candidate in candidates.tolist()
        if rows.document_of_b(candidate) not in refused
        and rows.document_of_b(candidate)[0] == own[0]
    ]
    if not allowed:
        return None
    lengths = np.abs(rows.num_b[allowed] - rows.num_b[row])
    return int(allowed[int(np.argmin(lengths))])
