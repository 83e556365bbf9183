"""The options of `segment`."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.errors import ConfigError


@dataclass(frozen=True, slots=True)
class SegmentConfig:
    """How documents are cut; sizes in tokens, without special ones.

    Attributes:
        max_tokens: the longest segment; 254 + 254 + 3 special tokens are 511.
        min_tokens: the shortest one of a document that has more tokens than one segment holds.
        exclude_disambiguation: leave out pages that only tell titles apart.
    """

    max_tokens: int = field(default=254, metadata={"help": "of a segment", "metavar": "N"})
    min_tokens: int = field(
        default=32, metadata={"help": "unless the document has fewer", "metavar": "N"}
    )
    exclude_disambiguation: bool = field(default=False, metadata={"help": "leave them out"})

    def __post_init__(self) -> None:
        if not 2 <= self.max_tokens <= 8192:
            raise ConfigError(
                f"expected max_tokens from 2 to 8192, found {self.max_tokens}: change it"
            )
        if self.min_tokens < 1:
            raise ConfigError(f"expected min_tokens of at least 1, found {self.min_tokens}")

    @property
    def shortest(self) -> int:
        """The minimum that can always be kept: half of the longest, where more is asked for."""
        return min(self.min_tokens, self.max_tokens // 2)
