"""Reads MediaWiki's own parser tests: wikitext, and the text and links of the HTML expected of it.

The format is that of https://www.mediawiki.org/wiki/Parsoid/Parser_tests: sections that begin with
`!! name`, a case from `!! test` to `!! end`. Of the HTML only what our tables hold is kept: text
without captions, tables, references and interface, and links to pages with their anchors.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

_SECTION = re.compile(r"^!! ?([a-z0-9/+*]+)[ \t]*\n", re.MULTILINE)
_EXPECTED = ("html/php", "html", "html/*", "html/parsoid", "html/parsoid+standalone")
_VOID = {"br", "hr", "img", "link", "meta", "input", "wbr", "source", "track"}
_HIDDEN = {"figure", "table", "style", "script", "audio", "video", "figcaption", "gallery"}
_HIDDEN_CLASSES = {"mw-editsection", "toc", "reference", "references", "gallery", "thumb", "error"}
_HIDDEN_CLASSES |= {"autonumber"}
_BLOCKS = {"p", "li", "dd", "dt", "div", "pre", "blockquote", "br", "hr", "ul", "ol", "dl"}
_BLOCKS |= {f"h{level}" for level in range(1, 7)}


@dataclass(frozen=True, slots=True)
class GoldCase:
    """A case: its file, name and wikitext, and the HTML that MediaWiki makes of it."""

    path: str
    name: str
    wikitext: str
    html: str
    options: str


@dataclass(slots=True)
class Shown:
    """What a reader of the HTML sees: words, and (title, anchor) of the links to pages."""

    text: str = ""
    links: list[tuple[str, str]] = field(default_factory=list)


def read_gold(path: Path) -> Iterator[GoldCase]:
    """Yield the cases of a file that have wikitext and an expected HTML."""
    for block in re.split(r"(?m)^!! ?test[ \t]*\n", path.read_text("utf-8"))[1:]:
        parts = _SECTION.split("!! test\n" + block)
        fields = dict(zip(parts[1::2], parts[2::2], strict=True))
        html = next((fields[name] for name in _EXPECTED if name in fields), None)
        if "wikitext" in fields and html is not None:
            name, options = fields["test"].strip(), fields.get("options", "")
            wikitext = fields["wikitext"].removesuffix("\n")
            yield GoldCase(path.name, name, wikitext, html, options)


def shown(html: str) -> Shown:
    """Return what a reader sees of HTML, without what our tables leave out."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return Shown(" ".join(reader.text.split()), reader.links)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.links: list[tuple[str, str]] = []
        self._hidden: list[str] = []
        self._open: tuple[str, int] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag in _BLOCKS:
            self.text += " "
        if tag in _VOID:
            return
        classes = set(attributes.get("class", "").split())
        is_hidden = tag in _HIDDEN or bool(classes & _HIDDEN_CLASSES)
        if self._hidden or is_hidden or (tag == "a" and _is_missing_file(attributes)):
            self._hidden.append(tag)
        elif tag == "a" and _page_of(attributes) is not None:
            self._open = _page_of(attributes) or "", len(self.text)

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self.text += " "
        if self._hidden:
            if tag in self._hidden:
                while self._hidden.pop() != tag:
                    pass
        elif tag == "a" and self._open is not None:
            page, start = self._open
            anchor = " ".join(self.text[start:].split())
            if anchor:
                self.links.append((page, anchor))
            self._open = None

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text += data


def _is_missing_file(attributes: dict[str, str]) -> bool:
    """Tell whether a link stands for a file that the test wiki does not have."""
    href, classes = attributes.get("href", ""), attributes.get("class", "")
    if "Special:Upload" in href or "mw-broken-media" in classes:
        return True
    return href.startswith("/wiki/File:") and "new" not in classes and "title" not in attributes


def _page_of(attributes: dict[str, str]) -> str | None:
    """Return the page that an <a> leads to, None for addresses, files and interface."""
    href = attributes.get("href", "")
    if {"image", "mw-file-description", "internal"} & set(attributes.get("class", "").split()):
        return None
    for pattern in (r"/wiki/([^#]*)", r"/index\.php\?title=([^&#]*)", r"\./([^#?]*)"):
        match = re.match(pattern, href)
        if match:
            return urllib.parse.unquote(match.group(1)).replace("_", " ")
    return "" if href.startswith("#") and "title" not in attributes else None
