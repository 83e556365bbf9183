"""From instances to the batches of an optimizer step: shared out, laid end to end, masked.

In: a stretch of the training order. Out: the micro-batches of one rank as
`linkbert.model.network.Batch`. The global batch is a stretch of instances, the same for any number
of ranks and any micro-batch size. It is sorted by length and dealt to the ranks like cards, so that
ranks have equal work and a micro-batch holds sequences of like length, which keeps the attention
grid full.

Every rank decodes the whole global batch, because the rows that are its own lie among the others in
the same row groups; it masks and lays out its own alone. The next step's batches are prepared in a
thread while this one is computed. The thread holds no state: what it prepared is a function of the
step.
"""

# Arrays carry their shapes in capitals, as in `linkbert.model.network`.
# ruff: noqa: N815

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from linkbert.loader.dataset import MASK_PASS, InstanceReader
from linkbert.loader.masking import (
    InstanceKeys,
    Int32Array,
    Int64Array,
    MaskingRule,
    Masks,
    SegmentKeys,
    draw_masks,
    segment_keys,
)
from linkbert.model.network import Batch
from schemas.tables.instances import RELATIONS


@dataclass(frozen=True, slots=True)
class StepBatch:
    """What one rank computes in one optimizer step."""

    micro_batches: list[Batch]
    num_masked: int  # of this rank
    # Of the whole global batch.
    num_instances: int
    num_tokens: int
    relation_counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of every global batch a rank computes."""

    rank: int
    num_ranks: int
    micro_batch_size: int


_BLOCK = 256
"""Sequences masked at once, whatever the micro-batch size: fewer pay for numpy's calls, many more
for caches."""


class AbandonedError(Exception):
    """A wish to stop came while a batch was made; a large one takes minutes."""


Heed = Callable[[], None]
"""Asked again and again while a batch is made; it raises where that shall end."""


def _heed_nothing() -> None:
    pass


class BatchMaker:
    """Make the batches of any step from the reader of a split.

    Args:
        reader: of the split.
        rule: of the masks.
        token_dtype: of the stored ids, as numpy spells it.
        share: what part of each global batch to make.
        is_pinned: whether tensors lie in memory that a GPU can read by itself.
    """

    def __init__(
        self,
        reader: InstanceReader,
        rule: MaskingRule,
        token_dtype: str,
        share: Share,
        is_pinned: bool = False,
    ) -> None:
        self._reader, self._rule, self._share = reader, rule, share
        self._token_dtype, self._is_pinned = np.dtype(token_dtype), is_pinned

    def make(self, start: int, stop: int, heed: Heed = _heed_nothing) -> StepBatch:
        """Make this rank's part of the global batch [start, stop) of the training order."""
        table = self._reader.read(start, stop, heed)
        lengths = table.column("num_tokens").to_numpy()
        groups = share_out(lengths, self._share)
        rows = table.take(pa.array(np.concatenate([np.empty(0, np.int64), *groups])))
        sizes = [len(group) for group in groups]
        micro_batches = to_batches(rows, sizes, self._rule, self._token_dtype, heed)
        if self._is_pinned:  # From there a GPU copies while it computes.
            micro_batches = [batch.pinned() for batch in micro_batches]
        relations = np.bincount(table.column("relation").to_numpy(), minlength=len(RELATIONS))
        return StepBatch(
            micro_batches=micro_batches,
            num_masked=sum(len(batch.labels_M) for batch in micro_batches),
            num_instances=stop - start,
            num_tokens=int(lengths.sum()),
            relation_counts=tuple(int(count) for count in relations),
        )

    def stream(
        self,
        start: int,
        batch_size: int,
        num_steps: int,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[StepBatch]:
        """Yield the batches of consecutive steps, each made while the one before is used.

        Args:
            start: place in the training order.
            batch_size: sequences of a step.
            num_steps: batches to yield.
            is_stopped: whether to yield no more, and to leave a batch half made.
        """

        def heed() -> None:
            if is_stopped():
                raise AbandonedError

        bounds = range(start, start + num_steps * batch_size, batch_size)
        with ThreadPoolExecutor(1) as pool:
            pending = None
            for first in bounds:
                current = pending or pool.submit(self.make, first, first + batch_size, heed)
                following = first + batch_size
                if following in bounds:
                    pending = pool.submit(self.make, following, following + batch_size, heed)
                try:
                    batch = current.result()
                except AbandonedError:
                    return
                yield batch


def share_out(lengths: Int32Array, share: Share) -> list[Int64Array]:
    """Return the rows of each micro-batch of a rank, longest sequences first.

    >>> [rows.tolist() for rows in share_out(np.array([5, 9, 7, 8], np.int32), Share(0, 2, 1))]
    [[1], [2]]
    """
    order = np.argsort(-lengths.astype(np.int64), kind="stable")
    rows = order[share.rank :: share.num_ranks]
    return [
        rows[first : first + share.micro_batch_size]
        for first in range(0, len(rows), share.micro_batch_size)
    ]


def to_batch(
    table: pa.Table, rule: MaskingRule, token_dtype: np.dtype[np.unsignedinteger]
) -> Batch:
    """Lay the instances of a table end to end and mask them."""
    return to_batches(table, [table.num_rows], rule, token_dtype)[0]


def to_batches(
    table: pa.Table,
    sizes: list[int],
    rule: MaskingRule,
    token_dtype: np.dtype[np.unsignedinteger],
    heed: Heed = _heed_nothing,
) -> list[Batch]:
    """Lay the instances of a table end to end, mask them, and cut them into batches of `sizes`."""
    columns = {
        name: table.column(name).to_numpy() for name in table.column_names if name != "token_ids"
    }
    keys = segment_keys(rule, _keys(columns))
    token_ids = table.column("token_ids").combine_chunks()
    bounds = np.cumsum([0, *sizes])
    batches: list[Batch] = []
    num_groups = max(1, _BLOCK // max(sizes, default=1))
    for first in range(0, len(sizes), num_groups):
        heed()
        bounds_G = bounds[first : first + num_groups + 1]
        rows = slice(int(bounds_G[0]), int(bounds_G[-1]))
        block = _Block(
            token_ids_N=_flat_ids(token_ids[rows], token_dtype),
            lengths_B=columns["num_tokens"][rows],
            num_a_B=columns["num_tokens_a"][rows],
            relations_B=columns["relation"][rows].astype(np.int64),
            keys=SegmentKeys(*(keys_B[rows] for keys_B in keys)),
        )
        batches += block.masked(rule, bounds_G - bounds_G[0])
    return batches


class _Block(NamedTuple):
    """Instances end to end, few enough to stay in a processor's cache."""

    token_ids_N: Int32Array
    lengths_B: Int32Array
    num_a_B: Int32Array
    relations_B: Int64Array
    keys: SegmentKeys

    def masked(self, rule: MaskingRule, bounds_G: Int64Array) -> list[Batch]:
        """Mask the tokens in place, and cut at rows `bounds_G`."""
        lengths_B, num_a_B, token_ids_N = self.lengths_B, self.num_a_B, self.token_ids_N
        bounds_B = np.concatenate([[0], np.cumsum(lengths_B, dtype=np.int64)])
        spans_B = num_a_B, lengths_B - num_a_B - rule.frame.num_special
        masks = draw_masks(rule, self.keys, bounds_B[:-1], spans_B, token_ids_N)
        labels_M = token_ids_N.take(masks.positions_M)
        stays_M = masks.replacements_M < 0
        token_ids_N[masks.positions_M] = np.where(stays_M, labels_M, masks.replacements_M)
        num_before_b_B = (
            num_a_B + rule.frame.num_before_b if rule.frame.has_token_types else lengths_B
        )
        position_ids_N, token_types_N = _places(lengths_B, bounds_B[:-1], num_before_b_B)
        cuts = _cut_masks(masks, labels_M.astype(np.int64), bounds_B[bounds_G])
        return [
            Batch(
                token_ids_N=torch.from_numpy(token_ids_N[tokens]),
                position_ids_N=torch.from_numpy(position_ids_N[tokens]),
                token_types_N=torch.from_numpy(token_types_N[tokens]),
                lengths_B=torch.from_numpy(lengths_B[rows].astype(np.int32)),
                masked_positions_M=torch.from_numpy(positions_M),
                labels_M=torch.from_numpy(cut_labels_M),
                relations_B=torch.from_numpy(self.relations_B[rows]),
                max_length=int(lengths_B[rows].max(initial=0)),
            )
            for rows, tokens, (positions_M, cut_labels_M) in zip(
                _slices(bounds_G), _slices(bounds_B[bounds_G]), cuts, strict=True
            )
        ]


def _slices(bounds: Int64Array) -> list[slice]:
    return [slice(first, last) for first, last in pairwise(bounds.tolist())]


def _cut_masks(
    masks: Masks, labels_M: Int64Array, bounds: Int64Array
) -> Iterator[tuple[Int64Array, Int64Array]]:
    """Yield the masked positions between two bounds each, from the first, and their labels."""
    # Positions ascend among A's and among B's.
    of_a, of_b = slice(0, masks.num_in_a), slice(masks.num_in_a, None)
    cuts_a = _slices(np.searchsorted(masks.positions_M[of_a], bounds))
    cuts_b = _slices(masks.num_in_a + np.searchsorted(masks.positions_M[of_b], bounds))
    for start, *parts in zip(bounds[:-1], cuts_a, cuts_b, strict=True):
        positions_M = np.concatenate([masks.positions_M[part] for part in parts])
        positions_M -= start
        yield positions_M, np.concatenate([labels_M[part] for part in parts])


def _flat_ids(values: pa.Array, token_dtype: np.dtype[np.unsignedinteger]) -> Int32Array:
    """Return the ids of all rows end to end, from the bytes of the column without a Python loop."""
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
    ids = np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]].view(token_dtype)
    return ids.astype(np.int32)


def _places(
    lengths_B: Int32Array, starts_B: Int64Array, num_before_b_B: Int32Array
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8]]:
    """Return position_ids_N and token_types_N, narrow: their memory is most of their cost."""
    # Places among all tokens may wrap around; their differences within a sequence do not.
    position_ids_N = np.arange(int(lengths_B.sum()), dtype=np.int32).astype(np.int16)
    position_ids_N -= np.repeat(starts_B.astype(np.int16), lengths_B)
    # One run of 0 and one of 1 per sequence; where a model has no token types the first is all.
    runs_B2 = np.stack([num_before_b_B, lengths_B - num_before_b_B], axis=1)
    types_B2 = np.broadcast_to(np.array([0, 1], np.uint8), runs_B2.shape)
    return position_ids_N, np.repeat(types_B2.ravel(), runs_B2.ravel())


def _keys(columns: dict[str, Int32Array]) -> InstanceKeys:
    return InstanceKeys(
        mask_passes_B=columns[MASK_PASS].astype(np.int64),
        corpora_B=columns["corpus"],
        source_ids_B=columns["source_id"],
        source_segments_B=columns["source_segment"],
        target_ids_B=columns["target_id"],
        target_segments_B=columns["target_segment"],
    )
