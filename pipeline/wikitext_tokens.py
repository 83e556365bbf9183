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
from pipeline.titles import InvalidTitle, Target, decode_target, normalise_title
from pipeline.wiki_site import CATEGORY, FILE, MAIN, SiteInfo
from schemas import pages

_TEXT: Final = token_types.Text
_LINK_OPEN: Final = token_types.WikilinkOpen
_LINK_SEPARATOR: Final = token_types.WikilinkSeparator
_LINK_CLOSE: Final = token_types.WikilinkClose
_AMPERSAND: Final = marks.LITERAL["&"]
_OPEN, _CLOSE = marks.ANCHOR_OPEN, marks.ANCHOR_CLOSE
_ENTITY_ENDS: Final = (token_types.HTMLEntityEnd,)
_TAG_ENDS: Final = (token_types.TagCloseSelfclose, token_types.TagCloseOpen)
# Behind the last token, so that looking ahead from a link needs no test for the end.
_PADDING: Final = (None,) * 4
# With these no letters of any language go on; they follow nearly every link.
_NEVER_TRAIL: Final = frozenset(" ,.;:()\n")
_MAX_KNOWN_TARGETS: Final = 1 << 16
_REFUSED_TARGET: Final = re.compile(r"\[\[[^\[\]|]*\|")
_PIPE_TRICK: Final = re.compile(r"\s*\([^()]*\)$|(?:, |،\s*|、).*$", re.DOTALL)
# An anchor is one line of text: what would begin a block inside it is no more than a blank.
_IN_ANCHOR: Final = str.maketrans(
    dict.fromkeys(f"\n\r\t\xa0{marks.LINE}{marks.HEADINGS}", " ")
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


# Of a target as written: where it leads, the text it shows if it needs no closer look, and whether
# it shows nothing. One with a text or without anything to show is no InvalidTitle.
_Known = tuple[Any, str | None, bool]


class _Walker:
    """The state of one walk; `skipped` counts what hides the text: titles of files, of links."""

    def __init__(self, site: SiteInfo, dropped: Counter[str]) -> None:
        self.site = site
        self.dropped = dropped
        self.found = Walk()
        self.open: list[_Open] = []
        self.files = 0
        self.trail = site.link_trail
        self.known: dict[str, _Known] = site.known_targets

    def walk(self, tokens: list[Any]) -> Walk:
        pieces, opened, plain_link = self.found.pieces, self.open, self._plain_link
        trail = self.trail
        is_after_link = False
        tokens += _PADDING
        index, end = 0, len(tokens) - len(_PADDING)
        while index < end:
            token = tokens[index]
            kind = token.__class__
            if kind is _TEXT:
                piece = token["text"]
                match = trail.match(piece) if is_after_link and trail else None
                if match:
                    pieces.insert(-1, match.group())
                    piece = piece[match.end() :]
                pieces.append(piece)
                is_after_link = False
                index += 1
                continue
            is_after_link = False
            if kind is _LINK_OPEN:
                after = 0 if opened else plain_link(tokens, index)
                if after:
                    index = after
                    continue
                opened.append(_Open(len(pieces)))
            elif kind is _LINK_SEPARATOR:
                self._resolve(opened[-1])
            elif kind is _LINK_CLOSE:
                is_after_link = self._close()
            elif kind is token_types.HTMLEntityStart:
                start, index = index, _index_of(_ENTITY_ENDS, tokens, index)
                pieces.append(_entity(tokens[start + 1 : index]))
            elif kind is token_types.HeadingStart:
                pieces.append(f"\n{marks.HEADINGS[token['level'] - 1]}")
            elif kind is token_types.HeadingEnd:
                pieces.append("\n")
            elif kind is token_types.TagOpenOpen:
                # A tag that the tokenizer makes of list marks or rules that are left.
                index = _index_of(_TAG_ENDS, tokens, index)
            index += 1
        return self.found

    def _plain_link(self, tokens: list[Any], index: int) -> int:
        """Mark a link to an article that is one target and one text; nearly all are.

        Returns:
            Where the walk goes on, or 0 where the link needs a closer look.
        """
        token = tokens[index + 1]
        if token.__class__ is not _TEXT:
            return 0
        raw = token["text"]
        target, anchor, is_silent = self.known.get(raw) or self._look_up(raw)
        kind = tokens[index + 2].__class__
        if anchor is None:
            if is_silent and kind is _LINK_CLOSE:
                self._note_silent(target)
                return index + 3
            return 0
        if kind is _LINK_SEPARATOR:
            token = tokens[index + 3]
            if token.__class__ is not _TEXT or tokens[index + 4].__class__ is not _LINK_CLOSE:
                return 0
            anchor = token["text"]
            if anchor[0] == " " or anchor[-1] == " " or not anchor.isprintable():
                return 0
            index += 5
        elif kind is _LINK_CLOSE:
            index += 3
        else:
            return 0
        self.found.links.append((target, pages.BODY))
        after = tokens[index]
        if after.__class__ is not _TEXT:
            self.found.pieces.append(f"{_OPEN}{anchor}{_CLOSE}")
            return index
        rest = after["text"]
        if rest[0] not in _NEVER_TRAIL and self.trail is not None:
            match = self.trail.match(rest)
            if match:
                # The letters after `]]` stand before the mark that closes the anchor.
                anchor, rest = anchor + match.group(), rest[match.end() :]
        self.found.pieces.append(f"{_OPEN}{anchor}{_CLOSE}{rest}")
        return index + 1

    def _look_up(self, raw: str) -> _Known:
        """Resolve a target and remember it."""
        target, shown, is_silent = normalise_title(raw, self.site), None, False
        if isinstance(target, Target) and raw.isprintable():
            if target.namespace == MAIN and not target.is_interwiki:
                is_plain = raw[0].isalnum() and raw[-1] != " "
                shown = raw if is_plain and "%" not in raw and "&" not in raw else None
            else:
                is_silent = self._is_silent(target, raw)
        if len(self.known) >= _MAX_KNOWN_TARGETS:
            self.known.clear()
        self.known[raw] = found = target, shown, is_silent
        return found

    def _is_silent(self, target: Target, raw: str) -> bool:
        """Tell whether a link belongs to the page as a whole: of a category, of a language."""
        if raw.lstrip().startswith(":"):
            return False
        if target.is_interwiki:
            return self.site.is_language_prefix(target.title.partition(":")[0])
        return target.namespace == CATEGORY

    def _note_silent(self, target: Target) -> None:
        if target.is_interwiki:
            self.dropped["language_link"] += 1
        else:
            self.found.categories.append(target.title.partition(":")[2])

    # ---------------------------------------------------------------- links

    def _resolve(self, link: _Open) -> None:
        """Take the target off the text and look at where it leads."""
        pieces = self.found.pieces
        raw = pieces.pop() if len(pieces) == link.start + 1 else "".join(pieces[link.start :])
        del pieces[link.start :]
        # Printable text holds no marks and no stand-ins.
        link.raw = raw if raw.isprintable() else marks.restore(raw.replace(_AMPERSAND, "&amp;"))
        link.target = self._target(link.raw)
        if link.target.__class__ is Target and link.target[2] == FILE:
            link.is_file = not link.raw.lstrip().startswith(":")
            self.files += link.is_file

    def _target(self, raw: str) -> Target | InvalidTitle:
        raw = raw.removeprefix(marks.HATNOTE_TARGET)
        target: Target | InvalidTitle = (self.known.get(raw) or self._look_up(raw))[0]
        return target

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
        if link.is_file:
            self.files -= 1
            self._drop_file(anchor)
        elif raw.startswith(marks.HATNOTE_TARGET):
            self._mark_unseen(target, pages.HATNOTE)
        elif self._is_silent(target, raw):
            self._note_silent(target)
        elif self.files:
            self._mark_unseen(target, pages.CAPTION)
        else:
            return False
        return True

    def _drop_file(self, anchor: str) -> None:
        """Leave of a file only the marks of the links in its caption."""
        num_links = anchor.count(marks.UNSEEN_LINK)
        self.found.pieces.append(marks.UNSEEN_LINK * num_links)
        self.dropped["file" if anchor else "file_without_caption"] += 1

    def _keep_as_text(self, raw: str, anchor: str | None) -> bool:
        """Show what an impossible link was meant to show; its brackets say nothing to a reader."""
        self.dropped["invalid_title"] += 1
        if not raw.startswith(marks.HATNOTE_TARGET):
            self.found.pieces.append(html.unescape(raw) if anchor is None else anchor)
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
            self.found.pieces += (_OPEN + inner, _CLOSE)
            return True
        before = " " if inner[0] == " " else ""
        after = " " if inner[-1] == " " else ""
        anchor = f"{before}{_OPEN}{stripped}"
        self.found.pieces += (anchor, _CLOSE + after)
        return not after


def _index_of(kinds: tuple[Any, ...], tokens: list[Any], index: int) -> int:
    """Return where the first token of these kinds stands, from `index` on."""
    while tokens[index].__class__ not in kinds:
        index += 1
    return index


def _entity(tokens: list[Any]) -> str:
    """Return what the tokens of `&#x41;` between its start and end stand for."""
    spelled = ""
    for token in tokens:
        kind = token.__class__
        if kind is token_types.HTMLEntityNumeric:
            spelled += "#"
        else:
            spelled += token["char"] if kind is token_types.HTMLEntityHex else token["text"]
    return _decode_entity(spelled)


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
    # What it begins is not read as another entity.
    return _AMPERSAND if text == "&" else marks.without_marks(text)


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
