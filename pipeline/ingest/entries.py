"""What a reader of `ingest` gives: documents, redirects, withdrawals and malformed records.

Ids stay as their source spells them; `pipeline.ingest.number` turns them into page ids. Links that
a reader leaves out are counted in the document they were on.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from schemas.tables.pages import BODY

MAX_TEXT_CHARS = 1 << 24
"""The longest document; the Bible has 4 million characters."""

MAX_TITLE_BYTES = 1 << 12
"""The longest title, target or id, in UTF-8; those of articles in journals reach some hundred."""

TITLE_TOO_LONG = "title_too_long"
TEXT_TOO_LONG = "text_too_long"


@dataclass(frozen=True, slots=True)
class DocumentLink:
    """A link: to a title, or (then `target_title` is empty) to the document of an id."""

    start_char: int | None
    end_char: int | None
    target_title: str
    target_fragment: str | None = None
    target_key: str | None = None
    kind: str = BODY


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a document's text with a heading."""

    title: str
    level: int
    start_char: int


@dataclass(frozen=True, slots=True)
class Document:
    """A document as its source has it; `dropped` counts links left out, by reason."""

    key: str
    is_number: bool
    title: str
    text: str
    links: list[DocumentLink] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Redirect:
    """Another name of a document."""

    title: str
    target_title: str
    target_fragment: str | None


@dataclass(frozen=True, slots=True)
class Malformed:
    """A record that cannot be kept: why, where (bytes into the input, uncompressed) and what."""

    reason: str
    detail: str
    offset: int | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Deletion:
    """The document of an id is withdrawn, as update files of PubMed do."""

    key: str


Entry = Document | Redirect | Deletion | Malformed
