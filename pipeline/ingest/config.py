"""The options of `ingest`: how its inputs are to be read."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.errors import ConfigError

FORMATS = ("jsonl", "pubmed", "text")

WIKI_TITLES = "wiki"
EXACT_TITLES = "exact"
TITLES = (WIKI_TITLES, EXACT_TITLES)


@dataclass(frozen=True, slots=True)
class IngestConfig:
    """How to read the inputs.

    Attributes:
        format: jsonl, pubmed or text.
        titles: `wiki` spells titles and targets as MediaWiki does (first letter a capital, blanks
            for underscores, `#` begins a section), `exact` leaves them; only for jsonl.
        only_exact_links: leave out links of jsonl that say `"exact": false`.
    """

    format: str = field(default="jsonl", metadata={"help": "of the files", "choices": FORMATS})
    titles: str = field(
        default=WIKI_TITLES, metadata={"help": "MediaWiki's rules, or none", "choices": TITLES}
    )
    only_exact_links: bool = field(
        default=False, metadata={"help": 'leave out links with "exact": false'}
    )

    def __post_init__(self) -> None:
        for key, allowed in (("format", FORMATS), ("titles", TITLES)):
            value = getattr(self, key)
            if value not in allowed:
                raise ConfigError(
                    f"expected {key} to be one of {', '.join(allowed)}, found {value!r}: change it"
                )
