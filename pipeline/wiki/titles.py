"""Titles as MediaWiki normalises them: all spellings of a page's title become one string.

The rules are those of the MediaWiki manual, Manual:Page title, and of MediaWikiTitleCodec. Titles
have blanks where the database has underscores.
"""

from __future__ import annotations

import html
import re
import unicodedata
from functools import partial
from typing import Final, NamedTuple

from pipeline.wiki.site_info import MAIN, SPECIAL, TALK, SiteInfo

MAX_TITLE_BYTES: Final = 255
MAX_SPECIAL_TITLE_BYTES: Final = 512
MAX_RAW_CHARS: Final = 4096
"""No spelling of a valid title is longer, even with every character as an entity or escape."""

_BIDI_MARKS: Final = re.compile("[\u200e\u200f\u202a-\u202e]")
_BLANKS: Final = re.compile("[ _\u00a0\u1680\u180e\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
# A title may not hold controls, brackets, bars, the replacement character, escapes or signatures.
_ILLEGAL: Final = re.compile(r"[\x00-\x1f<>\[\]{}|\x7f\ufffd]|%[0-9A-Fa-f]{2}|~~~")
_ENTITY_LEFT: Final = re.compile(r"&(?:#\d+|#[xX][0-9A-Fa-f]+|[A-Za-z0-9\x80-\U0010ffff]+);")
_MY_LANGUAGE: Final = re.compile(r"[ \t]*:?[^\W\d_]+:MyLanguage/", re.IGNORECASE)
_ESCAPES: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_RELATIVE: Final = re.compile(r"\.{1,2}(?:/|$)|.*/\.{1,2}(?:/|$)")
# Titles that no rule changes: nine out of ten links of an English wiki take this fast path.
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9'(),-]*(?: [A-Za-z0-9'(),-]+)*", re.ASCII)
# The same in any script.
_LETTERS: Final = re.compile(r"[^\W_](?:[^\W_]|['(),–-])*(?: (?:[^\W_]|['(),–-])+)*")


class Target(NamedTuple):
    """Where a link leads.

    `title` is normalised. It has the local namespace name where the namespace is not 0
    ("Kategoreja:X"), the prefix where the link leads to another wiki ("fr:Chat"; its namespace is
    0), and is empty for a section of the same page.
    """

    title: str
    fragment: str | None
    namespace: int
    is_interwiki: bool


# The same as Target(...), in half the time.
_new_target = partial(tuple.__new__, Target)


class InvalidTitle(NamedTuple):
    """Why a text is not a title, so that MediaWiki does not make it a link."""

    reason: str


def normalise_title(raw: str, site: SiteInfo) -> Target | InvalidTitle:
    """Return the page and section that the target of a link names.

    >>> from pipeline.wiki.site_info import default_site
    >>> site = default_site()
    >>> normalise_title(" United__States _of America#the  west", site)
    Target(title='United States of America', fragment='the west', namespace=0, is_interwiki=False)
    >>> normalise_title(":category:foo_bar", site)[:3]
    ('Category:Foo bar', None, 14)
    >>> normalise_title("wikt:dog", site)
    Target(title='wikt:dog', fragment=None, namespace=0, is_interwiki=True)
    >>> normalise_title("#Local", site).title
    ''
    >>> normalise_title("a{b", site)
    InvalidTitle(reason='illegal_character')
    """
    plain = plain_target(raw, site)
    if plain is not None:
        return plain
    if len(raw) > MAX_RAW_CHARS:
        return InvalidTitle("too_long")
    namespace, text = MAIN, _clean(decode_target(raw))
    if text.startswith(":"):
        text = text[1:].lstrip(" ")
    while ":" in text:
        prefix, _, rest = text.partition(":")
        prefix, rest = prefix.strip(" "), rest.strip(" ")
        number = site.namespace_id(prefix) if prefix else None
        if number is not None:
            if number == TALK and _has_prefix(rest, site):
                return InvalidTitle("talk_of_namespace")
            namespace, text = number, rest
        elif prefix and site.is_own_prefix(prefix) and rest:
            text = rest[1:].lstrip(" ") if rest.startswith(":") else rest
            continue
        elif prefix and site.is_interwiki_prefix(prefix):
            return _interwiki(prefix, rest)
        break
    page, fragment = _split_fragment(text)
    return _checked(page, fragment, namespace, site)


def plain_target(raw: str, site: SiteInfo) -> Target | None:
    """Normalise a title of letters, digits and a few signs; return None for any other.

    >>> from pipeline.wiki.site_info import default_site
    >>> plain_target("apple (fruit)", default_site()).title, plain_target("a:b", default_site())
    ('Apple (fruit)', None)
    """
    if _PLAIN.fullmatch(raw) and len(raw) <= MAX_TITLE_BYTES:
        return _new_target((site.capitalise(raw, MAIN), None, MAIN, False))
    if _LETTERS.fullmatch(raw) and len(raw) * 4 <= MAX_TITLE_BYTES:
        composed = unicodedata.normalize("NFC", raw)
        return _new_target((site.capitalise(composed, MAIN), None, MAIN, False))
    return None


def normalise_page_title(raw: str, namespace: int, site: SiteInfo) -> str:
    """Normalise a page's title from the dump, so that it equals what `normalise_title` returns.

    The namespace is that of <ns>, never guessed: a page of namespace 0 may be called "WP:X" on a
    wiki that introduced the alias later.

    >>> from pipeline.wiki.site_info import SiteInfo
    >>> site = SiteInfo("ltgwiki", "ltg", namespace_names={14: "Kategoreja"})
    >>> normalise_page_title("Category:Pūdnīks_ ", 14, site), normalise_page_title("a:b", 0, site)
    ('Kategoreja:Pūdnīks', 'A:b')
    """
    text = _clean(raw)
    if namespace != MAIN and ":" in text:
        prefix, rest = text.split(":", 1)
        if site.namespace_id(prefix) in (namespace, None):
            text = rest.strip(" ")
    return _with_namespace(site.capitalise(text, namespace), namespace, site)


def namespace_of_title(raw: str, site: SiteInfo) -> int:
    """Return the namespace that a page title names, for dumps before schema 0.6, without <ns>.

    >>> from pipeline.wiki.site_info import default_site
    >>> [namespace_of_title(title, default_site()) for title in ("Talk:Cat", "2001: A Film")]
    [1, 0]
    """
    prefix, colon, rest = _clean(raw).partition(":")
    number = site.namespace_id(prefix) if colon and rest.strip(" ") else None
    return MAIN if number is None else number


def in_any_language(raw: str) -> str:
    """Return a link's target without the `Special:MyLanguage/` that picks the reader's language.

    >>> in_any_language("Special:MyLanguage/Help"), in_any_language("Help")
    ('Help', 'Help')
    """
    prefix = _MY_LANGUAGE.match(raw) if "MyLanguage/" in raw else None
    return raw[prefix.end() :] if prefix else raw


def decode_target(raw: str) -> str:
    """Decode entities, then percent escapes of valid UTF-8; in a link `+` does not mean a blank.

    >>> decode_target("Caf%C3%A9 &amp; 100%")
    'Café & 100%'
    """
    text = html.unescape(raw) if "&" in raw else raw
    return _ESCAPES.sub(_unescape_percent, text) if "%" in text else text


def _unescape_percent(match: re.Match[str]) -> str:
    octets = bytes.fromhex(match.group().replace("%", ""))
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return match.group()


def _clean(text: str) -> str:
    """Fold blanks, drop bidirectional marks, compose letters (NFC)."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", _BIDI_MARKS.sub("", text))
    return _BLANKS.sub(" ", text).strip(" ")


def _has_prefix(text: str, site: SiteInfo) -> bool:
    prefix, colon, _ = text.partition(":")
    prefix = prefix.strip(" ")
    if not colon or not prefix:
        return False
    return site.namespace_id(prefix) is not None or site.is_interwiki_prefix(prefix)


def _interwiki(prefix: str, rest: str) -> Target | InvalidTitle:
    page, fragment = _split_fragment(rest)
    if _ILLEGAL.search(page):
        return InvalidTitle("illegal_character")
    return Target(f"{prefix.lower()}:{page}", fragment, MAIN, True)


def _split_fragment(text: str) -> tuple[str, str | None]:
    page, mark, fragment = text.partition("#")
    return page.rstrip(" "), (fragment.strip(" ") or None) if mark else None


def _checked(
    page: str, fragment: str | None, namespace: int, site: SiteInfo
) -> Target | InvalidTitle:
    if not page:
        if namespace != MAIN or fragment is None:
            return InvalidTitle("empty")
        return Target("", fragment, MAIN, False)
    if _ILLEGAL.search(page) or ("&" in page and _ENTITY_LEFT.search(page)):
        return InvalidTitle("illegal_character")
    if page.startswith(":"):
        return InvalidTitle("leading_colon")
    if "." in page and _RELATIVE.match(page):
        return InvalidTitle("relative_path")
    limit = MAX_SPECIAL_TITLE_BYTES if namespace == SPECIAL else MAX_TITLE_BYTES
    if len(page) * 4 > limit and len(page.encode("utf-8", "replace")) > limit:
        return InvalidTitle("too_long")
    page = site.capitalise(page, namespace)
    return Target(_with_namespace(page, namespace, site), fragment, namespace, False)


def _with_namespace(page: str, namespace: int, site: SiteInfo) -> str:
    return page if namespace == MAIN else f"{site.namespace_name(namespace)}:{page}"
