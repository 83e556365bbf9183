"""The options of `parse`: what decides its tables besides the dump."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ParseConfig:
    """What decides the tables besides the dump.

    Attributes:
        namespaces: ids of the namespaces whose pages are kept; 0 holds the articles.
        page_cpu_seconds: CPU time after which a page is rejected; ordinary ones take 0.01.
        language: code of the content language, where the dump's header is wrong or missing.
        allow_truncated: read a compressed file that is cut off as far as it goes.
        max_page_bytes: a page longer than this, older revisions aside, is rejected. MediaWiki
            saves none above 2 MB unless configured to.
    """

    namespaces: tuple[int, ...] = field(
        default=(0,), metadata={"help": "namespaces to keep", "metavar": "N"}
    )
    page_cpu_seconds: float = 10.0
    language: str | None = field(
        default=None, metadata={"help": "where the dump does not say it", "metavar": "CODE"}
    )
    allow_truncated: bool = field(
        default=False, metadata={"help": "keep what a cut-off file still holds"}
    )
    max_page_bytes: int = 1 << 26

    def __post_init__(self) -> None:
        if not self.namespaces:
            raise ConfigError("expected at least one namespace, found none: 0 holds the articles")
        if self.page_cpu_seconds <= 0:
            raise ConfigError(f"expected page_cpu_seconds above 0, found {self.page_cpu_seconds:g}")
