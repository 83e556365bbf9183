"""The options of `evaluate`."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.errors import ConfigError
from schemas.tables.instances import HELD_OUT_SPLITS

REPORTED_MEASURES = (
    "gain", "alone_minus_linked", "alone_minus_random", "alone_minus_contiguous",
    "alone_minus_linked_in_b", "gain_in_b", "gain_not_in_b", "gain_focus",
    "alone_minus_linked_focus", "nll_linked", "nll_contiguous", "nll_alone",
)  # fmt: skip
"""The measures that tables for a person show, in their order."""


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """How much is evaluated, and how."""

    seed: int = 0  # of masks, random partners and resampling
    passes: int = field(default=4, metadata={"help": "masks drawn for each held-out segment"})
    max_pairs: int = field(
        default=5000, metadata={"help": "pairs or instances of each split, at most"}
    )
    num_resamples: int = field(default=2000, metadata={"help": "replicates behind an interval"})
    batch_size: int = 64  # instances computed at once
    train_pairs: int = field(
        default=2000, metadata={"help": "linked pairs to fine-tune on before ranking"}
    )
    precision: str = field(
        default="fp32",
        metadata={"help": "number format to compute in", "choices": ("fp32", "bf16", "fp16")},
    )
    splits: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "held-out splits; else all that have instances",
            "choices": HELD_OUT_SPLITS,
        },
    )

    def __post_init__(self) -> None:
        for name in ("passes", "max_pairs", "num_resamples", "batch_size", "train_pairs"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"expected {name} of at least 1, found {getattr(self, name)}: raise it"
                )
        unknown = set(self.splits) - set(HELD_OUT_SPLITS)
        if unknown:
            raise ConfigError(
                f"expected splits to be among {', '.join(HELD_OUT_SPLITS)}, found "
                f"{min(unknown)!r}: correct it"
            )
