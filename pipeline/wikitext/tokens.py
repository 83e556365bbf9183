"""Walk mwparserfromhell's tokens: take internal links out of the text and mark their places in it.

Only the C tokenizer runs, which takes a sixth of the time of a full parse: no tree of Python nodes
is built. It is not public, so `_tokenizer_class` falls back to the slower tokenizer in Python.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from typing import Any, Final, NamedTuple

from mwparserfromhell.definitions import URI_SCHEMES
from mwparserfromhell.parser import tokens as token_types

from pipeline.wiki.site_info import CATEGORY, FILE, MAIN, SiteInfo
from pipeline.wiki.titles import (
    InvalidTitle,
    Target,
    decode_target,
    in_any_language,
    normalise_title,
    plain_target,
)
from pipeline.wikitext import marks
from schemas.tables import pages

_TEXT: Final = token_types.Text
_LINK_OPEN: Final = token_types.WikilinkOpen
_LINK_SEPARATOR: Final = token_types.WikilinkSeparator
_LINK_CLOSE: Final = token_types.WikilinkClose
_AMPERSAND: Final = marks.LITERAL["&"]
_CATEGORY: Final = "category"
_LANGUAGE: Final = "language_link"
_FILE: Final = "file"
_OPEN, _CLOSE = marks.ANCHOR_OPEN, marks.ANCHOR_CLOSE
_ENTITY_ENDS: Final = (token_types.HTMLEntityEnd,)
_TAG_ENDS: Final = (token_types.TagCloseSelfclose, token_types.TagCloseOpen)
_BARE_LINK_TOKENS: Final = 3
# In brackets, a text that begins like an address is read as one.
_NO_MARKUP: Final = re.compile(rf"(?! *(?://|(?i:{'|'.join(URI_SCHEMES)}):))[\w ,.:#/!?'’()・–-]+")
_MAX_KNOWN_TARGETS: Final = 1 << 16
_LINK_MARKS: Final = f"{_OPEN}{_CLOSE}{marks.UNSEEN_LINK}"
_INNER_MARK: Final = re.compile(f"[{_LINK_MARKS}]")
_REFUSED_HATNOTE: Final = re.compile(rf"\[\[{marks.HATNOTE_TARGET}[^\[\]]*\]\]")
_REFUSED_TARGET: Final = re.compile(rf"\[\[[^\[\]|{_LINK_MARKS}]*\|")
# Stripped from both ends of an anchor.
_OUTER: Final = f" \t\r\n{marks.HOLE}"
_PIPE_TRICK: Final = re.compile(r"\s*\([^()]*\)$|(?:, |،\s*|、).*$", re.DOTALL)
# An anchor is one line of text: whatever would begin a block inside it becomes a blank.
_IN_ANCHOR: Final = str.maketrans(
    dict.fromkeys(f"\n\r\t\xa0{marks.LINE}{marks.HEADINGS}", " ")
    | dict.fromkeys((marks.BARRIER, marks.ITEM), "")
)


LeadsTo = tuple[str, str | None, int, str]
"""Title, fragment and namespace of a link's target, and the kind of the link."""


@dataclass(slots=True)
class Walk:
    """The result of a walk: text with marks, and where each marked link leads, in order."""

    pieces: list[str] = field(default_factory=list)
    links: list[LeadsTo] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)

    def marked_text(self, dropped: Counter[str]) -> str:
        """Return the text with its marks, without the brackets of links the tokenizer refused."""
        text = "".join(self.pieces)
        if "[[" in text or "]]" in text:
            dropped["invalid_title"] += text.count("[[")
            text = _REFUSED_HATNOTE.sub("", text)
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
    """Return the text with its links marked; count the links without text in `dropped`.

    >>> from pipeline.wiki.site_info import default_site
    >>> walk = walk_tokens("an [[apple|Apple]]s", default_site(), Counter())
    >>> "".join(walk.pieces).replace(marks.ANCHOR_OPEN, "<").replace(marks.ANCHOR_CLOSE, ">")
    'an <Apples>'
    >>> walk.links
    [('Apple', None, 0, 'body')]
    """
    return Walker(site, dropped).walk(tokenize(text))


class Known(NamedTuple):
    """What is known of a target as written."""

    target: Any
    """Target or InvalidTitle; always a Target where one of the other fields is set."""
    shown: str | None
    """The text of a link without an anchor; None where it has none or the tokens must tell."""
    leads_to: Any
    """A LeadsTo where the link has a text."""
    silence: str
    """Why a link to it has no text where it stands: _CATEGORY, _LANGUAGE, _FILE; else empty."""


# The same as Known(...), in half the time.
_new_known = partial(tuple.__new__, Known)


@lru_cache(maxsize=4)
def _known_targets(site: SiteInfo) -> dict[str, Known]:
    """Return the cache of looked-up targets of a wiki: its pages often link to the same ones."""
    return {}


class Walker:
    """The state of one walk; `files` counts the open files, which hide the text in them."""

    def __init__(self, site: SiteInfo, dropped: Counter[str]) -> None:
        self.found = Walk()
        self.known = _known_targets(site)
        self._site, self._dropped = site, dropped
        self._open: list[_Open] = []
        self._files = 0
        self._trail = site.rules.link_trail

    def walk(self, tokens: list[Any]) -> Walk:
        """Follow the tokens of a text in which every link is closed; may be called repeatedly."""
        pieces, opened, trail = self.found.pieces, self._open, self._trail
        is_after_link = False
        index, end = 0, len(tokens)
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
                # The tokenizer makes tags of any list marks and rules that are left.
                index = _index_of(_TAG_ENDS, tokens, index)
            index += 1
        return self.found

    def look_up(self, raw: str) -> Known:
        """Find out what a target is, and remember it in `known`."""
        written, raw = raw, in_any_language(raw)
        plain = plain_target(raw, self._site)
        if plain is None:
            found = self._look_closer(raw)
        else:
            found = _new_known((plain, raw, (*plain[:3], pages.BODY), ""))
        if len(self.known) >= _MAX_KNOWN_TARGETS:
            self.known.clear()
        self.known[written] = found
        return found

    def _look_closer(self, raw: str) -> Known:
        target, shown, leads_to, silence = normalise_title(raw, self._site), None, None, ""
        if isinstance(target, Target) and raw.isprintable() and _is_whole_target(raw):
            if target.namespace or target.is_interwiki:
                silence = self._silence_of(target, raw)
            if not silence and raw[0] != " " and raw[-1] != " " and "%" not in raw:
                shown = _shown_link(raw, target) or None
                leads_to = _leads_to(target)
        return _new_known((target, shown, leads_to, silence))

    def _silence_of(self, target: Target, raw: str) -> str:
        """Say why a link has no text: it belongs to the whole page, or it shows a file."""
        if raw.lstrip().startswith(":"):
            return ""
        if target.is_interwiki:
            is_language = self._site.is_language_prefix(target.title.partition(":")[0])
            return _LANGUAGE if is_language else ""
        return {CATEGORY: _CATEGORY, FILE: _FILE}.get(target.namespace, "")

    def note_silent(self, target: Target, silence: str, anchor: str | None = None) -> None:
        """Handle a link without text where it stands; the anchor of a file holds no links."""
        if silence == _CATEGORY:
            self.found.categories.append(target.title.partition(":")[2])
            return
        self.found.pieces.append(marks.HOLE)
        if silence == _LANGUAGE:
            self._dropped["language_link"] += 1
        else:
            self._drop_file(anchor or "")

    # ---------------------------------------------------------------- links

    def _resolve(self, link: _Open) -> None:
        """Take the target of a link off the text and resolve it."""
        pieces = self.found.pieces
        raw = pieces.pop() if len(pieces) == link.start + 1 else "".join(pieces[link.start :])
        del pieces[link.start :]
        raw = self._without_links(raw)
        # Printable text holds no marks and no stand-ins.
        if not raw.isprintable():
            raw = marks.restore(raw.replace(marks.HOLE, "").replace(_AMPERSAND, "&amp;"))
        link.raw = raw = in_any_language(raw)
        link.target = self._target(link.raw)
        if link.target.__class__ is Target and link.target[2] == FILE:
            link.is_file = not link.raw.lstrip().startswith(":")
            self._files += link.is_file

    def _without_links(self, raw: str) -> str:
        """Remove links, the last ones found, from a target or from a category's sort key."""
        num_links = raw.count(_OPEN) + raw.count(marks.UNSEEN_LINK)
        if not num_links:
            return raw
        del self.found.links[-num_links:]
        self._dropped["invalid_title"] += num_links
        return _INNER_MARK.sub("", raw)

    def _target(self, raw: str) -> Target | InvalidTitle:
        raw = raw.removeprefix(marks.HATNOTE_TARGET)
        target: Target | InvalidTitle = (self.known.get(raw) or self.look_up(raw))[0]
        return target

    def _close(self) -> bool:
        """End a link; return whether letters right after it belong to it."""
        link = self._open.pop()
        is_bare = link.raw is None
        if is_bare:
            self._resolve(link)
        raw, target, pieces = link.raw or "", link.target, self.found.pieces
        anchor = pieces.pop() if len(pieces) == link.start + 1 else "".join(pieces[link.start :])
        del pieces[link.start :]
        if target.__class__ is not Target:
            return self._keep_as_text(raw, None if is_bare else anchor)
        assert isinstance(target, Target), "a closed link was resolved"
        is_special = target.namespace or target.is_interwiki or self._files or not raw[0].isalnum()
        if is_special and self._is_without_text(link, raw, target, anchor):
            return False
        if is_bare:
            anchor = _shown_link(raw, target)
        elif not anchor.replace(marks.HOLE, "").strip():
            anchor = _pipe_trick(raw, target)
        return self._mark(target, anchor)

    def _is_without_text(self, link: _Open, raw: str, target: Target, anchor: str) -> bool:
        """Handle a link that has no text where it stands; return whether this was one."""
        if link.is_file:
            self._files -= 1
            self.found.pieces.append(marks.HOLE)
            self._drop_file(anchor)
        elif raw.startswith(marks.HATNOTE_TARGET):
            self._mark_unseen(target, pages.HATNOTE)
        elif silence := self._silence_of(target, raw):
            self._without_links(anchor)
            self.note_silent(target, silence)
        elif self._files:
            self._mark_unseen(target, pages.CAPTION)
        else:
            return False
        return True

    def _drop_file(self, anchor: str) -> None:
        """Drop a file, all but the marks of the links in its caption."""
        if marks.UNSEEN_LINK in anchor:
            self.found.pieces.append(marks.UNSEEN_LINK * anchor.count(marks.UNSEEN_LINK))
        self._dropped["file" if anchor else "file_without_caption"] += 1

    def _keep_as_text(self, raw: str, anchor: str | None) -> bool:
        """Keep the text of an invalid link, without its brackets."""
        self._dropped["invalid_title"] += 1
        if not raw.startswith(marks.HATNOTE_TARGET):
            self.found.pieces.append(html.unescape(raw) if anchor is None else anchor)
        return False

    def _mark_unseen(self, target: Target, kind: str) -> None:
        self.found.links.append((*target[:3], kind))
        self.found.pieces.append(marks.UNSEEN_LINK)

    def _mark(self, target: Target, anchor: str) -> bool:
        """Put the anchor between marks, and the blanks at its ends outside them."""
        inner = anchor if anchor.isprintable() else anchor.translate(_IN_ANCHOR)
        stripped = inner.strip(_OUTER)
        if not stripped:
            self._dropped["without_text"] += 1
            return False
        self.found.links.append(_leads_to(target))
        if len(stripped) == len(inner):
            self.found.pieces += (_OPEN + inner, _CLOSE)
            return True
        start = inner.index(stripped)
        before = " " if " " in inner[:start] else ""
        after = " " if " " in inner[start + len(stripped) :] else ""
        anchor = f"{before}{_OPEN}{stripped}"
        self.found.pieces += (anchor, _CLOSE + after)
        return not after


def _leads_to(target: Target) -> LeadsTo:
    return (*target[:3], pages.INTERWIKI if target.is_interwiki else pages.BODY)


def _is_whole_target(raw: str) -> bool:
    """Tell whether the tokenizer, too, reads a text as the target of a link and nothing else."""
    if _NO_MARKUP.fullmatch(raw):
        return True
    tokens = tokenize(f"[[{raw}]]")
    return len(tokens) == _BARE_LINK_TOKENS and tokens[1].__class__ is _TEXT


def _index_of(kinds: tuple[Any, ...], tokens: list[Any], index: int) -> int:
    """Return the index of the first token of these kinds, from `index` on."""
    while tokens[index].__class__ not in kinds:
        index += 1
    return index


def _entity(tokens: list[Any]) -> str:
    """Return the text of an entity such as `&#x41;` from the tokens between its start and end."""
    spelled = ""
    for token in tokens:
        kind = token.__class__
        if kind is token_types.HTMLEntityNumeric:
            spelled += "#"
        else:
            spelled += token["char"] if kind is token_types.HTMLEntityHex else token["text"]
    return _decode_entity(spelled)


def _shown_link(raw: str, target: Target) -> str:
    """Return the text of a link without an anchor: its target, as written."""
    shown = _shown_title(raw)
    # "See Category:X" reads "See X": the namespace is a word of the wiki, not of the prose.
    has_prefix = target.namespace in (CATEGORY, FILE)
    return shown.partition(":")[2].lstrip() if has_prefix else shown


def _shown_title(raw: str) -> str:
    """Return a target as written, without a leading colon."""
    text = (decode_target(raw) if "&" in raw or "%" in raw else raw).strip()
    return text[1:].lstrip() if text.startswith(":") else text


def _pipe_trick(raw: str, target: Target) -> str:
    """Return "Paris" for [[Paris (Texas)|]]. Manual: Help:Pipe trick."""
    title = _shown_title(raw).partition("#")[0]
    if target.is_interwiki or target.namespace != MAIN:
        title = title.partition(":")[2]
    return _PIPE_TRICK.sub("", title) or title


@cache
def _decode_entity(spelled: str) -> str:
    text = html.unescape(f"&{spelled};")
    # An entity is text: the character it stands for must not be read as markup.
    return marks.protect(marks.without_marks(text))


def tokenize(text: str) -> list[Any]:
    """Return the tokens of a wikitext; bold and italics stay text."""
    tokens: list[Any] = _tokenizer_class()().tokenize(text, 0, True)
    return tokens


@cache
def _tokenizer_class() -> Any:
    """Return the C tokenizer: its `tokenize(text, context, skip_style_tags)` returns the tokens."""
    try:
        from mwparserfromhell.parser._tokenizer import CTokenizer
    except ImportError:
        from mwparserfromhell.parser.tokenizer import Tokenizer

        return Tokenizer
    return CTokenizer
