"""The configuration of pretraining: one frozen dataclass, presets as TOML files one can read.

In: a preset name or a TOML file, and `key=value` overrides. Out: a checked `PretrainConfig`, which
goes into every checkpoint and the manifest of the run. Paper values are those of LinkBERT
(arXiv:2203.15827), section 5.1, for its smallest size unless said otherwise.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

from linkbert.training.trackers import TRACKERS
from schemas.errors import ConfigError

PRESETS = ("demo", "tiny", "mini", "small", "medium", "base", "large")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
SCHEDULES = ("linear", "constant", "warmup-stable-decay")

CHANGEABLE_ON_RESUME = frozenset(
    {
        "micro_batch_size",
        "compile",
        "threads",
        "checkpoint_every",
        "checkpoint_minutes",
        "keep_checkpoints",
        "validate_every",
        "validation_instances",
        "max_loss_spike",
        "patience",
        "log",
        "tensorboard",
    }
)
"""Keys that may differ between a run and its continuation: none changes what is learned."""


@dataclass(frozen=True, slots=True)
class PretrainConfig:
    """Everything that may vary in pretraining besides data and seed, in the order of the file."""

    # Model. The vocabulary's size comes with the shards.
    hidden_size: int = field(metadata={"help": "paper: 128 tiny, 768 base, 1,024 large"})
    num_layers: int = field(metadata={"help": "paper: 2 tiny, 12 base, 24 large"})
    num_heads: int = field(metadata={"help": "BERT: hidden_size / 64"})
    intermediate_size: int = field(metadata={"help": "BERT: 4 * hidden_size"})
    max_steps: int = field(
        metadata={
            "help": "optimizer steps; paper: 10,000 tiny, 40,000 base and large; raise it to train "
            "on, at the learning rate that the longer run has from there on"
        }
    )
    learning_rate: float = field(metadata={"help": "peak; paper: 5e-3 tiny, 3e-4 base, 2e-4 large"})
    batch_size: int = field(
        default=2048,
        metadata={"help": "sequences per optimizer step, over all ranks; paper: 2,048"},
    )
    micro_batch_size: int = field(
        default=32,
        metadata={"help": "sequences a rank computes at once: memory, time, and dropout's draws"},
    )
    warmup_steps: int = field(
        default=5000, metadata={"help": "linear; paper: 5,000 for all three sizes"}
    )
    schedule: str = field(
        default="linear",
        metadata={
            "help": "after the warm-up: linear decay (paper), constant, or constant up to the last "
            "fifth of the steps (warmup-stable-decay)"
        },
    )
    max_position_embeddings: int = field(default=512, metadata={"help": "tokens"})
    extend_positions: bool = field(
        default=False,
        metadata={"help": "with --init: further positions begin as copies of the learned ones"},
    )
    freeze_encoder: bool = field(
        default=False,
        metadata={
            "help": "learn the heads alone, as a first phase of --init from one without them"
        },
    )
    hidden_dropout: float = field(default=0.1, metadata={"help": "BERT: 0.1; the paper is silent"})
    initial_std: float = field(
        default=0.02, metadata={"help": "of drawn weights; narrow networks want more; BERT: 0.02"}
    )
    attention_dropout: float = field(
        default=0.0, metadata={"help": "BERT: 0.1; above 0 slower, see configs/tiny.toml"}
    )

    # Objective (section 4.2).
    mask_prob: float = field(
        default=0.15, metadata={"help": "share of the tokens of A and B that are predicted"}
    )
    mask_token_prob: float = field(
        default=0.8, metadata={"help": "of these, the share that becomes [MASK]"}
    )
    random_token_prob: float = field(
        default=0.1, metadata={"help": "of these, the share that becomes a random token"}
    )
    whole_word: bool = field(
        default=False, metadata={"help": "mask all pieces of a word or none; the paper is silent"}
    )
    drp_weight: float = field(
        default=1.0, metadata={"help": "of the relation loss; paper: 1, and 0 in its ablation"}
    )

    # Optimizer: AdamW.
    weight_decay: float = field(default=0.01, metadata={"help": "not on biases and layer norms"})
    adam_beta1: float = field(default=0.9, metadata={"help": "paper: 0.9"})
    adam_beta2: float = field(default=0.98, metadata={"help": "paper: 0.98"})
    adam_epsilon: float = field(default=1e-6, metadata={"help": "the paper is silent"})
    gradient_clip: float = field(
        default=1.0, metadata={"help": "norm of the gradient; 0 for none; BERT: 1"}
    )

    # Execution.
    precision: str = field(
        default="auto", metadata={"help": "auto: bf16, else fp16, on a GPU; fp32 on a CPU"}
    )
    compile: bool = field(
        default=False, metadata={"help": "torch.compile: slower to start, faster to run"}
    )
    threads: int = field(
        default=0,
        metadata={"help": "that compute on a CPU; 0: as many as others leave idle at the start"},
    )
    checkpoint_every: int = field(default=1000, metadata={"help": "steps"})
    checkpoint_minutes: float = field(
        default=15.0, metadata={"help": "also save once this many minutes have passed; 0: never"}
    )
    keep_checkpoints: int = field(
        default=2, metadata={"help": "of the newest; the best stays besides"}
    )
    validate_every: int = field(
        default=1000, metadata={"help": "steps; the last step is always validated"}
    )
    validation_instances: int = field(
        default=10_000, metadata={"help": "at most, of each validation split"}
    )
    max_loss_spike: float = field(
        default=3.0,
        metadata={"help": "stop when a loss exceeds so many times its recent mean; 0: never"},
    )
    patience: int = field(
        default=0,
        metadata={"help": "end after this many validations without a lower loss; 0: never"},
    )
    tensorboard: bool = field(
        default=True, metadata={"help": "write events where the package is installed"}
    )
    log: str = field(
        default="none", metadata={"help": "also to tensorboard, wandb or mlflow, as they are set"}
    )

    def __post_init__(self) -> None:
        """Check types and ranges."""
        for each in fields(self):
            value = getattr(self, each.name)
            self._check(each.name, _is_of_type(value, str(each.type)), f"of type {each.type}")
            if isinstance(value, float):
                self._check(each.name, math.isfinite(value), "a finite number")
        for name in _POSITIVE:
            self._check(name, getattr(self, name) > 0, "a number above 0")
        for name in _PROBABILITIES:
            self._check(name, 0 <= getattr(self, name) <= 1, "a number from 0 to 1")
        for name in _NON_NEGATIVE:
            self._check(name, getattr(self, name) >= 0, "a number of at least 0")
        self._check("precision", self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}")
        self._check("log", self.log in TRACKERS, f"one of {', '.join(TRACKERS)}")
        self._check("schedule", self.schedule in SCHEDULES, f"one of {', '.join(SCHEDULES)}")
        self._check("num_heads", self.hidden_size % self.num_heads == 0, "a divisor of hidden_size")
        self._check("mask_prob", self.mask_prob > 0, "a number above 0")
        self._check(
            "random_token_prob",
            self.mask_token_prob + self.random_token_prob <= 1,
            "at most 1 - mask_token_prob",
        )
        self._check("warmup_steps", self.warmup_steps <= self.max_steps, "at most max_steps")
        for name in ("max_steps", "batch_size"):
            is_countable = self.max_steps * self.batch_size <= _MAX_INSTANCES
            self._check(name, is_countable, f"such that a run reads up to {_MAX_INSTANCES:.0e}")

    def _check(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise ConfigError(f"expected {name} to be {expected}, found {getattr(self, name)!r}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


_MAX_INSTANCES = 10**15
"""More than could be read: places in the training order are 64-bit integers."""

_POSITIVE = (
    "hidden_size", "num_layers", "num_heads", "intermediate_size", "max_steps", "learning_rate",
    "batch_size", "micro_batch_size", "max_position_embeddings", "adam_epsilon", "initial_std",
    "checkpoint_every", "keep_checkpoints", "validate_every", "validation_instances",
)  # fmt: skip
_PROBABILITIES = (
    "hidden_dropout", "attention_dropout", "mask_prob", "mask_token_prob", "random_token_prob",
    "adam_beta1", "adam_beta2",
)  # fmt: skip
_NON_NEGATIVE = (
    "warmup_steps", "weight_decay", "gradient_clip", "drp_weight", "max_loss_spike", "threads",
    "checkpoint_minutes", "patience",
)  # fmt: skip


def load_config(name_or_path: str, overrides: Sequence[str] = ()) -> PretrainConfig:
    """Read a preset or a TOML file and apply `key=value` overrides.

    When `max_steps` is overridden and `warmup_steps` is not, the warm-up keeps its share.

    >>> load_config("tiny", ["max_steps=100"]).warmup_steps
    50

    Raises:
        ConfigError: no such preset or file, an unknown key, or a value out of range.
    """
    values = _read_toml(name_or_path)
    check_keys(values, name_or_path)
    given = dict(parse_override(text) for text in overrides)
    check_keys(given, "--set")
    if (
        type(given.get("max_steps")) is int
        and "warmup_steps" not in given
        and "warmup_steps" in values
    ):
        share = values["warmup_steps"] / max(1, values["max_steps"])
        given["warmup_steps"] = min(round(share * given["max_steps"]), given["max_steps"])
    return config_from_dict(values | given, name_or_path)


def config_from_dict(values: dict[str, Any], where: str) -> PretrainConfig:
    """Build a configuration from plain values found at `where`.

    Raises:
        ConfigError: a key is unknown or missing, or a value out of range.
    """
    check_keys(values, where)
    try:
        return PretrainConfig(**values)
    except TypeError as error:
        raise ConfigError(
            f"expected the keys {', '.join(_required())}, found some missing in {where}: add them"
        ) from error


def parse_override(text: str) -> tuple[str, Any]:
    """Parse `key=value`, the value as TOML; a bare word counts as text.

    >>> parse_override("learning_rate=1e-3"), parse_override("precision=bf16")
    (('learning_rate', 0.001), ('precision', 'bf16'))

    Raises:
        ConfigError: there is no `=`.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"expected --set key=value, found {text!r}: write max_steps=9")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return key.strip(), value.strip()


def differences(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Return `key: found, not expected` for keys that must be equal for a run to go on.

    A key that an older version did not know had its default there. More steps are a continuation.
    """
    defaults = {each.name: each.default for each in fields(PretrainConfig)}
    found = {key: found.get(key, defaults.get(key)) for key in {*found, *expected}}
    if found.get("max_steps", 0) < expected.get("max_steps", 0):
        found["max_steps"] = expected["max_steps"]
    return [
        f"{key} was {found.get(key)!r}, is now {expected.get(key)!r}"
        for key in sorted(set(found) | set(expected))
        if found.get(key) != expected.get(key) and key not in CHANGEABLE_ON_RESUME
    ]


def _read_toml(name_or_path: str) -> dict[str, Any]:
    if name_or_path in PRESETS:
        text = resources.files("linkbert").joinpath(f"configs/{name_or_path}.toml").read_text()
        return tomllib.loads(text)
    path = Path(name_or_path)
    if not path.is_file():
        raise ConfigError(
            f"expected a preset ({', '.join(PRESETS)}) or a TOML file, found {name_or_path!r}"
        )
    return read_toml(path)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigError: it cannot be read, is not UTF-8, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except RecursionError:
        found = "brackets nested too deep"
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        found = str(error)
    raise ConfigError(f"expected a file of TOML, found a fault in {path} ({found}): mend it")


def check_keys(values: Mapping[str, Any], where: str, known: Sequence[str] = ()) -> None:
    """Refuse unknown keys; the known ones are those of pretraining unless others are given.

    Raises:
        ConfigError: there is one; the message says `where`, and which key may have been meant.
    """
    known = known or [each.name for each in fields(PretrainConfig)]
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(known)}"
            raise ConfigError(f"unknown key {key!r} in {where}: {hint}")


def typed_values(
    values: Mapping[str, Any], annotations: Mapping[str, str], where: str
) -> dict[str, Any]:
    """Return values of a TOML file as the fields of a dataclass take them: lists as tuples.

    >>> typed_values({"seeds": [1, 2]}, {"seeds": "tuple[int, ...]"}, "FILE")
    {'seeds': (1, 2)}

    Raises:
        ConfigError: a value does not have the type of its field.
    """
    found = {}
    for key, value in values.items():
        kind = annotations[key].removesuffix(" | None")
        item = kind.removeprefix("tuple[").removesuffix(", ...]")
        is_list = isinstance(value, list)
        members = value if is_list else [value]
        if is_list != (item != kind) or not all(_is_of_type(each, item) for each in members):
            what = f"of type {kind}" if item == kind else f"a list of {item}"
            raise ConfigError(f"expected {key} to be {what} in {where}, found {value!r}")
        found[key] = tuple(value) if is_list else value
    return found


def _is_of_type(value: object, name: str) -> bool:
    accepted = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}[name]
    return isinstance(value, accepted) and (name == "bool" or not isinstance(value, bool))


def _required() -> list[str]:
    first = [each.name for each in fields(PretrainConfig)]
    return first[: first.index("batch_size")]
