"""The options of `tokenizer`, and what its sources are."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.errors import ConfigError


@dataclass(frozen=True, slots=True)
class TokenizerConfig:
    """How the tokenizer comes about.

    Attributes:
        vocab_size: tokens, special ones included; BERT's cased vocabulary has 28,996.
        lowercase: fold case; marks stay.
        strip_accents: drop marks, in cased text too.
        sample_bytes: about how much text, in UTF-8 bytes, to train on.
        is_taken: whether an existing tokenizer is taken; see `TokenizerSources`.
    """

    vocab_size: int = field(default=30_000, metadata={"help": "of a trained one", "metavar": "N"})
    lowercase: bool = field(default=False, metadata={"help": "marks stay on their letters"})
    strip_accents: bool = field(default=False, metadata={"help": "as BERT's uncased models do"})
    sample_bytes: int = 100_000_000
    is_taken: bool = False

    def __post_init__(self) -> None:
        if not 100 <= self.vocab_size <= 1 << 20:
            raise ConfigError(
                f"expected vocab_size from 100 to {1 << 20}, found {self.vocab_size}: change it"
            )
        if self.sample_bytes < 1:
            raise ConfigError(
                f"expected sample_bytes of at least 1, found {self.sample_bytes}: raise it"
            )
        if self.is_taken and (self.lowercase or self.strip_accents):
            raise ConfigError(
                "expected no --lowercase or --strip-accents together with --from, found one: "
                "a taken tokenizer keeps its own rules; leave them out"
            )


@dataclass(frozen=True, slots=True)
class TokenizerSources:
    """What the paths of a job's sources are.

    Attributes:
        corpora: folders whose pages are read; the first receives the tokenizer.
        taken: the tokenizer.json, vocab.txt or Hugging Face folder to take, None to train.
    """

    corpora: tuple[str, ...]
    taken: str | None = None

    @classmethod
    def of(cls, paths: tuple[str, ...], config: TokenizerConfig) -> TokenizerSources:
        """Tell the sources of a job apart: a taken tokenizer stands last."""
        return cls(paths[:-1], paths[-1]) if config.is_taken else cls(paths)

    def paths(self) -> tuple[str, ...]:
        """Return the sources as a job holds them.

        >>> TokenizerSources(("corpus",), "vocab.txt").paths()
        ('corpus', 'vocab.txt')
        """
        return self.corpora if self.taken is None else (*self.corpora, self.taken)
