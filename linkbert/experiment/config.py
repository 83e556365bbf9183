"""The description of an experiment: a TOML file that can be read in a minute.

    corpus = "corpus"                     a folder up to `segment`, or a packed one
    arms = ["bert", "linkbert", "random-links", "no-drp", "uniform", "tfidf"]
    seeds = [0, 1]
    config = "demo"                       preset or TOML file of pretraining
    epochs = 2                            plans drawn; must be enough for all steps
    [set]                                 keys of that config
    max_steps = 400

The paper's base and large path (LinkBERT, arXiv:2203.15827, section 5.1) starts from an encoder:

    init = "encoder"                      Hugging Face folder, relative to the file
    warm_up_corpus = "other"              documents outside the corpus, with the same tokenizer
    warm_up_steps = 2000                  one run on them; all arms start from its export
    [warm_up_set]                         keys of pretraining that differ there
    freeze_encoder = true                 for an encoder without a masked token head

Arms differ only in where segment B comes from and in the weight of the relation loss (LinkBERT,
arXiv:2203.15827, section 5 and its ablations).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from linkbert.training.config import (
    PretrainConfig,
    check_keys,
    load_config,
    read_toml,
    typed_values,
)
from schemas.errors import ConfigError
from schemas.tables.instances import HELD_OUT_SPLITS


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to train.

    Attributes:
        shards: the name of its training data; arms may share shards.
        sampling: options of `sample` that differ from the default.
        overrides: keys of pretraining that differ.
        has_relations: whether it learns all three relations.
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
"""BERT's own pairs, LinkBERT, and LinkBERT with one change at a time."""

HELD_OUT_SHARDS = "linkbert"
"""Every arm is evaluated on the held-out pairs of these shards."""


@dataclass(frozen=True, slots=True)
class ExperimentConfig:
    """What is trained, how often, and how it is compared.

    Attributes:
        corpus: folder with nodes, csr, segments, tokens and tokenizer, or a packed one.
        arms: names from `ARMS`.
        seeds: every arm runs once with each; a seed decides weights, masks, pairs and held-out
            articles.
        config: preset or TOML file of pretraining.
        overrides: `key=value` entries that replace its own.
        epochs: plans drawn; every step must read a new instance.
        max_tokens: length of the segments cut for this experiment; 0 keeps those of the corpus.
        link_scope: an option of `sample`, like the next three.
        target_segment: which segment of a linked document.
        mix: parts of contiguous, random and linked pairs in the arms with links.
        mix_policy: whether the mix is that of the whole plan or of each A by itself.
        init: a Hugging Face BERT folder that all arms start from; "" draws weights from the seed.
        warm_up_corpus: documents outside the corpus to warm up on, "" for none. One run with
            BERT's own pairs; all arms start from its export.
        warm_up_steps: optimizer steps of the warm-up.
        warm_up_overrides: `key=value` entries of pretraining that differ in the warm-up.
        validation_fraction: share of documents held out, half of them in linked clusters.
        passes: masks drawn for each held-out segment.
        max_pairs: maximum number of held-out pairs of each split.
        curve_pairs: held-out pairs, both articles unseen, that are also scored before the first
            step of a run and after each validation; 0 scores a run only at its end.
        splits: held-out splits to score; empty for all that have instances.
        focus_words: words whose masked tokens are also measured separately.
        num_resamples: replicates of the bootstrap.
        ranking_pairs: training pairs for ranking; 0 leaves ranking out.
        ranking_queries: maximum number of queries to rank.
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
            raise ConfigError(f"expected arms among {', '.join(ARMS)}, found {unknown[0]!r}")
        strange = [name for name in self.splits if name not in HELD_OUT_SPLITS]
        if strange:
            raise ConfigError(
                f"expected splits among {', '.join(HELD_OUT_SPLITS)}, found {strange[0]!r}"
            )
        for name in ("arms", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ConfigError(f"expected distinct {name}, at least one, found {list(values)}")

    def pretraining(self, arm: str) -> PretrainConfig:
        """Return the configuration of pretraining of an arm."""
        return load_config(self.config, [*self.overrides, *ARMS[arm].overrides])

    def warming_up(self, first_steps: int | None = None) -> PretrainConfig:
        """Return the configuration of the warm-up: that of the arms, with its own steps and keys.

        Its learning rate rises for the same share of the steps as that of the arms.

        Args:
            first_steps: the arms' `max_steps` before it was raised, so that raising it leaves the
                warm-up as it was.
        """
        begun = [] if first_steps is None else [f"max_steps={first_steps}"]
        config = load_config(self.config, [*self.overrides, *begun, *self.warm_up_overrides])
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
        """Return what must not change while results are kept; arms and seeds may be added."""
        # Folders may be moved; each run and each shards folder knows what they contained.
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
"""The type of each key's value in the TOML file, as in the annotations of the fields."""


def load_experiment(path: Path) -> ExperimentConfig:
    """Read an experiment; relative folders are relative to its file.

    Raises:
        ConfigError: no such file, not TOML, an unknown key or a value out of range.
    """
    values = read_toml(path)
    if "corpus" not in values:
        raise ConfigError(f"expected the key corpus, found none in {path}: name a folder")
    tables = {name: _set_keys(values, name, path) for name in ("set", "warm_up_set")}
    check_keys(values, str(path), tuple(_TYPES))
    given = typed_values(values, _TYPES, str(path))
    folders = [name for name in ("corpus", "init", "warm_up_corpus") if given.get(name)]
    given |= {name: str(path.parent / given[name]) for name in folders}
    config = ExperimentConfig(
        **given, overrides=tables["set"], warm_up_overrides=tables["warm_up_set"]
    )
    try:
        for arm in config.arms:
            config.pretraining(arm)
        if config.warm_up_steps:
            config.warming_up()
    except ConfigError as error:
        raise ConfigError(f"{error}, for the pretraining that {path} describes") from error
    return config


def _set_keys(values: dict[str, Any], name: str, path: Path) -> tuple[str, ...]:
    """Remove a table from a file's values; return its entries as `key=value`."""
    table = values.pop(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"expected [{name}] to be a table, found {table!r} in {path}")
    check_keys(table, f"[{name}] of {path}")
    return tuple(f"{key}={_toml(value)}" for key, value in table.items())


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
