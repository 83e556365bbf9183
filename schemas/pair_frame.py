"""How a pair is laid out: the special tokens before A, between A and B, and after B.

    BERT, ELECTRA, DeBERTa, ModernBERT   [CLS] A [SEP] B [SEP]
    RoBERTa, XLM-R, CamemBERT            <s> A </s></s> B </s>

The tokenizer decides. Its manifest says so under `pair_frame`, and segments and shards pass it on.
A folder whose manifest has no such key holds BERT's frame, made of its `special_ids`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from schemas.errors import SchemaError

FRAME_KEY = "pair_frame"
"""Where the `extra` of a manifest holds the frame."""

NUM_SPECIAL_OF_BERT = 3
"""`PairFrame.num_special` of BERT, for what is settled before there is a tokenizer."""


@dataclass(frozen=True, slots=True)
class PairFrame:
    """The layout of a pair, in token ids.

    Attributes:
        before: ids before A. The first one is where the relation of A and B is read.
        between: ids between A and B.
        after: ids after B.
        has_token_types: whether B and what follows it have token type 1, all before it 0. Without
            types every position has 0.
        pad_id: fills a batch; never attended to.
        mask_id: stands for a token to be predicted.
        unk_id: stands for what the vocabulary lacks; None where it lacks nothing.
        special_ids: every id that no text gives, ascending. They are never masked, nor put in
            place of a masked token.
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    has_token_types: bool
    pad_id: int
    mask_id: int
    unk_id: int | None
    special_ids: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.before:
            raise SchemaError(
                "expected a special token before segment A, where the relation is read, found none:"
                " take another tokenizer"
            )

    @staticmethod
    def of_bert(ids: dict[str, int]) -> PairFrame:
        """Return `[CLS] A [SEP] B [SEP]`.

        Args:
            ids: those of pad, unk, cls, sep and mask.

        >>> frame = PairFrame.of_bert({"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4})
        >>> frame.wrap([7, 8], [9]), frame.num_before_b, frame.num_special
        ([2, 7, 8, 3, 9, 3], 2, 3)
        """
        return PairFrame(
            before=(ids["cls"],),
            between=(ids["sep"],),
            after=(ids["sep"],),
            has_token_types=True,
            pad_id=ids["pad"],
            mask_id=ids["mask"],
            unk_id=ids["unk"],
            special_ids=tuple(sorted(set(ids.values()))),
        )

    @staticmethod
    def from_facts(facts: dict[str, Any]) -> PairFrame:
        """Return the frame that the `extra` of a manifest describes.

        >>> frame = PairFrame((0,), (2, 2), (2,), False, 1, 4, 3, (0, 1, 2, 3, 4))
        >>> PairFrame.from_facts(frame.to_facts()) == frame
        True
        """
        if FRAME_KEY not in facts:
            return PairFrame.of_bert(facts["special_ids"])
        frame: dict[str, Any] = facts[FRAME_KEY]
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in frame.items()
        }
        return PairFrame(**values)

    def to_facts(self) -> dict[str, Any]:
        """Return what the `extra` of a manifest says: `pair_frame`, and `special_ids` by role."""
        frame = {
            "before": list(self.before),
            "between": list(self.between),
            "after": list(self.after),
            "has_token_types": self.has_token_types,
            "pad_id": self.pad_id,
            "mask_id": self.mask_id,
            "unk_id": self.unk_id,
            "special_ids": list(self.special_ids),
        }
        return {FRAME_KEY: frame, "special_ids": self.roles()}

    def roles(self) -> dict[str, int]:
        """Return the ids of pad, unk, cls, sep and mask by these names; unk may be absent."""
        found = {"pad": self.pad_id, "cls": self.cls_id, "sep": self.sep_id, "mask": self.mask_id}
        return found if self.unk_id is None else found | {"unk": self.unk_id}

    @property
    def cls_id(self) -> int:
        """Return the id of the first token."""
        return self.before[0]

    @property
    def sep_id(self) -> int:
        """Return the id of the last special token of a pair, which ends B."""
        return (*self.before, *self.between, *self.after)[-1]

    @property
    def num_special(self) -> int:
        """Return how many tokens a pair has besides those of A and B."""
        return len(self.before) + len(self.between) + len(self.after)

    @property
    def num_before_b(self) -> int:
        """Return how many of them stand before B: with the number of A's tokens, B's position."""
        return len(self.before) + len(self.between)

    def wrap(self, ids_a: Iterable[Any], ids_b: Iterable[Any]) -> list[Any]:
        """Return the ids of a pair, or what stands for those of A and B, within the frame."""
        return [*self.before, *ids_a, *self.between, *ids_b, *self.after]
