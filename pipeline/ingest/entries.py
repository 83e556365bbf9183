"""What `ingest` reads, one record at a time, from JSON lines or plain text; no files, no Beam.

A reader yields `Document`, `Redirect` and `Malformed`; links it has to leave out are counted in
the document they were on. Ids stay as their source spells them; `pipeline.ingest.number` turns
them into page ids.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline.ingest.config import EXACT_TITLES, WIKI_TITLES
from pipeline.wiki.site_info import MAIN, default_site
from schemas.errors import DumpError
from schemas.tables.pages import BODY

MAX_TEXT_CHARS = 1 << 26
"""The longest document of plain text; the Bible has 4 million characters."""

_BYTE_ORDER_MARK = "\ufeff"
_MAX_ID = (1 << 62) - 1
_MAX_DETAIL_CHARS = 200


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


class _RecordError(ValueError):
    """A record does not fit; args are the reason and the detail."""


def read_jsonl(
    lines: Iterable[tuple[int, bytes]], titles: str = WIKI_TITLES, only_exact: bool = False
) -> Iterator[Entry]:
    """Read one JSON object a line: {id, title, text, links} or a redirect {source, target}.

    Args:
        lines: the byte offset and the bytes of each line; blank ones are passed over.
        titles: WIKI_TITLES or EXACT_TITLES, see `spell_title`.
        only_exact: leave out links marked `"exact": false`, whose places were guessed.

    >>> line = b'{"id": 7, "title": "cat", "text": "A pet.", "links": [{"start": 2, "end": 5, '
    >>> document = next(read_jsonl([(0, line + b'"target": "pet#Care"}]}')]))
    >>> document.title, document.links[0].target_title, document.links[0].target_fragment
    ('Cat', 'Pet', 'Care')
    """
    for offset, line in lines:
        if not line.strip():
            continue
        title = None
        try:
            record = _parse_object(line)
            title = record.get("title") if isinstance(record.get("title"), str) else None
            if "source" in record and "target" in record and "text" not in record:
                yield _redirect(record, titles)
            else:
                yield _document(record, titles, only_exact)
        except _RecordError as error:
            reason, detail = error.args
            shown = None if title is None else _printable(title)
            yield Malformed(reason, _printable(detail), offset, shown)


def read_text(lines: Iterable[tuple[int, bytes]], source: int, name: str) -> Iterator[Entry]:
    r"""Read documents separated by blank lines, without links, as BookCorpus comes.

    Args:
        lines: the byte offset and the bytes of each line.
        source: the number of the input; ids follow the order of inputs and documents.
        name: what titles begin with.

    Raises:
        DumpError: a document is longer than MAX_TEXT_CHARS, as when no blank line parts any.

    >>> lines = [(0, b"One\n"), (4, b"\n"), (5, b"Two")]
    >>> [(document.title, document.text) for document in read_text(lines, 0, "book")]
    [('book 1', 'One'), ('book 2', 'Two')]
    """
    paragraph: list[str] = []
    number = num_chars = 0
    for offset, line in _with_end(lines):
        try:
            text = line.decode("utf-8").removeprefix(_BYTE_ORDER_MARK).strip()
        except UnicodeDecodeError as error:
            yield Malformed("not_utf8", str(error), offset)
            continue
        if text:
            paragraph.append(text)
            num_chars += len(text)
            if num_chars > MAX_TEXT_CHARS:
                raise DumpError(
                    f"expected documents parted by blank lines, found {num_chars:,} characters "
                    f"without one before byte {offset} of {name}: put a blank line between them"
                )
        elif paragraph:
            number += 1
            num_chars = 0
            key = f"{source:05d}-{number:010d}"
            yield Document(key, False, f"{name} {number}", "\n".join(paragraph))
            paragraph = []


def _with_end(lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    yield from lines
    yield 0, b""


def spell_title(title: str, titles: str) -> tuple[str, str | None]:
    """Return a title in its one spelling, and the section after `#` where there may be one.

    `wiki` titles follow MediaWiki as far as any corpus can: underscores are blanks, the first
    letter is a capital, `#` begins a section. `exact` titles are only composed (NFC) and trimmed.

    >>> spell_title("iPhone_4 #Sales", "wiki"), spell_title("iPhone_4 #Sales", "exact")
    (('IPhone 4', 'Sales'), ('iPhone_4 #Sales', None))
    """
    title = unicodedata.normalize("NFC", title)
    if titles == EXACT_TITLES:
        return title.strip(), None
    page, mark, fragment = title.replace("_", " ").partition("#")
    page = default_site().capitalise(" ".join(page.split()), MAIN)
    return page, (fragment.strip() or None) if mark else None


def _parse_object(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _RecordError("malformed_json", str(error)) from error
    if not isinstance(record, dict):
        raise _RecordError("not_an_object", f"found {type(record).__name__}")
    return record


def _redirect(record: dict[str, Any], titles: str) -> Redirect:
    source, target = _string(record, "source"), _string(record, "target")
    title, _ = spell_title(source, titles)
    return Redirect(title, *spell_title(target, titles))


def _document(record: dict[str, Any], titles: str, only_exact: bool) -> Document:
    key, is_number = spell_key(record.get("id"))
    title, fragment = spell_title(_string(record, "title"), titles)
    if not title:
        raise _RecordError("empty_title", f"id {key}")
    text = _string(record, "text")
    # A title may hold a `#` although a link may not.
    document = Document(key, is_number, title if fragment is None else f"{title}#{fragment}", text)
    links = record.get("links")
    links = [] if links is None else links
    if not isinstance(links, list):
        raise _RecordError("malformed_links", f"id {key}: {type(links).__name__}")
    for link in links:
        try:
            document.links.append(_link(link, len(text), titles, only_exact))
        except _RecordError as error:
            document.dropped[error.args[0]] += 1
    document.links.sort(key=_place)
    return document


def _place(link: DocumentLink) -> tuple[bool, int]:
    return link.start_char is None, link.start_char or 0


def spell_key(value: Any) -> tuple[str, bool]:
    """Return an id as text, and whether it is a number; 7 and "7" are one id.

    >>> spell_key(7), spell_key("enwiki-0a")
    (('7', True), ('enwiki-0a', False))
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_ID:
        return str(value), True
    if isinstance(value, str) and value:
        return _unicode(value), False
    raise _RecordError("bad_id", f"expected an integer from 0 to 2^62 or a text, found {value!r}")


def _link(link: Any, num_chars: int, titles: str, only_exact: bool) -> DocumentLink:
    if not isinstance(link, dict):
        raise _RecordError("malformed_link", "")
    if only_exact and link.get("exact") is False:
        raise _RecordError("link_not_exact", "")
    start, end = link.get("start"), link.get("end")
    if not (start is None and end is None):
        # A bool is an int to isinstance.
        if not (type(start) is int and type(end) is int):
            raise _RecordError("malformed_link", "")
        if not 0 <= start < end <= num_chars:
            raise _RecordError("link_outside_text", "")
    if link.get("target_id") is not None:
        return DocumentLink(start, end, "", None, spell_key(link["target_id"])[0])
    if not isinstance(link.get("target"), str):
        raise _RecordError("link_without_target", "")
    title, fragment = spell_title(_unicode(link["target"]), titles)
    if not title and fragment is None:
        raise _RecordError("link_without_target", "")
    return DocumentLink(start, end, title, fragment)


def _string(record: dict[str, Any], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str):
        raise _RecordError(f"no_{name}", f"expected a text, found {type(value).__name__}")
    return _unicode(value)


def _unicode(value: str) -> str:
    """Return a text that can be written as UTF-8: JSON may spell half a surrogate pair."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _RecordError("not_unicode", str(error)) from error
    return value


def _printable(text: str) -> str:
    return text[:_MAX_DETAIL_CHARS].encode("utf-8", "replace").decode("utf-8")
