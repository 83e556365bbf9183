"""What fine-tuning tries: hyper-parameters, the paper's grids, seeds.

The grids are those of LinkBERT (arXiv:2203.15827), appendix B and the released scripts, which
fine-tune GLUE at length 128 and question answering at 384 with a stride of 128.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from schemas.errors import CheckpointError, ConfigError


@dataclass(frozen=True, slots=True)
class Hyper:
    """One setting of a grid."""

    learning_rate: float
    batch_size: int
    epochs: int


_QA_GRIDS: dict[str, tuple[tuple[float, ...], tuple[int, ...], tuple[int, ...]]] = {
    "tiny": ((5e-5, 1e-4, 3e-4), (16, 32, 64), (5, 10)),
    "base": ((2e-5, 3e-5), (12, 24), (2, 4)),
    "large": ((1e-5, 2e-5), (16, 32), (2, 4)),
}
_OTHER_GRIDS = {
    "tiny": _QA_GRIDS["tiny"],
    "base": ((5e-6, 1e-5, 2e-5, 3e-5, 5e-5), (16, 32, 64), (3, 5, 10)),
    "large": ((5e-6, 1e-5, 2e-5, 3e-5, 5e-5), (16, 32, 64), (3, 5, 10)),
}
_LARGE_FROM, _BASE_FROM = 1024, 768  # hidden size


_QA_LENGTH, _OTHER_LENGTH = 384, 128
GRIDS = ("none", "paper")
LABEL_KINDS = ("auto", "class", "several", "score")

IDENTITY_NAMES = (
    "fraction", "max_length", "stride", "distractors", "text_columns", "label_columns",
    "label_kind", "label_separator", "negative_label",
)  # fmt: skip
"""Options besides settings and seeds that change the result of a run."""


@dataclass(frozen=True, slots=True)
class FinetuneOptions:
    """What to try, and on how much."""

    seeds: tuple[int, ...] = field(
        default=(0,), metadata={"help": "of the new head, order and dropout; one run each"}
    )
    grid: str = field(
        default="none",
        metadata={"help": "paper: all settings the paper tried for this size", "choices": GRIDS},
    )
    learning_rate: float = field(
        default=3e-5, metadata={"help": "peak, after a tenth of the steps; then falls to 0"}
    )
    batch_size: int = field(default=16, metadata={"help": "sequences per step, over all processes"})
    epochs: int = field(default=3, metadata={"help": "passes over the training data"})
    fraction: float = field(
        default=1.0, metadata={"help": "of the training data, drawn by seed 0", "metavar": "F"}
    )
    max_length: int = field(default=128, metadata={"help": "tokens of a sequence"})
    stride: int = field(
        default=128, metadata={"help": "tokens shared by windows, at most a third of one"}
    )
    distractors: int = field(
        default=0, metadata={"help": "other articles' texts added to each held-out context"}
    )
    metric: str | None = field(
        default=None,
        metadata={"help": "score on dev that chooses the setting; else the task's first"},
    )
    strict: bool = field(
        default=False, metadata={"help": "refuse an answer that is not where its file says"}
    )
    text_columns: tuple[str, ...] = field(
        default=(), metadata={"help": "one or two: names, or positions from 1 without a header"}
    )
    label_columns: tuple[str, ...] = field(
        default=(), metadata={"help": "column of the label; several hold a 0 or 1 each"}
    )
    label_kind: str = field(
        default="auto",
        metadata={
            "help": "one class, several labels of a text, or a score", "choices": LABEL_KINDS
        },
    )  # fmt: skip
    label_separator: str | None = field(
        default=None, metadata={"help": "separates several labels in one column", "metavar": "CHAR"}
    )
    negative_label: str | None = field(
        default=None,
        metadata={"help": "class that means no finding; F1 leaves it out", "metavar": "LABEL"},
    )

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise ConfigError(f"expected a fraction above 0 and up to 1, found {self.fraction}")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ConfigError(f"expected distinct seeds, at least one, found {list(self.seeds)}")
        for name in ("batch_size", "epochs", "max_length", "stride"):
            if getattr(self, name) < 1:
                raise ConfigError(f"expected {name} of at least 1, found {getattr(self, name)}")
        if self.distractors < 0 or not 0 < self.learning_rate < math.inf:
            raise ConfigError(
                "expected distractors of at least 0 and a finite learning_rate above 0, found "
                f"{self.distractors} and {self.learning_rate}"
            )
        for name, choices in (("grid", GRIDS), ("label_kind", LABEL_KINDS)):
            found = getattr(self, name)
            if found not in choices:
                raise ConfigError(
                    f"expected {name} to be one of {', '.join(choices)}, found {found!r}"
                )
        if len(self.text_columns) > 2:
            raise ConfigError(f"expected at most two text_columns, found {len(self.text_columns)}")

    def metric_of(self, names: Sequence[str]) -> str:
        """Return the metric that chooses among settings: the one asked for, else the task's first.

        Raises:
            ConfigError: the task has no such metric.
        """
        if self.metric is None:
            return names[0]
        if self.metric not in names:
            raise ConfigError(
                f"expected --metric to be one of {', '.join(names)}, found {self.metric!r}"
            )
        return self.metric

    def settings(self, model: Path, is_question_answering: bool) -> list[Hyper]:
        """Return the settings to try for a model."""
        if self.grid == "none":
            return [Hyper(self.learning_rate, self.batch_size, self.epochs)]
        grids = _QA_GRIDS if is_question_answering else _OTHER_GRIDS
        return [Hyper(*each) for each in itertools.product(*grids[size_of(model)])]


def usual_length(kind: str) -> int:
    """Return the paper's sequence length, in tokens, for a kind of task."""
    return _QA_LENGTH if kind == "qa" else _OTHER_LENGTH


def size_of(model: Path) -> str:
    """Return the paper's size that a model comes closest to: tiny, base or large.

    Raises:
        CheckpointError: the folder has no readable config.json.
    """
    try:
        hidden = int(json.loads((model / "config.json").read_text())["hidden_size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"expected a Hugging Face folder, found {error} in {model}"
        ) from error
    return "large" if hidden >= _LARGE_FROM else "base" if hidden >= _BASE_FROM else "tiny"
