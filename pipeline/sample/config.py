"""The options of `sample`, and how a corpus is named with its own kind of links."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from math import isfinite

from pipeline.sample.pairs.recipe import PairRules
from schemas.errors import ConfigError

HYPERLINK, TFIDF, RANDOM_LINKS, NO_LINKS = LINK_MODES = ("hyperlink", "tfidf", "random", "none")
INVERSE, UNIFORM = WEIGHTINGS = ("inverse-in-degree", "uniform")
AUTO_JOIN, SHUFFLE = "auto", "shuffle"
JOINS = (AUTO_JOIN, "gather", SHUFFLE)


@dataclass(frozen=True, slots=True)
class SampleConfig:
    """How pairs are drawn and written; the paper's choices are the defaults.

    Attributes:
        seed: of every draw.
        epochs: plans drawn; in each, every training segment is segment_a once.
        links: where linked pairs come from; a further corpus may have its own.
        weighting: of linked documents (section 4.3).
        link_scope: links whose anchor starts in segment_a, or all of its document.
        target_segment: of a linked document: any of its segments, or the first.
        mix: wanted parts of contiguous, random and linked (section 5.1: equal).
        mix_policy: totals as near to the mix as possible, or each segment on its own.
        validation_fraction: documents held out of training, half of them at random, half in linked
            clusters. 5 % of a small wiki gives a few hundred pairs to test on; for a large one the
            next option keeps it from taking more than it needs.
        validation_documents: the most in each of the two sets.
        join: how segments come to the shards: `gather` reads the files of tokens, `shuffle` sends
            them through Beam, `auto` is shuffle where a corpus lies on an object store. All write
            the same bytes.
        shard_bytes: about how many bytes of token ids a shard holds.
    """

    seed: int = 0
    epochs: int = field(default=1, metadata={"help": "each draws new pairs", "metavar": "N"})
    links: str = field(
        default=HYPERLINK,
        metadata={"help": "what makes a pair linked", "choices": LINK_MODES},
    )
    weighting: str = field(
        default=INVERSE,
        metadata={"help": "how likely a linked document is drawn", "choices": WEIGHTINGS},
    )
    link_scope: str = field(
        default="segment",
        metadata={
            "help": "links of segment A alone, or of its whole document",
            "choices": ("segment", "document"),
        },
    )
    target_segment: str = field(
        default="uniform",
        metadata={
            "help": "any segment of the other document, or its first",
            "choices": ("uniform", "lead"),
        },
    )
    mix: tuple[float, float, float] = field(
        default=(1.0, 1.0, 1.0),
        metadata={
            "help": "contiguous, random and linked; only their ratio counts",
            "metavar": "SHARE",
        },
    )
    mix_policy: str = field(
        default="exact",
        metadata={
            "help": "totals as near to the mix as can be, or each A on its own",
            "choices": ("exact", "independent"),
        },
    )
    validation_fraction: float = field(
        default=0.05,
        metadata={
            "help": "of the documents held out, half at random, half in linked clusters",
            "metavar": "F",
        },
    )
    validation_documents: int = field(
        default=10_000, metadata={"help": "at most, of each half", "metavar": "N"}
    )
    join: str = field(
        default=AUTO_JOIN,
        metadata={
            "help": "read tokens from files, or send them through Beam: auto does so from gs://",
            "choices": JOINS,
        },
    )
    shard_bytes: int = 128 << 20

    def __post_init__(self) -> None:
        for option in fields(self):
            choices, value = option.metadata.get("choices"), getattr(self, option.name)
            if choices and value not in choices:
                raise ConfigError(
                    f"expected {option.name} to be one of {', '.join(choices)}, "
                    f"found {value!r}: change it"
                )
        for key in ("epochs", "validation_documents", "shard_bytes"):
            if getattr(self, key) < 1:
                raise ConfigError(
                    f"expected {key} of at least 1, found {getattr(self, key)}: change it"
                )
        if not 0 <= self.seed < 1 << 63:
            raise ConfigError(
                f"expected seed from 0 to {(1 << 63) - 1:,}, found {self.seed}: change it"
            )
        if not 0 <= self.validation_fraction < 1:
            raise ConfigError(
                "expected validation_fraction from 0 to below 1, "
                f"found {self.validation_fraction}: change it"
            )
        is_finite = all(map(isfinite, self.mix))
        if len(self.mix) != 3 or not is_finite or min(self.mix) < 0 or sum(self.mix) <= 0:
            raise ConfigError(
                "expected mix to be three shares of 0 or more, contiguous, random and linked, "
                f"found {self.mix}: change it"
            )

    def rules(self, links: str) -> PairRules:
        """Return the rules for a corpus with this kind of links."""
        contiguous, random, linked = self.mix
        return PairRules(
            shares=(contiguous, random, 0.0 if links == NO_LINKS else linked),
            is_exact=self.mix_policy == "exact",
            is_random_linked=links == RANDOM_LINKS,
            is_lead_only=self.target_segment == "lead",
        )


def split_source(source: str, default_links: str) -> tuple[str, str]:
    """Return the path of a corpus and its kind of links, from CORPUS or CORPUS:LINKS.

    >>> split_source("books:none", "hyperlink"), split_source("gs://bucket/wiki", "tfidf")
    (('books', 'none'), ('gs://bucket/wiki', 'tfidf'))
    """
    path, colon, links = source.rpartition(":")
    if colon and links in LINK_MODES:
        return path.rstrip("/"), links
    return source.rstrip("/"), default_links
