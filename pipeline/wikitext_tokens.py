"""Walk mwparserfromhell's tokens: internal links out of the text, their places marked in it.

Its C tokenizer takes a sixth of the time of a full parse; the tree of Python nodes, which takes the
rest, is not built. The tokenizer is not public, so `_tokenizer_class` says what is used of it and
falls back to the slower public one.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from mwparserfromhell.parser import tokens as token_types

from pipeline import wikitext_marks as marks
from pipeline.site import CATEGORY, FILE, MAIN, SiteInfo
from pipeline.titles import InvalidTitle, Target, normalise_title
from schemas import pages

_PIPE_TRICK: Final = re.compile(r"\s*\([^()]*\)$|(?:, |،\s*|、).*$", re.DOTALL)
# An anchor is one line of text: what would begin a block inside it is no more than a blank.
_IN_ANCHOR: Final = str.maketrans(
    {"\n": " ", "\r": " ", "\t": " ", "\xa0": " ", marks.LINE: " ", marks.HEADING: " "}
    | dict.fromkeys((marks.BARRIER, marks.ITEM), "")
)


@dataclass(slots=True)
class Walk:
    """What a walk finds: text with marks, and in the order of the marks what the links are."""

    pieces: list[str] = field(default_factory=list)
    links: list[tuple[Target, str]] = field(default_factory=list)
    """Target and kind of each link that has a mark in the text."""
    categories: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Open:
    """A link whose closing brackets are still to come; its text lies in pieces[start:]."""

    start: int
    raw: str | None = None
    target: Target | InvalidTitle | None = None
    is_file: bool = False


def walk_tokens(text: str, site: SiteInfo, dropped: Counter[str]) -> Walk:
    """Return the text with its links marked; links that leave nothing are counted in `dropped`.

    >>> from pipeline.site import default_site
    >>> walk = walk_tokens("an [[apple|Apple]]s", default_site(), Counter())
    >>> "".join(walk.pieces).replace(marks.ANCHOR_OPEN, "<").replace(marks.ANCHOR_CLOSE, ">")
    'an <Apples>'
    >>> walk.links[0][0].title
    'Apple'
    """
    return _Walker(site, dropped).walk(_tokenize(text))


class _Walker:
    """The state of one walk; `skipped` counts what hides the text: titles of files, of links."""

    def __init__(self, site: SiteInfo, dropped: Counter[str]) -> None:
        self.site = site
        self.dropped = dropped
        self.found = Walk()
        self.open: list[_Open] = []
        self.files = 0
        self.trail_from: int | None = None

    def walk(self, tokens: list[Any]) -> Walk:
        pieces = self.found.pieces
        text, trail = token_types.Text, self.site.link_trail
        is_after_link = False
        handlers = self._handlers()
        position, num_tokens = 0, len(tokens)
        while position < num_tokens:
            token = tokens[position]
            position += 1
            kind = token.__class__
            if kind is text:
                piece = token.text
                if is_after_link:
                    is_after_link = False
                    if trail is not None:
                        piece = self._take_trail(piece, trail)
                pieces.append(piece)
                continue
            is_after_link = False
            if kind is token_types.HTMLEntityStart:
                position = self._entity(tokens, position)
            elif kind is token_types.WikilinkClose:
                is_after_link = self._close()
            else:
                handler = handlers.get(kind)
                if handler is not None:
                    position = handler(tokens, position)
        return self.found

    def _handlers(self) -> dict[Any, Any]:
        return {
            token_types.WikilinkOpen: self._open_link,
            token_types.WikilinkSeparator: self._separate,
            token_types.HeadingStart: self._heading,
            token_types.HeadingEnd: self._heading_end,
            token_types.TagOpenOpen: self._markup_tag,
        }

    def _take_trail(self, piece: str, trail: re.Pattern[str]) -> str:
        """Move the letters after `]]` into the link they belong to."""
        match = trail.match(piece)
        if match is None:
            return piece
        self.found.pieces.insert(-1, match.group())
        return piece[match.end() :]

    # ---------------------------------------------------------------- links

    def _open_link(self, tokens: list[Any], position: int) -> int:
        self.open.append(_Open(len(self.found.pieces)))
        return position

    def _separate(self, tokens: list[Any], position: int) -> int:
        link = self.open[-1]
        if link.raw is None:
            self._resolve(link)
        return position

    def _resolve(self, link: _Open) -> None:
        """Take the target off the text and look at where it leads."""
        pieces = self.found.pieces
        link.raw = marks.restore("".join(pieces[link.start :]))
        del pieces[link.start :]
        link.target = self._target(link.raw)
        if link.target.__class__ is Target and link.target[2] == FILE:
            link.is_file = not link.raw.lstrip().startswith(":")
            self.files += link.is_file

    def _target(self, raw: str) -> Target | InvalidTitle:
        return normalise_title(raw.removeprefix(marks.HATNOTE_TARGET), self.site)

    def _close(self) -> bool:
        """End a link; return whether letters that follow belong to it."""
        link = self.open.pop()
        is_bare = link.raw is None
        if is_bare:
            self._resolve(link)
        raw, target, pieces = link.raw or "", link.target, self.found.pieces
        anchor = "".join(pieces[link.start :])
        del pieces[link.start :]
        if link.is_file:
            self.files -= 1
            self._drop_file(anchor)
            return False
        if isinstance(target, InvalidTitle):
            return self._keep_as_text(raw, None if is_bare else anchor)
        assert target is not None, "a closed link was resolved"
        has_colon = raw.lstrip().startswith(":")
        if raw.startswith(marks.HATNOTE_TARGET):
            self._mark_unseen(target, pages.HATNOTE)
            return False
        if target.namespace == CATEGORY and not has_colon:
            self.found.categories.append(target.title.partition(":")[2])
            return False
        if target.is_interwiki and not has_colon:
            prefix = target.title.partition(":")[0]
            if self.site.is_language_prefix(prefix):
                self.dropped["language_link"] += 1
                return False
        if self.files:
            self._mark_unseen(target, pages.CAPTION)
            return False
        if is_bare:
            anchor = marks.protect(_shown_title(raw))
        elif not anchor.strip():
            anchor = marks.protect(_pipe_trick(target))
        return self._mark(target, anchor)

    def _drop_file(self, anchor: str) -> None:
        """Leave of a file only the marks of the links in its caption."""
        num_links = anchor.count(marks.UNSEEN_LINK)
        self.found.pieces.append(marks.UNSEEN_LINK * num_links)
        self.dropped["file" if anchor else "file_without_caption"] += 1

    def _keep_as_text(self, raw: str, anchor: str | None) -> bool:
        self.dropped["invalid_title"] += 1
        if raw.startswith(marks.HATNOTE_TARGET):
            return False
        inner = marks.protect(raw) if anchor is None else f"{marks.protect(raw)}|{anchor}"
        bracket = marks.LITERAL
        self.found.pieces.append(f"{bracket['['] * 2}{inner}{bracket[']'] * 2}")
        return False

    def _mark_unseen(self, target: Target, kind: str) -> None:
        self.found.links.append((target, kind))
        self.found.pieces.append(marks.UNSEEN_LINK)

    def _mark(self, target: Target, anchor: str) -> bool:
        """Put the anchor between marks, its outer blanks outside them."""
        inner = anchor.translate(_IN_ANCHOR)
        stripped = inner.strip(" ")
        if not stripped:
            self.dropped["without_text"] += 1
            return False
        kind = pages.INTERWIKI if target.is_interwiki else pages.BODY
        self.found.links.append((target, kind))
        pieces = self.found.pieces
        pieces.append(" " if inner[0] == " " else "")
        pieces += (marks.ANCHOR_OPEN + stripped, marks.ANCHOR_CLOSE)
        if inner[-1] == " ":
            pieces[-1] += " "
            return False
        return True

    # ---------------------------------------------------------------- the rest

    def _entity(self, tokens: list[Any], position: int) -> int:
        spelled = ""
        while True:
            token = tokens[position]
            position += 1
            kind = token.__class__
            if kind is token_types.HTMLEntityEnd:
                break
            if kind is token_types.HTMLEntityNumeric:
                spelled += "#"
            elif kind is token_types.HTMLEntityHex:
                spelled += token.char
            else:
                spelled += token.text
        self.found.pieces.append(_decode_entity(spelled))
        return position

    def _heading(self, tokens: list[Any], position: int) -> int:
        level = tokens[position - 1].level
        self.found.pieces.append(f"\n{marks.HEADING}{level}")
        return position

    def _heading_end(self, tokens: list[Any], position: int) -> int:
        self.found.pieces.append("\n")
        return position

    def _markup_tag(self, tokens: list[Any], position: int) -> int:
        """Skip a tag the tokenizer made of list marks or rules that markup removal left."""
        while tokens[position].__class__ not in _TAG_ENDS:
            position += 1
        return position + 1


_TAG_ENDS: Final = (token_types.TagCloseSelfclose, token_types.TagCloseOpen)


def _shown_title(raw: str) -> str:
    """What a link without text shows: its target as written, without the leading colon."""
    text = html.unescape(raw).strip()
    return text[1:].lstrip() if text.startswith(":") else text


def _pipe_trick(target: Target) -> str:
    """[[Paris (Texas)|]] was meant to show "Paris". Manual: Help:Pipe trick."""
    title = target.title
    if target.is_interwiki or target.namespace != MAIN:
        title = title.partition(":")[2]
    return _PIPE_TRICK.sub("", title) or title


@cache
def _decode_entity(spelled: str) -> str:
    text = html.unescape(f"&{spelled};")
    return marks.without_marks(marks.protect(text) if len(text) == 1 else text)


def _tokenize(text: str) -> list[Any]:
    tokens: list[Any] = _tokenizer_class()().tokenize(text, 0, True)
    return tokens


@cache
def _tokenizer_class() -> Any:
    """The C tokenizer: `tokenize(text, context, skip_style_tags)` gives the list of tokens."""
    try:
        from mwparserfromhell.parser._tokenizer import CTokenizer
    except ImportError:
        from mwparserfromhell.parser.tokenizer import Tokenizer

        return Tokenizer
    return CTokenizer
