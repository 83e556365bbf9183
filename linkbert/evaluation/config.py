"""The options of `evaluate`."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.errors import ConfigError

SPLITS = ("validation", "validation_closed")
"""Held-out pairs of which only A is unseen in training, and those of which both articles are."""

REPORTED_MEASURES = (
    "gain", "alone_minus_linked", "alone_minus_random", "alone_minus_contiguous",
    "alone_minus_linked_in_b", "gain_in_b", "gain_not_in_b", "gain_focus",
    "alone_minus_linked_focus", "nll_linked", "nll_contiguous", "nll_alone",
)  # fmt: skip
"""The measures that tables for a person show, in their order."""


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """How much is evaluated, and how.

    Attributes:
        seed: of masks, random partners and resampling.
        passes: masks drawn of each held-out segment.
        max_pairs: held-out pairs, or instances, of each split at most.
        num_resamples: replicates behind an interval.
        batch_size: instances computed at once.
        train_pairs: linked pairs that ranking is fine-tuned on.
        precision: number format to compute in; that of training makes evaluation as fast.
        splits: held-out splits to evaluate; none named means every one that has instances.
    """

    seed: int = 0
    passes: int = field(default=4, metadata={"help": "masks of each segment"})
    max_pairs: int = field(default=5000, metadata={"help": "of each split at most"})
    num_resamples: int = field(default=2000, metadata={"help": "replicates of an interval"})
    batch_size: int = 64
    train_pairs: int = field(default=2000, metadata={"help": "for ranking's fine-tuning"})
    precision: str = field(
        default="fp32",
        metadata={"help": "number format to compute in", "choices": ("fp32", "bf16", "fp16")},
    )
    splits: tuple[str, ...] = field(
        default=(),
        metadata={"help": "held-out splits; else all that have instances", "choices": SPLITS},
    )

    def __post_init__(self) -> None:
        for name in ("passes", "max_pairs", "num_resamples", "batch_size", "train_pairs"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"expected {name} of at least 1, found {getattr(self, name)}: change it"
                )
        for split in self.splits:
            if split not in SPLITS:
                raise ConfigError(
                    f"expected splits out of {', '.join(SPLITS)}, found {split!r}: change it"
                )
