"""The description of an experiment: a TOML file one can read in a minute.

    corpus = "corpus"                     a folder up to `segment`, or a packed one
    arms = ["bert", "linkbert", "random-links", "no-drp", "uniform", "tfidf"]
    seeds = [0, 1]
    config = "demo"                       preset or TOML file of pretraining
    epochs = 2                            plans drawn; must suffice for all steps
    [set]                                 keys of that config
    max_steps = 400

Arms differ in where segment B comes from and in the weight of the relation loss, in nothing else
(LinkBERT, arXiv:2203.15827, section 5 and its ablations).
"""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from linkbert.training.config import PretrainConfig, load_config, read_toml
from schemas.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to train.

    Attributes:
        shards: name of its training data; arms of one name share them.
        sampling: options of `sample` that differ from the default.
        overrides: keys of pretraining that differ.
        has_relations: it learns all three relations.
    """

    shards: str
    sampling: dict[str, str] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    has_relations: bool = True


ARMS = {
    "bert": Arm("bert", {"links": "none"}, has_relations=False),
    "linkbert": Arm("linkbert"),
    "random-links": Arm("random-links", {"links": "random"}),
    "no-drp": Arm("linkbert", overrides=("drp_weight=0",), has_relations=False),
    "uniform": Arm("uniform", {"weighting": "uniform"}),
    "tfidf": Arm("tfidf", {"links": "tfidf"}),
}
"""BERT's own pairs, LinkBERT, and LinkBERT with one thing changed at a time."""

HELD_OUT_SHARDS = "linkbert"
"""Every arm is evaluated on the held-out pairs of these shards."""


@dataclass(frozen=True, slots=True)
class ExperimentConfig:
    """What is trained, how often, and how it is compared.

    Attributes:
        corpus: folder with nodes, csr, segments, tokens and tokenizer, or a packed one.
        arms: names of `ARMS`.
        seeds: one run of every arm each; a seed decides weights, masks, pairs, held-out articles.
        config: preset or TOML file of pretraining.
        overrides: `key=value` for it.
        epochs: plans drawn; every step must read a new instance.
        link_scope: see `sample`.
        validation_fraction: documents held out, half of them in linked clusters.
        passes: masks drawn of each held-out segment.
        max_pairs: held-out pairs of each split at most.
        num_resamples: replicates of the bootstrap.
        ranking_pairs: training pairs of fine-tuning for ranking; 0 leaves ranking out.
        ranking_queries: queries to rank at most.
    """

    corpus: str
    arms: tuple[str, ...] = tuple(ARMS)
    seeds: tuple[int, ...] = (0, 1, 2)
    config: str = "demo"
    overrides: tuple[str, ...] = ()
    epochs: int = 1
    link_scope: str = "segment"
    validation_fraction: float = 0.1
    passes: int = 4
    max_pairs: int = 5000
    num_resamples: int = 10_000
    ranking_pairs: int = 0
    ranking_queries: int = 200

    def __post_init__(self) -> None:
        unknown = [name for name in self.arms if name not in ARMS]
        if unknown:
            raise ConfigError(f"expected arms out of {', '.join(ARMS)}, found {unknown[0]!r}")
        for name in ("arms", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ConfigError(f"expected {name} without repetition, found {list(values)}")
        at_least = dict.fromkeys(
            ("epochs", "passes", "max_pairs", "num_resamples", "ranking_queries"), 1
        )
        for name, least in (at_least | {"ranking_pairs": 0}).items():
            if getattr(self, name) < least:
                raise ConfigError(
                    f"expected {name} of at least {least}, found {getattr(self, name)}"
                )
        if any(seed < 0 for seed in self.seeds):
            raise ConfigError(f"expected seeds of at least 0, found {list(self.seeds)}")
        if not 0 < self.validation_fraction < 1:
            raise ConfigError(
                "expected validation_fraction above 0 and below 1, found "
                f"{self.validation_fraction}"
            )

    def pretraining(self, arm: str) -> PretrainConfig:
        """Return the configuration of pretraining of an arm."""
        return load_config(self.config, [*self.overrides, *ARMS[arm].overrides])

    def sampling(self, shards: str, seed: int) -> dict[str, Any]:
        """Return the options of `sample` for shards of this name."""
        own = next(arm.sampling for arm in ARMS.values() if arm.shards == shards)
        return {
            "seed": seed,
            "epochs": self.epochs,
            "link_scope": self.link_scope,
            "validation_fraction": self.validation_fraction,
            **own,
        }

    def identity(self) -> dict[str, Any]:
        """Return what may not change while results are kept; arms and seeds may be added."""
        free = ("corpus", "arms", "seeds", "num_resamples", "ranking_queries", "ranking_pairs")
        chosen = {key: value for key, value in asdict(self).items() if key not in free}
        chosen["pretraining"] = self.pretraining("linkbert").to_dict()
        del chosen["config"], chosen["overrides"]
        return chosen


_TYPES = {
    each.name: str(each.type) for each in fields(ExperimentConfig) if each.name != "overrides"
}
"""What stands in the TOML file under each key, as the annotations of the fields say it."""


def load_experiment(path: Path) -> ExperimentConfig:
    """Read an experiment; a relative corpus is relative to the file.

    Raises:
        ConfigError: no such file, not TOML, an unknown key or a value out of range.
    """
    values = read_toml(path)
    if "corpus" not in values:
        raise ConfigError(f"expected the key corpus, found none in {path}: name a folder")
    overrides = values.pop("set", {})
    if not isinstance(overrides, dict):
        raise ConfigError(f"expected [set] as a table, found {overrides!r} in {path}")
    _check_types(values, path)
    values["corpus"] = str(path.parent / values["corpus"])
    named = [name for name in ("arms", "seeds") if name in values]
    lists: dict[str, Any] = {name: tuple(values[name]) for name in named}
    set_keys = tuple(f"{key}={_toml(value)}" for key, value in overrides.items())
    given: dict[str, Any] = {**values, **lists, "overrides": set_keys}
    config = ExperimentConfig(**given)
    for arm in config.arms:
        config.pretraining(arm)
    return config


def _check_types(values: dict[str, Any], path: Path) -> None:
    for key, value in values.items():
        if key not in _TYPES:
            closest = difflib.get_close_matches(key, list(_TYPES), 1, 0.0)[0]
            raise ConfigError(f"unknown key {key!r} in {path}: the closest is {closest!r}")
        wanted = _TYPES[key]
        if not _is_of_type(value, wanted):
            spelled = f"a list of {_item(wanted)}" if _item(wanted) else wanted
            raise ConfigError(f"expected {key} as {spelled}, found {value!r} in {path}")


def _item(wanted: str) -> str:
    """Return the type of the items of a tuple's annotation, "" where it is none."""
    return wanted.removeprefix("tuple[").removesuffix(", ...]") if wanted[:5] == "tuple" else ""


def _is_of_type(value: object, wanted: str) -> bool:
    """Tell whether a value of TOML is a str, int, float, or a list of one of them."""
    if item := _item(wanted):
        return isinstance(value, list) and all(_is_of_type(each, item) for each in value)
    kinds = {"str": (str,), "int": (int,), "float": (int, float)}[wanted]
    return isinstance(value, kinds) and not isinstance(value, bool)


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
