"""JSON lines: one document or redirect per line, links with their places or without.

{"id": 7, "title": "Cat", "text": "A pet.", "links": [{"start": 2, "end": 5, "target": "Pet"}]}
{"source": "Felis catus", "target": "Cat"}
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

from pipeline.ingest.config import EXACT_TITLES, WIKI_TITLES
from pipeline.ingest.entries import (
    MAX_TEXT_CHARS,
    MAX_TITLE_BYTES,
    TEXT_TOO_LONG,
    TITLE_TOO_LONG,
    Document,
    DocumentLink,
    Entry,
    Malformed,
    Redirect,
)
from pipeline.wiki.site_info import MAIN, default_site

MAX_LINE_BYTES = 1 << 26
"""The longest line that is read; a longer one is passed over and rejected."""

_MAX_ID = (1 << 62) - 1
_MAX_DETAIL_CHARS = 200


class _RecordError(ValueError):
    """A record does not fit; args are the reason and the detail."""


def read_jsonl(
    lines: Iterable[tuple[int, bytes]], titles: str = WIKI_TITLES, only_exact: bool = False
) -> Iterator[Entry]:
    """Read one JSON object per line: {id, title, text, links} or a redirect {source, target}.

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
        if len(line) > MAX_LINE_BYTES:
            detail = f"expected a line of at most {MAX_LINE_BYTES:,} bytes, found a longer one"
            yield Malformed("line_too_long", detail, offset)
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
        told = f"expected an object on each line, found {type(record).__name__}"
        raise _RecordError("not_an_object", told)
    return record


def _redirect(record: dict[str, Any], titles: str) -> Redirect:
    source, target = (
        _short(_string(record, name), TITLE_TOO_LONG) for name in ("source", "target")
    )
    title, _ = spell_title(source, titles)
    return Redirect(title, *spell_title(target, titles))


def _document(record: dict[str, Any], titles: str, only_exact: bool) -> Document:
    key, is_number = spell_key(record.get("id"))
    title, fragment = spell_title(_short(_string(record, "title"), TITLE_TOO_LONG), titles)
    if not title:
        raise _RecordError("empty_title", f"id {key}")
    text = _string(record, "text")
    if len(text) > MAX_TEXT_CHARS:
        raise _RecordError(TEXT_TOO_LONG, f"id {key}: {len(text):,} characters")
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
        return _short(_unicode(value), "bad_id"), False
    found = "none" if value is None else repr(value)
    raise _RecordError("bad_id", f"expected an integer from 0 to 2^62 or a string, found {found}")


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
    title, fragment = spell_title(_short(_unicode(link["target"]), TITLE_TOO_LONG), titles)
    if not title and fragment is None:
        raise _RecordError("link_without_target", "")
    return DocumentLink(start, end, title, fragment)


def _string(record: dict[str, Any], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str):
        found = "none" if value is None else type(value).__name__
        raise _RecordError(f"no_{name}", f"expected a string, found {found}")
    return _unicode(value)


def _short(value: str, reason: str) -> str:
    """Return a title or id that is not longer than any can be."""
    num_bytes = len(value.encode())
    if num_bytes > MAX_TITLE_BYTES:
        raise _RecordError(reason, f"expected at most {MAX_TITLE_BYTES} bytes, found {num_bytes}")
    return value


def _unicode(value: str) -> str:
    """Return a text that can be written as UTF-8: JSON may spell half a surrogate pair."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _RecordError("not_unicode", str(error)) from error
    return value


def _printable(text: str) -> str:
    return text[:_MAX_DETAIL_CHARS].encode("utf-8", "replace").decode("utf-8")
