"""What is tried in fine-tuning: hyper-parameters, grids of the paper, seeds.

Grids: LinkBERT (arXiv:2203.15827), appendix B and the released scripts. GLUE is fine-tuned at
length 128, question answering at 384 with stride 128.
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
    """One setting."""

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
"""Options, besides settings and seeds, that change what a run comes to."""


@dataclass(frozen=True, slots=True)
class FinetuneOptions:
    """What to try, and on how much.

    Attributes:
        seeds: of the new head, the order and dropout; each gives one run per setting.
        grid: `paper` tries the paper's grid for the size of the model; `none` the setting below.
        learning_rate: peak, linearly warmed up over a tenth of the steps, then to 0.
        batch_size: sequences per step, of all processes together.
        epochs: passes over the training data.
        fraction: of the training data, drawn by the seed 0.
        max_length: tokens of a sequence.
        stride: tokens that windows of one context share, at most a third of a window.
        distractors: documents of other articles added to each held-out context.
        metric: of dev, chooses among settings; the first of the task's where None.
        strict: whether an answer that does not stand where its file says is refused, not moved.
        text_columns: columns of one or two texts: names, or places from 1 where there is no header.
        label_columns: column of the label; several are one label each, 0 or 1.
        label_kind: `class` is one of two or more, `several` any number of labels, `score` a number.
        label_separator: parts several labels in one column.
        negative_label: class that is no finding; F1 leaves it out.
    """

    seeds: tuple[int, ...] = field(default=(0,), metadata={"help": "one run per seed"})
    grid: str = field(default="none", metadata={"help": "settings to try", "choices": GRIDS})
    learning_rate: float = field(default=3e-5, metadata={"help": "peak"})
    batch_size: int = field(default=16, metadata={"help": "examples per step"})
    epochs: int = field(default=3, metadata={"help": "over training data"})
    fraction: float = field(default=1.0, metadata={"help": "of training data", "metavar": "F"})
    max_length: int = field(default=128, metadata={"help": "tokens of a sequence"})
    stride: int = field(default=128, metadata={"help": "tokens windows share"})
    distractors: int = field(default=0, metadata={"help": "documents added to dev contexts"})
    metric: str | None = field(default=None, metadata={"help": "of dev, chooses the setting"})
    strict: bool = field(default=False, metadata={"help": "refuse misplaced answers"})
    text_columns: tuple[str, ...] = field(
        default=(), metadata={"help": "one or two; names, or places from 1"}
    )
    label_columns: tuple[str, ...] = field(default=(), metadata={"help": "several are 0/1 each"})
    label_kind: str = field(
        default="auto", metadata={"help": "what a label is", "choices": LABEL_KINDS}
    )
    label_separator: str | None = field(
        default=None, metadata={"help": "parts several labels", "metavar": "CHAR"}
    )
    negative_label: str | None = field(
        default=None, metadata={"help": "class that F1 leaves out", "metavar": "LABEL"}
    )

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise ConfigError(f"expected fraction above 0 and up to 1, found {self.fraction}")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ConfigError(f"expected seeds without repetition, found {list(self.seeds)}")
        for name in ("batch_size", "epochs", "max_length", "stride"):
            if getattr(self, name) < 1:
                raise ConfigError(f"expected {name} of at least 1, found {getattr(self, name)}")
        if self.distractors < 0 or not 0 < self.learning_rate < math.inf:
            raise ConfigError(
                "expected distractors of at least 0 and a finite learning_rate above 0, found "
                f"{self.distractors} and {self.learning_rate}"
            )
        for name, choices in (("grid", GRIDS), ("label_kind", LABEL_KINDS)):
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f"expected {name} out of {', '.join(choices)}, found {getattr(self, name)!r}"
                )
        if len(self.text_columns) > 2:
            raise ConfigError(f"expected one or two text_columns, found {len(self.text_columns)}")

    def metric_of(self, names: Sequence[str]) -> str:
        """Return the metric that chooses among settings: the wanted one, else the task's first.

        Raises:
            ConfigError: the task has no such metric.
        """
        if self.metric is None:
            return names[0]
        if self.metric not in names:
            raise ConfigError(f"expected --metric out of {', '.join(names)}, found {self.metric!r}")
        return self.metric

    def settings(self, model: Path, is_question_answering: bool) -> list[Hyper]:
        """Return the settings to try for a model."""
        if self.grid == "none":
            return [Hyper(self.learning_rate, self.batch_size, self.epochs)]
        grids = _QA_GRIDS if is_question_answering else _OTHER_GRIDS
        return [Hyper(*each) for each in itertools.product(*grids[size_of(model)])]


def usual_length(kind: str) -> int:
    """Return the paper's tokens of a sequence for a kind of task."""
    return _QA_LENGTH if kind == "qa" else _OTHER_LENGTH


def size_of(model: Path) -> str:
    """Return which of the paper's sizes a model is nearest to: tiny, base or large.

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
