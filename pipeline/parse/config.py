"""The options of `parse`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pipeline.wikitext.templates.tables import read_own_tables
from schemas.errors import ConfigError

_MIN_PAGE_BYTES, _MAX_PAGE_BYTES = 1 << 10, 1 << 28
_LANGUAGE = re.compile(r"[A-Za-z]{2,12}([-_][A-Za-z0-9]{1,12})*", re.ASCII)


@dataclass(frozen=True, slots=True)
class ParseConfig:
    """What decides the tables, apart from the dump.

    Attributes:
        namespaces: ids of the namespaces whose pages are kept; 0 holds the articles.
        page_cpu_seconds: CPU time after which a page is rejected; ordinary ones take 0.01.
        language: code of the content language, for a dump whose header is wrong or missing.
        allow_truncated: read a file that is cut off as far as it goes.
        max_page_bytes: a page longer than this, not counting older revisions, is rejected; this
            bounds the memory of all later tasks too. MediaWiki saves no wikitext above 2 MB unless
            configured to (https://www.mediawiki.org/wiki/Manual:$wgMaxArticleSize).
        templates: the user's own rules for templates, as the text of a TOML file in the form of
            `pipeline/wikitext/templates/any_language.toml`; they win over the shipped ones.
    """

    namespaces: tuple[int, ...] = field(
        default=(0,), metadata={"help": "namespaces to keep", "metavar": "N"}
    )
    page_cpu_seconds: float = 10.0
    language: str | None = field(
        default=None,
        metadata={"help": "if the dump does not say it", "metavar": "CODE"},
    )
    allow_truncated: bool = field(
        default=False, metadata={"help": "keep what a cut-off file still holds"}
    )
    max_page_bytes: int = field(
        default=1 << 24,
        metadata={"help": "longer pages are rejected, older revisions aside", "metavar": "N"},
    )
    templates: str = field(
        default="",
        metadata={"help": "your own rules for templates", "metavar": "FILE.toml", "is_file": True},
    )

    def __post_init__(self) -> None:
        read_own_tables(self.templates)
        if not self.namespaces:
            raise ConfigError("expected at least one namespace, found none: 0 holds the articles")
        if self.page_cpu_seconds <= 0:
            raise ConfigError(f"expected page_cpu_seconds above 0, found {self.page_cpu_seconds:g}")
        if not _MIN_PAGE_BYTES <= self.max_page_bytes <= _MAX_PAGE_BYTES:
            raise ConfigError(
                f"expected max_page_bytes from {_MIN_PAGE_BYTES:,} to {_MAX_PAGE_BYTES:,}, "
                f"found {self.max_page_bytes:,}: change it"
            )
        if self.language is not None and not _LANGUAGE.fullmatch(self.language):
            raise ConfigError(
                f"expected a language code such as ltg or zh-hant, found "
                f"{self.language[:40]!r}: see https://www.mediawiki.org/wiki/Manual:Language"
            )
