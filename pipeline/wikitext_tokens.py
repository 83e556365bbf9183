"""Walk mwparserfromhell's tokens: internal links out of the text, their places marked in it.

Its C tokenizer takes a sixth of the time of a full parse; the tree of Python nodes, which takes the
rest, is not built. The tokenizer is not public, so `_tokenizer_class` says what is used of it and
falls back to the slower public one.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from mwparserfromhell.parser import tokens as token_types

from pipeline import wikitext_marks as marks
from pipeline.titles import InvalidTitle, Target, decode_target, normalise_title
from pipeline.wiki_site import CATEGORY, FILE, MAIN, SiteInfo
from schemas import pages

_TEXT: Final = token_types.Text
_LINK_OPEN: Final = token_types.WikilinkOpen
_LINK_SEPARATOR: Final = token_types.WikilinkSeparator
_LINK_CLOSE: Final = token_types.WikilinkClose
_REFUSED_TARGET: Final = re.compile(r"\[\[[^\[\]|]*\|")
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

    def marked_text(self, dropped: Counter[str]) -> str:
        """Return the text with its marks, without the brackets of what the tokenizer refused."""
        text = "".join(self.pieces)
        if "[[" in text or "]]" in text:
            dropped["invalid_title"] += text.count("[[")
            text = _REFUSED_TARGET.sub("", text).replace("[[", "").replace("]]", "")
        return text


@dataclass(slots=True)
class _Open:
    """A link whose closing brackets are still to come; its text lies in pieces[start:]."""

    start: int
    raw: str | None = None
    target: Target | InvalidTitle | None = None
    is_file: bool = False


def walk_tokens(text: str, site: SiteInfo, dropped: Counter[str]) -> Walk:
    """Return the text with its links marked; links that leave nothing are counted in `dropped`.

    >>> from pipeline.wiki_site import default_site
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

    def walk(self, tokens: list[Any]) -> Walk:
        pieces, opened, trail = self.found.pieces, self.open, self.site.link_trail
        is_after_link = False
        stream = iter(tokens)
        for token in stream:
            kind = token.__class__
            if kind is _TEXT:
                piece = token["text"]
                if is_after_link:
                    is_after_link = False
                    match = trail and trail.match(piece)
                    if match:
                        # The letters after `]]` stand before the mark that closes the anchor.
                        pieces.insert(-1, match.group())
                        piece = piece[match.end() :]
                pieces.append(piece)
                continue
            is_after_link = False
            if kind is _LINK_OPEN:
                opened.append(_Open(len(pieces)))
            elif kind is _LINK_SEPARATOR:
                self._resolve(opened[-1])
            elif kind is _LINK_CLOSE:
                is_after_link = self._close()
            elif kind is token_types.HTMLEntityStart:
                pieces.append(_entity(stream))
            elif kind is token_types.HeadingStart:
                pieces.append(f"\n{marks.HEADING}{token['level']}")
            elif kind is token_types.HeadingEnd:
                pieces.append("\n")
            elif kind is token_types.TagOpenOpen:
                _skip_tag(stream)
        return self.found

    # ---------------------------------------------------------------- links

    def _resolve(self, link: _Open) -> None:
        """Take the target off the text and look at where it leads."""
        pieces = self.found.pieces
        raw = pieces.pop() if len(pieces) == link.start + 1 else "".join(pieces[link.start :])
        del pieces[link.start :]
        # Printable text holds no marks and no stand-ins.
        link.raw = raw if raw.isprintable() else marks.restore(raw)
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
        anchor = pieces.pop() if len(pieces) == link.start + 1 else "".join(pieces[link.start :])
        del pieces[link.start :]
        if target.__class__ is not Target:
            return self._keep_as_text(raw, None if is_bare else anchor)
        assert isinstance(target, Target), "a closed link was resolved"
        is_special = target.namespace or target.is_interwiki or self.files or not raw[0].isalnum()
        if is_special and self._is_without_text(link, raw, target, anchor):
            return False
        if is_bare:
            anchor = _shown_title(raw)
            if target.namespace in (CATEGORY, FILE):
                # "See Category:X" reads "See X": the namespace is the wiki's word, not prose.
                anchor = anchor.partition(":")[2].lstrip()
        elif not anchor.strip():
            anchor = _pipe_trick(raw, target)
        return self._mark(target, anchor)

    def _is_without_text(self, link: _Open, raw: str, target: Target, anchor: str) -> bool:
        """Take the links that show nothing where they stand; return whether this was one."""
        has_colon = raw.lstrip().startswith(":")
        if link.is_file:
            self.files -= 1
            self._drop_file(anchor)
        elif raw.startswith(marks.HATNOTE_TARGET):
            self._mark_unseen(target, pages.HATNOTE)
        elif target.namespace == CATEGORY and not has_colon:
            self.found.categories.append(target.title.partition(":")[2])
        elif target.is_interwiki and not has_colon and self._is_language_link(target):
            self.dropped["language_link"] += 1
        elif self.files:
            self._mark_unseen(target, pages.CAPTION)
        else:
            return False
        return True

    def _is_language_link(self, target: Target) -> bool:
        return self.site.is_language_prefix(target.title.partition(":")[0])

    def _drop_file(self, anchor: str) -> None:
        """Leave of a file only the marks of the links in its caption."""
        num_links = anchor.count(marks.UNSEEN_LINK)
        self.found.pieces.append(marks.UNSEEN_LINK * num_links)
        self.dropped["file" if anchor else "file_without_caption"] += 1

    def _keep_as_text(self, raw: str, anchor: str | None) -> bool:
        """Show what an impossible link was meant to show; its brackets say nothing to a reader."""
        self.dropped["invalid_title"] += 1
        if not raw.startswith(marks.HATNOTE_TARGET):
            self.found.pieces.append(raw if anchor is None else anchor)
        return False

    def _mark_unseen(self, target: Target, kind: str) -> None:
        self.found.links.append((target, kind))
        self.found.pieces.append(marks.UNSEEN_LINK)

    def _mark(self, target: Target, anchor: str) -> bool:
        """Put the anchor between marks, its outer blanks outside them."""
        inner = anchor if anchor.isprintable() else anchor.translate(_IN_ANCHOR)
        stripped = inner.strip(" ")
        if not stripped:
            self.dropped["without_text"] += 1
            return False
        kind = pages.INTERWIKI if target.is_interwiki else pages.BODY
        self.found.links.append((target, kind))
        if len(stripped) == len(inner):
            self.found.pieces += (marks.ANCHOR_OPEN + inner, marks.ANCHOR_CLOSE)
            return True
        before = " " if inner[0] == " " else ""
        after = " " if inner[-1] == " " else ""
        anchor = f"{before}{marks.ANCHOR_OPEN}{stripped}"
        self.found.pieces += (anchor, marks.ANCHOR_CLOSE + after)
        return not after


def _entity(stream: Iterator[Any]) -> str:
    """Read the tokens of `&#x41;` up to its end and return what it stands for."""
    spelled = ""
    for token in stream:
        kind = token.__class__
        if kind is token_types.HTMLEntityEnd:
            break
        if kind is token_types.HTMLEntityNumeric:
            spelled += "#"
        else:
            spelled += token["char"] if kind is token_types.HTMLEntityHex else token["text"]
    return _decode_entity(spelled)


def _skip_tag(stream: Iterator[Any]) -> None:
    """Skip a tag the tokenizer makes of list marks or rules that markup removal left."""
    for token in stream:
        if token.__class__ in _TAG_ENDS:
            return


_TAG_ENDS: Final = (token_types.TagCloseSelfclose, token_types.TagCloseOpen)


def _shown_title(raw: str) -> str:
    """What a link without text shows: its target as written, without the leading colon."""
    text = (decode_target(raw) if "&" in raw or "%" in raw else raw).strip()
    return text[1:].lstrip() if text.startswith(":") else text


def _pipe_trick(raw: str, target: Target) -> str:
    """[[Paris (Texas)|]] was meant to show "Paris". Manual: Help:Pipe trick."""
    title = _shown_title(raw).partition("#")[0]
    if target.is_interwiki or target.namespace != MAIN:
        title = title.partition(":")[2]
    return _PIPE_TRICK.sub("", title) or title


@cache
def _decode_entity(spelled: str) -> str:
    text = html.unescape(f"&{spelled};")
    return marks.without_marks(text)


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
