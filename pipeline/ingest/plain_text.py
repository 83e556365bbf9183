"""Plain text, as BookCorpus comes: documents separated by blank lines, without links."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pipeline.ingest.entries import MAX_TEXT_CHARS, Document, Entry, Malformed
from schemas.errors import DumpError

_BYTE_ORDER_MARK = "\ufeff"
# How the first line of what is not plain text begins, what that is, and the format to choose.
_OTHER_FORMATS = (
    ('{"', "JSON lines", "give --format jsonl"),
    ("<mediawiki", "a MediaWiki export", "use `linkbert parse`"),
    ("<PubmedArticleSet", "PubMed XML", "give --format pubmed"),
    ("<?xml", "XML", "give --format pubmed, or use `linkbert parse` for a wiki's dump"),
    ("<!DOCTYPE", "XML or a web page", "give --format pubmed, or its text alone"),
)


def read_text(lines: Iterable[tuple[int, bytes]], source: int, name: str) -> Iterator[Entry]:
    r"""Read documents separated by blank lines, without links, as BookCorpus comes.

    Args:
        lines: the byte offset and the bytes of each line.
        source: the number of the input; ids follow the order of inputs and documents.
        name: of the file; titles begin with what stands before its first dot.

    Raises:
        DumpError: the first line is of another format, or a document is longer than
            MAX_TEXT_CHARS, as when no blank line parts any.

    >>> lines = [(0, b"One\n"), (4, b"\n"), (5, b"Two")]
    >>> [(document.title, document.text) for document in read_text(lines, 0, "book.txt")]
    [('book 1', 'One'), ('book 2', 'Two')]
    """
    paragraph: list[str] = []
    number = num_chars = 0
    is_first = True
    for offset, line in _with_end(lines):
        try:
            text = line.decode("utf-8").removeprefix(_BYTE_ORDER_MARK).strip()
        except UnicodeDecodeError as error:
            yield Malformed("not_utf8", str(error), offset)
            continue
        if text and is_first:
            _refuse_other_format(text, name)
            is_first = False
        if text:
            paragraph.append(text)
            num_chars += len(text)
            if num_chars > MAX_TEXT_CHARS:
                raise DumpError(
                    f"expected documents separated by blank lines, found {num_chars:,} characters "
                    f"without one before byte {offset} of {name}: put a blank line between them"
                )
        elif paragraph:
            number += 1
            num_chars = 0
            key = f"{source:05d}-{number:010d}"
            yield Document(key, False, f"{name.split('.')[0]} {number}", "\n".join(paragraph))
            paragraph = []


def _with_end(lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    yield from lines
    yield 0, b""


def _refuse_other_format(line: str, name: str) -> None:
    for beginning, kind, cure in _OTHER_FORMATS:
        if line.startswith(beginning):
            raise DumpError(f"expected plain text, found {kind} in {name}: {cure}")
