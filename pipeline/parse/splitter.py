"""Cut the decoded bytes of one range of a dump into whole pages, and note how ranges connect.

    range k      ...</page>  <page>...</page>  <page>...<pa  |ge>  ...  range k+1
    owned                    ^ first                     ^ last: begins here, so it is ours whole

A page belongs to the range that holds the first byte of its tag, so ranges are independent.
`<` is always escaped in the content of an export, so a byte search finds exactly the tags. Damage
shows as a page that is not closed, and is handed on with that fault.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from schemas.errors import StageError

OPEN = b"<page>"
CLOSE = b"</page>"
REVISION = b"<revision"

WHOLE = ""
TRUNCATED = "truncated"
"""The dump ends inside the page."""
UNCLOSED = "unclosed"
"""The next page begins before this one has ended."""
TOO_LARGE = "too_large"
"""The page is longer than a task may hold."""
STRAY = "stray_content"
"""Not a page: content between pages, as a damaged tag leaves it."""

# One search for both tags: five times as fast as two searches, as only tags contain `<`.
_PAGE_TAG = re.compile(rb"</?page>")
_EXCERPT_BYTES = 4096
_GAP_BYTES = 1 << 17
"""How much content between pages is examined; a header with all namespaces is 6 kB."""

_FOOTER = b"</mediawiki>"
_FURNITURE = (
    (b"<siteinfo", b"</siteinfo>"),
    (b"<!--", b"-->"),
    (b"<?xml", b">"),
    (b"<mediawiki", b">"),
    (b"</mediawiki", b">"),
    (b"\xef\xbb\xbf", b""),
)
"""Begin and end of what may stand between pages: headers and footers, also of joined dumps."""
_BLANK = re.compile(rb"\s*")


@dataclass(frozen=True, slots=True)
class RawPage:
    """One page as bytes, from its tag to its end tag.

    Attributes:
        offset: of its first byte in the decoded bytes of the range.
        data: the page; only its beginning where it is too large or stray.
        fault: why it cannot be used; empty if it can.
        num_pruned: number of older revisions left out because a long history would not fit.
    """

    offset: int
    data: bytes
    fault: str = WHOLE
    num_pruned: int = 0


@dataclass(slots=True)
class RangeFacts:
    """Facts about one range, from which `check_chain` checks that no page was lost in between.

    Attributes:
        num_bytes: decoded bytes that the range owns.
        num_pages: pages that begin in them.
        num_tags: page tags in the owned bytes, counted independently of the splitting.
        first_page: offset of its first page, None without one.
        end: offset after its last page, None without one; beyond `num_bytes` if it spills over.
        next_page: offset of the first page after the range, if it was read that far.
        is_head_clean: whether only header or footer stands before the first page.
    """

    num_bytes: int = 0
    num_pages: int = 0
    num_tags: int = 0
    first_page: int | None = None
    end: int | None = None
    next_page: int | None = None
    is_head_clean: bool = True


class PageSplitter:
    """Split the decoded bytes of one range into pages; `facts` is complete when `pages` ends.

    Args:
        owned: the bytes of the range, in pieces.
        after: the bytes that follow; read only as far as the last page needs.
        max_page_bytes: a page longer than this, without its older revisions, is skipped.
    """

    def __init__(self, owned: Iterable[bytes], after: Iterable[bytes], max_page_bytes: int) -> None:
        self.facts = RangeFacts()
        self._owned, self._after = iter(owned), iter(after)
        self._is_owned = True
        self._max_page_bytes = max_page_bytes
        # The decoded bytes in memory, how many of them are processed, and the offset of the rest.
        self._buffer = b""
        self._at = 0
        self._offset = 0
        self._tag_tail = b""
        self._after_to_count = len(OPEN) - 1

    def pages(self) -> Iterator[RawPage]:
        """Yield the pages of the range, whole or with a fault, and stray content between them."""
        facts = self.facts
        while (begin := (yield from self._skip_to_page())) is not None:
            if facts.first_page is None:
                facts.first_page = begin
            facts.num_pages += 1
            page = self._page_at(begin)
            facts.end = self._offset
            yield page

    def _skip_to_page(self) -> Generator[RawPage, None, int | None]:
        """Move to the next page that begins in owned bytes; yield stray content before it."""
        start, gap = self._offset, b""
        while (found := self._find(OPEN)) < 0:
            keep = _open_tag_prefix(self._buffer)
            gap += self._done_with(max(0, self._length() - keep), _GAP_BYTES - len(gap))
            is_tag_ours = keep > 0 and self._offset < self.facts.num_bytes
            if not self._more_owned() and not (is_tag_ours and self._more_after()):
                break
        gap += self._done_with(max(0, found), _GAP_BYTES - len(gap))
        is_clean = _is_clean(gap)
        if self.facts.first_page is None:
            self.facts.is_head_clean = is_clean
        elif not is_clean:
            yield RawPage(start, gap[:_EXCERPT_BYTES], STRAY)
        if found < 0:
            return None
        if not self._is_owned and self._offset >= self.facts.num_bytes:
            self.facts.next_page = self._offset
            return None
        return self._offset

    def _page_at(self, begin: int) -> RawPage:
        """Take the page that begins here."""
        num_pruned, searched = 0, len(OPEN)
        while True:
            tag = _PAGE_TAG.search(self._buffer, self._at + searched)
            is_whole = tag is not None and tag.group() == CLOSE
            end = len(self._buffer) if tag is None else tag.end() if is_whole else tag.start()
            length = end - self._at
            if length > self._max_page_bytes:
                pruned = self._prune(length)
                if not pruned:
                    return RawPage(begin, self._skip_large(), TOO_LARGE, num_pruned)
                num_pruned, searched = num_pruned + pruned, len(OPEN)
                continue
            if tag is not None:
                fault = WHOLE if is_whole else UNCLOSED
                return RawPage(begin, self._done_with(length), fault, num_pruned)
            searched = max(len(OPEN), self._length() - len(CLOSE) + 1)
            if not self._more():
                return RawPage(begin, self._done_with(self._length()), TRUNCATED, num_pruned)

    def _prune(self, length: int) -> int:
        """Drop the older revisions of the current page; return how many they were."""
        rest = self._buffer[self._at :]
        first, last = rest.find(REVISION, 0, length), rest.rfind(REVISION, 0, length)
        if first < 0 or first == last:
            return 0
        self._buffer, self._at = rest[:first] + rest[last:], 0
        self._offset += last - first
        return rest.count(REVISION, first, last)

    def _skip_large(self) -> bytes:
        """Move past a page that does not fit; return its beginning."""
        excerpt = self._done_with(len(OPEN), _EXCERPT_BYTES)
        excerpt += self._buffer[self._at : self._at + _EXCERPT_BYTES]
        while True:
            close, inner = self._find(CLOSE), self._find(OPEN)
            if close >= 0 and not 0 <= inner < close:
                self._done_with(close + len(CLOSE), 0)
                return excerpt
            if inner >= 0:
                self._done_with(inner, 0)
                return excerpt
            self._done_with(max(0, self._length() - len(CLOSE) + 1), 0)
            if not self._more():
                self._done_with(self._length(), 0)
                return excerpt

    def _length(self) -> int:
        """Return how many bytes are in hand."""
        return len(self._buffer) - self._at

    def _find(self, tag: bytes) -> int:
        """Return where a tag lies in the bytes in hand, below 0 if nowhere."""
        found = self._buffer.find(tag, self._at)
        return found - self._at if found >= 0 else found

    def _done_with(self, length: int, keep: int | None = None) -> bytes:
        """Move on by `length` bytes; return them, or the first `keep` of them."""
        wanted = length if keep is None else max(0, min(length, keep))
        data = self._buffer[self._at : self._at + wanted]
        self._at += length
        self._offset += length
        return data

    def _more(self) -> bool:
        return self._more_owned() or self._more_after()

    def _more_owned(self) -> bool:
        """Append the next owned piece to what is in hand; False when there is none."""
        piece = next(self._owned, None) if self._is_owned else None
        if piece is None:
            self._is_owned = False
            return False
        self.facts.num_bytes += len(piece)
        self._count_tags(piece)
        self._append(piece)
        return True

    def _more_after(self) -> bool:
        """Append the next piece after the range to what is in hand; False at the file's end."""
        piece = next(self._after, None)
        if piece is None:
            return False
        # A tag that begins in the last owned bytes is ours, so a few more bytes count.
        self._count_tags(piece[: self._after_to_count])
        self._after_to_count = max(0, self._after_to_count - len(piece))
        self._append(piece)
        return True

    def _append(self, piece: bytes) -> None:
        self._buffer = self._buffer[self._at :] + piece
        self._at = 0

    def _count_tags(self, piece: bytes) -> None:
        self._tag_tail += piece
        self.facts.num_tags += self._tag_tail.count(OPEN)
        self._tag_tail = self._tag_tail[1 - len(OPEN) :]


def _open_tag_prefix(data: bytes) -> int:
    """Return how many bytes at the end of `data` may begin a page tag.

    >>> _open_tag_prefix(b"</page>  <pa"), _open_tag_prefix(b"</page>")
    (3, 0)
    """
    return next((n for n in range(len(OPEN) - 1, 0, -1) if data.endswith(OPEN[:n])), 0)


def _is_clean(gap: bytes) -> bool:
    """Tell whether only blanks, header and footer stand between two pages.

    >>> _is_clean(b"  "), _is_clean(b"</mediawiki>"), _is_clean(b"<title>Lost</title>")
    (True, True, False)
    """
    content = gap.strip()
    # A range may end inside the footer.
    if _FOOTER.startswith(content) or _FOOTER.endswith(content):
        return True
    place = 0
    # Always forward: searching again from every beginning would take quadratic time.
    while (place := _past_blank(content, place)) < len(content):
        after = _past_furniture(content, place)
        if after is None:
            return False
        place = after
    return True


def _past_blank(content: bytes, place: int) -> int:
    blank = _BLANK.match(content, place)
    assert blank is not None
    return blank.end()


def _past_furniture(content: bytes, place: int) -> int | None:
    """Return where the header or footer that begins here ends, None if there is none."""
    for begin, end in _FURNITURE:
        if content.startswith(begin, place):
            found = content.find(end, place + len(begin))
            return None if found < 0 else found + len(end)
    return None


def check_chain(ranges: Sequence[RangeFacts], where: str) -> int:
    """Check that the ranges of one file read every page exactly once; count the loose ends.

    A loose end is content at the beginning of a range that is part of no page: damage on the border
    of two ranges, which neither could put into the rejects.

    Args:
        ranges: facts in the order of the ranges.
        where: the file, for the message.

    Raises:
        StageError: a page was lost or read twice between two ranges.
    """
    loose_ends, start = 0, 0
    covered_to, expected = 0, None
    for index, facts in enumerate(ranges):
        first = None if facts.first_page is None else start + facts.first_page
        if facts.num_pages != facts.num_tags:
            raise _broken_chain(where, index, f"{facts.num_tags} page tags", str(facts.num_pages))
        if first is not None:
            if first < covered_to or (expected is not None and first != expected):
                raise _broken_chain(where, index, f"a page at {expected or covered_to}", str(first))
            expected = None
        # A header that is longer than the first range is not a loose end.
        is_header = covered_to == 0 and (index > 0 or first is None)
        loose_ends += covered_to <= start and not is_header and not facts.is_head_clean
        if facts.end is not None:
            covered_to = start + facts.end
            expected = None if facts.next_page is None else start + facts.next_page
        start += facts.num_bytes
    if expected is not None:
        raise _broken_chain(where, len(ranges), f"a page at {expected}", "none")
    return loose_ends


def _broken_chain(where: str, index: int, expected: str, found: str) -> StageError:
    return StageError(
        f"expected {expected} in range {index} of {where}, found {found}: "
        "this is a bug, please report it"
    )
