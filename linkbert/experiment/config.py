"""The description of an experiment: a TOML file one can read in a minute.

    corpus = "corpus"                     a folder up to `segment`, or a packed one
    arms = ["bert", "linkbert", "random-links", "no-drp", "uniform", "tfidf"]
    seeds = [0, 1]
    config = "demo"                       preset or TOML file of pretraining
    epochs = 2                            plans drawn; must suffice for all steps
    [set]                                 keys of that config
    max_steps = 400

The paper's base and large path (LinkBERT, arXiv:2203.15827, section 5.1) starts from an encoder:

    init = "encoder"                      Hugging Face folder, relative to the file
    warm_up_corpus = "other"              documents outside the corpus, with the same tokenizer
    warm_up_steps = 2000                  one run on them; all arms start from its export
    [warm_up_set]                         keys of pretraining that differ there
    freeze_encoder = true                 as where the encoder has no masked token head yet

Arms differ in where segment B comes from and in the weight of the relation loss, in nothing else
(LinkBERT, arXiv:2203.15827, section 5 and its ablations).
"""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from linkbert.evaluation.config import SPLITS
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
        seeds: every arm runs once with each; it decides weights, masks, pairs, held-out articles.
        config: preset or TOML file of pretraining.
        overrides: `key=value` for it.
        epochs: plans drawn; every step must read a new instance.
        max_tokens: of a segment, cut anew for this experiment; 0 takes the corpus as it is cut.
        link_scope: see `sample`, as the next three.
        target_segment: of a linked document.
        mix: wanted parts of contiguous, random and linked in the arms with links.
        mix_policy: of the whole plan, or of each A by itself.
        init: a Hugging Face BERT folder that all arms start from; "" draws weights from the seed.
        warm_up_corpus: documents outside the corpus to warm up on, "" for none. One run, with
            BERT's own pairs; what it exports is where all arms start.
        warm_up_steps: optimizer steps of the warm-up.
        warm_up_overrides: `key=value` of pretraining that differ in the warm-up.
        validation_fraction: documents held out, half of them in linked clusters.
        passes: masks drawn of each held-out segment.
        max_pairs: the most held-out pairs of each split.
        curve_pairs: held-out pairs, both articles unseen, to score before the first step of a run
            and after each validation as well; 0 scores at its end only.
        splits: held-out splits to score; none named means every one that has instances.
        focus_words: words whose masked tokens are measured by themselves as well.
        num_resamples: replicates of the bootstrap.
        ranking_pairs: training pairs of fine-tuning for ranking; 0 leaves ranking out.
        ranking_queries: the most queries to rank.
    """

    corpus: str
    arms: tuple[str, ...] = tuple(ARMS)
    seeds: tuple[int, ...] = (0, 1, 2)
    config: str = "demo"
    overrides: tuple[str, ...] = ()
    epochs: int = 1
    max_tokens: int = 0
    link_scope: str = "segment"
    target_segment: str = "uniform"
    mix: tuple[float, ...] = (1.0, 1.0, 1.0)
    mix_policy: str = "exact"
    init: str = ""
    warm_up_corpus: str = ""
    warm_up_steps: int = 0
    warm_up_overrides: tuple[str, ...] = ()
    validation_fraction: float = 0.1
    passes: int = 4
    max_pairs: int = 5000
    curve_pairs: int = 0
    splits: tuple[str, ...] = ()
    focus_words: tuple[str, ...] = ()
    num_resamples: int = 10_000
    ranking_pairs: int = 0
    ranking_queries: int = 200

    def __post_init__(self) -> None:
        self._check_names()
        for name, least in _AT_LEAST.items():
            if getattr(self, name) < least:
                raise ConfigError(
                    f"expected {name} of at least {least}, found {getattr(self, name)}: raise it"
                )
        if any(seed < 0 for seed in self.seeds):
            raise ConfigError(f"expected seeds of at least 0, found {list(self.seeds)}")
        if not 0 < self.validation_fraction < 1:
            raise ConfigError(
                "expected validation_fraction above 0 and below 1, found "
                f"{self.validation_fraction}"
            )
        if bool(self.warm_up_corpus) != bool(self.warm_up_steps):
            raise ConfigError(
                "expected both warm_up_corpus and warm_up_steps, or neither, found "
                f"{self.warm_up_corpus!r} and {self.warm_up_steps}: name a corpus of documents "
                "outside the experiment's, so that nothing held out is seen, and its steps"
            )
        if self.warm_up_overrides and not self.warm_up_steps:
            raise ConfigError(
                "expected warm_up_steps beside the keys of a warm-up, found none: add it, or leave "
                "out [warm_up_set]"
            )

    def _check_names(self) -> None:
        unknown = [name for name in self.arms if name not in ARMS]
        if unknown:
            raise ConfigError(f"expected arms out of {', '.join(ARMS)}, found {unknown[0]!r}")
        strange = [name for name in self.splits if name not in SPLITS]
        if strange:
            raise ConfigError(f"expected splits out of {', '.join(SPLITS)}, found {strange[0]!r}")
        for name in ("arms", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ConfigError(f"expected {name} without repetition, found {list(values)}")

    def pretraining(self, arm: str) -> PretrainConfig:
        """Return the configuration of pretraining of an arm."""
        return load_config(self.config, [*self.overrides, *ARMS[arm].overrides])

    def warming_up(self) -> PretrainConfig:
        """Return the configuration of the warm-up: that of the arms, with its own steps and keys.

        Its learning rate rises for the same share of the steps.
        """
        config = load_config(self.config, [*self.overrides, *self.warm_up_overrides])
        share = config.warmup_steps / config.max_steps
        steps = self.warm_up_steps
        return replace(config, max_steps=steps, warmup_steps=round(share * steps))

    def sampling(self, shards: str, seed: int) -> dict[str, Any]:
        """Return the options of `sample` for shards of this name."""
        own = next(arm.sampling for arm in ARMS.values() if arm.shards == shards)
        return {
            "seed": seed,
            "epochs": self.epochs,
            "link_scope": self.link_scope,
            "target_segment": self.target_segment,
            "mix": self.mix,
            "mix_policy": self.mix_policy,
            "validation_fraction": self.validation_fraction,
            **own,
        }

    def identity(self) -> dict[str, Any]:
        """Return what may not change while results are kept; arms and seeds may be added."""
        # Where a folder lies may change; what it holds, each run and each shards folder know.
        free = (
            "corpus", "max_tokens", "init", "warm_up_corpus", "warm_up_overrides", "arms", "seeds",
            "num_resamples", "ranking_queries", "ranking_pairs", "curve_pairs",
        )  # fmt: skip
        chosen = {key: value for key, value in asdict(self).items() if key not in free}
        chosen["pretraining"] = self.pretraining("linkbert").to_dict()
        del chosen["config"], chosen["overrides"]
        return chosen


_AT_LEAST = dict.fromkeys(
    ("epochs", "passes", "max_pairs", "num_resamples", "ranking_queries"), 1
) | dict.fromkeys(("ranking_pairs", "warm_up_steps", "max_tokens", "curve_pairs"), 0)

_TYPES = {
    each.name: str(each.type)
    for each in fields(ExperimentConfig)
    if each.name not in ("overrides", "warm_up_overrides")
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
    tables = {name: _set_keys(values, name, path) for name in ("set", "warm_up_set")}
    _check_types(values, path)
    folders = [name for name in ("corpus", "init", "warm_up_corpus") if values.get(name)]
    values |= {name: str(path.parent / values[name]) for name in folders}
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    given: dict[str, Any] = {**values, **lists}
    config = ExperimentConfig(
        **given, overrides=tables["set"], warm_up_overrides=tables["warm_up_set"]
    )
    for arm in config.arms:
        config.pretraining(arm)
    if config.warm_up_steps:
        config.warming_up()
    return config


def _set_keys(values: dict[str, Any], name: str, path: Path) -> tuple[str, ...]:
    """Take a table out of a file's values, as `key=value` each."""
    table = values.pop(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"expected [{name}] as a table, found {table!r} in {path}")
    return tuple(f"{key}={_toml(value)}" for key, value in table.items())


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
