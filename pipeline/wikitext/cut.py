"""Cut from wikitext what carries neither prose nor links of the text, in one linear pass.

Comments, references, formulas, tables and templates nest in one another, so one scan over their
openers and closers keeps one stack for all of them, as MediaWiki's preprocessor does:

    text {{lang|fr|mot<!-- c -->}} text {| ... {{x}} ... |} text
         └─ frame: rendered ─────┘      └─ frame: dropped ┘

Nothing is searched twice: a tag whose closer is missing is remembered, an unclosed frame gives its
pieces back at the end. Each link that goes with a cut is counted by the reason of the cut.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from pipeline.wiki.site_info import SiteInfo
from pipeline.wikitext import marks
from pipeline.wikitext.templates import recall, render_template

MAX_DEPTH: Final = 60
"""Frames within frames; MediaWiki itself gives up at 40 levels of expansion."""

# Tags whose content is no wikitext to us, by what becomes of them.
_DROPPED: Final = (
    "ref|references|timeline|imagemap|score|syntaxhighlight|source|graph|mapframe|maplink|"
    "templatestyles|hiero|inputbox|categorytree|indicator|section|templatedata|includeonly|"
    "charinsert|dynamicpagelist|quiz|rss|html|phonos|pages|math|chem|ce|gallery|nowiki|pre"
)
# The first choice is a template with nothing in it that could open a frame: nine of ten.
_TOKEN: Final = re.compile(
    r"\{\{([^{}<]*+)\}\}(?!\})"
    rf"|<(?:!--|/?table(?=[\s/>])|(?:{_DROPPED})(?=[\s/>]))"
    r"|\{\{+|\}\}+|\{\||\|\}(?!\})",
    re.IGNORECASE,
)
_CLOSERS: Final = {
    name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in _DROPPED.split("|")
}
# What may stand before a table on its line: marks of a list, and what is cut away.
_LINE_START: Final = re.compile(r"(?:[ \t:*#;]|<!--(?:[^-]|-(?!->))*-->|\{\{[^{}\n]*\}\})*+")
_BLANK_LINE: Final = re.compile(r"[ \t]*")
_HEADING_LINE: Final = re.compile(r"\n(?==)")
_ARGUMENT_LINES: Final = re.compile(r"[^\n]*(?:\n[ \t]*[|!][^\n]*)+")
_GALLERY_FILE: Final = re.compile(r"^[^|\n\[\]{}]+\|(.*)$", re.MULTILINE)
_GALLERY_NAME: Final = "gallery"
_SIMPLE_FORMULA: Final = re.compile(r"[A-Za-z0-9 .,+()/!=-]{1,40}")
_VALUE_FUNCTIONS: Final = frozenset(["formatnum", "lc", "uc", "lcfirst", "ucfirst", "nowrap"])
_PAGE_NAMES: Final = frozenset({"pagename", "fullpagename", "subpagename", "basepagename"})

# <nowiki> around nothing but these shields them from the wiki; prose has other signs for them.
_ESCAPES: Final = {"''": '"', "{{": "{ {", "}}": "} }"}
# Marks and blanks before a table's `{|`; a bound, so that a long line is not searched again.
_MAX_INDENT: Final = 200

_BRACES, _TABLE, _HTML_TABLE = range(3)


@dataclass(slots=True)
class Losses:
    """What a page loses and says on the way: filled by the passes, read by `extract`."""

    dropped: Counter[str] = field(default_factory=Counter)
    is_disambiguation: bool = False


@dataclass(slots=True)
class _Frame:
    kind: int
    braces: int
    pieces: list[str] = field(default_factory=list)


def cut(text: str, title: str, site: SiteInfo, losses: Losses) -> str:
    """Return the wikitext without templates, tables, references and the like.

    >>> from pipeline.wiki.site_info import default_site
    >>> losses = Losses()
    >>> cut("a<ref>[[b]]</ref> {{nowrap|[[c]] d}}{{x|[[y]]}}", "T", default_site(), losses)
    'a [[c]] d'
    >>> dict(losses.dropped)
    {'in_reference': 1, 'in_template': 1}
    """
    if "<" not in text and "{" not in text:
        return text
    cutter = _Cutter(text, title, site, losses)
    return cutter.run()


class _Cutter:
    """The state of one pass: where it is, and the frames that are open."""

    def __init__(self, text: str, title: str, site: SiteInfo, losses: Losses) -> None:
        self.text = text
        self.title = title
        self.site = site
        self.losses = losses
        self.position = 0
        self.frames: list[_Frame] = [_Frame(_TABLE, 0)]
        self.pieces = self.frames[0].pieces
        self.closers: dict[str, re.Match[str]] = {}
        self.unclosed: set[str] = set()
        self.table_end = 0

    def run(self) -> str:
        text, pieces, position = self.text, self.pieces, 0
        search, match = _TOKEN.search, _TOKEN.search(text)
        while match:
            start, end = match.span()
            content = match[1]
            if content is not None:
                # Nine of ten: what `_skip` and `_template` do, without calling them.
                rendered, num_lost, unruled = recall(content) or render_template(content)
                if num_lost:
                    self.losses.dropped["in_template"] += num_lost
                if unruled is not None:
                    rendered = self._unruled_template(unruled, content)
                if start > position:
                    pieces.append(text[position:start])
                if rendered:
                    pieces.append(rendered)
                position = end
                match = search(text, end)
                continue
            self.position = position
            self._take(text[start:end], start, end)
            pieces, position = self.pieces, self.position
            # What a tag or comment hides is not looked at.
            match = search(text, max(end, position))
        pieces.append(text[position:])
        return self._unwind()

    def _take(self, token: str, start: int, end: int) -> None:
        """Take what opens or closes something."""
        if token[0] == "<":
            self._tag(token, start, end)
        elif token[0] == "}":
            self._close_braces(start, end)
        elif token[:2] == "{{":
            self._open(_Frame(_BRACES, end - start), start, end)
        elif token[0] == "{":
            if self._is_line_start(start):
                self._open(_Frame(_TABLE, 0), start, end)
        elif self._is_line_start(start):
            self._close_table(_TABLE, start, end)

    # ---------------------------------------------------------------- frames

    def _open(self, frame: _Frame, start: int, end: int) -> None:
        if len(self.frames) >= MAX_DEPTH:
            self._skip(start, end)
            return
        self._skip(start, end)
        self.frames.append(frame)
        self.pieces = frame.pieces

    def _skip(self, start: int, end: int, instead: str = "") -> None:
        """Keep the text up to `start`, leave out what ends at `end`."""
        if start > self.position:
            self.pieces.append(self.text[self.position : start])
        if instead:
            self.pieces.append(instead)
        self.position = end

    def _pop(self) -> str:
        content = "".join(self.frames.pop().pieces)
        self.pieces = self.frames[-1].pieces
        return content

    def _is_line_start(self, index: int) -> bool:
        nearest = max(0, index - _MAX_INDENT)
        line = self.text.rfind("\n", nearest, index) + 1
        if self.position == index > 1 and self.text[index - 2 : index] == "}}":
            # After a template of any size: its text ends where the table begins.
            return True
        if line == 0 and nearest > 0:
            return False
        return _LINE_START.fullmatch(self.text, line, index) is not None

    def _close_table(self, kind: int, start: int, end: int) -> None:
        if len(self.frames) > 1 and self.frames[-1].kind == kind:
            self._skip(start, end)
            self._count("in_table", self._pop())
            self.pieces.append("\n")
        else:
            self._skip(start, end)

    def _close_braces(self, start: int, end: int) -> None:
        text, count = self.text, end - start
        is_table_open = self.frames[-1].kind == _TABLE and len(self.frames) > 1
        if is_table_open and text[start - 1] == "|" and self._is_line_start(start - 1):
            self._close_table(_TABLE, start - 1, start + 1)
            start, count = start + 1, count - 1
        self._skip(start, end)
        while count >= 2 and len(self.frames) > 1:
            frame = self.frames[-1]
            if frame.kind != _BRACES:
                # A table that its template closes for it; a table of the page stays open.
                if not any(below.kind == _BRACES for below in self.frames[1:]):
                    break
                self._count("in_table", self._pop())
                continue
            taken = 3 if frame.braces >= 3 and count >= 3 else 2
            count -= taken
            self._reduce(frame, taken)

    def _reduce(self, frame: _Frame, taken: int) -> None:
        """Render the innermost braces of a frame; what is left of its run stays open."""
        content = "".join(frame.pieces)
        rendered = self._parameter(content) if taken == 3 else self._template(content)
        frame.braces -= taken
        if frame.braces >= 2:
            frame.pieces[:] = [rendered]
            return
        self.frames.pop()
        self.pieces = self.frames[-1].pieces
        self.pieces.append(marks.LITERAL["{"] * frame.braces + rendered)

    def _unwind(self) -> str:
        """Give back what unclosed frames hold: an unclosed brace must not eat the page."""
        while len(self.frames) > 1:
            kind = self.frames[-1].kind
            content = self._pop()
            if kind == _BRACES:
                lost = _ARGUMENT_LINES.match(content)
            else:
                heading = _HEADING_LINE.search(content)
                lost = None
                if heading is None:
                    self._count("in_table", content)
                    continue
                self._count("in_table", content[: heading.start()])
                content = content[heading.start() :]
            if lost is not None:
                self._count("in_template", lost.group())
                content = content[lost.end() :]
            self.pieces.append(content)
        return "".join(self.frames[0].pieces)

    def _count(self, reason: str, content: str) -> None:
        links = content.count("[[")
        if links:
            self.losses.dropped[reason] += links

    # ---------------------------------------------------------------- templates

    def _parameter(self, content: str) -> str:
        return content.partition("|")[2]

    def _template(self, content: str) -> str:
        rendered, num_lost, unruled = render_template(content)
        if num_lost:
            self.losses.dropped["in_template"] += num_lost
        return rendered if unruled is None else self._unruled_template(unruled, content)

    def _unruled_template(self, name: str, content: str) -> str:
        """What a template without a rule says of its page, or shows of it."""
        if name in self.site.disambiguation_templates:
            self.losses.is_disambiguation = True
        elif name in _PAGE_NAMES:
            return self.title
        elif ":" in name:
            return self._parser_function(name, content)
        return marks.BAR if name == "!" else ""

    def _parser_function(self, name: str, content: str) -> str:
        word = name.partition(":")[0].strip()
        argument = content.partition(":")[2]
        if word in _VALUE_FUNCTIONS:
            return argument.partition("|")[0].strip()
        self._count("in_template", content)
        return ""

    # ---------------------------------------------------------------- tags

    def _tag(self, opener: str, start: int, end: int) -> None:
        text = self.text
        if opener == "<!--":
            self._comment(start, end)
            return
        name = opener[1:].lower()
        close = -1 if ">" in self.unclosed else text.find(">", end)
        if close < 0:
            self.unclosed.add(">")
            return
        if name == "table":
            self._open(_Frame(_HTML_TABLE, 0), start, close + 1)
            return
        if name == "/table":
            # It also ends a table that began as `{|` and has no `|}` of its own.
            is_odd = self.frames[-1].kind == _TABLE and not self._has_table_end(close)
            self._close_table(_TABLE if is_odd else _HTML_TABLE, start, close + 1)
            return
        if text[close - 1] == "/":
            self._skip(start, close + 1, marks.BARRIER if name == "nowiki" else "")
            return
        closer = self._closer(name, close)
        is_another = name == "ref" and closer and self._is_another_reference(close, closer.start())
        if closer is None or is_another:
            self._unclosed_tag(name, start, close + 1)
            return
        content = text[close + 1 : closer.start()]
        self._skip(start, closer.end(), self._content_of(name, content, text[end:close]))

    def _has_table_end(self, start: int) -> bool:
        """Tell whether a line after `start` begins with `|}`; no text is searched twice."""
        if 0 <= self.table_end < start:
            self.table_end = self.text.find("\n|}", start)
        return self.table_end >= 0

    def _closer(self, name: str, start: int) -> re.Match[str] | None:
        """Return the first closing tag after `start`; no stretch of text is searched twice."""
        found = self.closers.get(name)
        if found is not None and found.start() >= start:
            return found
        found = None if name in self.unclosed else _CLOSERS[name].search(self.text, start)
        if found is None:
            self.unclosed.add(name)
        else:
            self.closers[name] = found
        return found

    def _comment(self, start: int, end: int) -> None:
        text = self.text
        close = text.find("-->", end)
        after = len(text) if close < 0 else close + 3
        # A comment alone on its line takes the line with it (MediaWiki's preprocessor).
        line_end = _BLANK_LINE.match(text, after)
        if line_end is not None and text[line_end.end() : line_end.end() + 1] == "\n":
            line = text.rfind("\n", self.position, start) + 1
            if line == 0 and text[self.position - 1 : self.position] == "\n":
                line = self.position
            if line > 0 and not text[line:start].strip(" \t"):
                self._skip(line, line_end.end() + 1)
                return
        self._skip(start, after)

    def _unclosed_tag(self, name: str, start: int, end: int) -> None:
        """Drop the tag; an unclosed reference also hides the rest of its line."""
        if name == "ref":
            line_end = self.text.find("\n", end)
            line_end = len(self.text) if line_end < 0 else line_end
            self._count("in_reference", self.text[end:line_end])
            end = line_end
        self._skip(start, end)

    def _is_another_reference(self, start: int, end: int) -> bool:
        """Tell whether the closer belongs to a later <ref>: then prose lies in between."""
        text = self.text
        line = text.find("\n", start, end)
        return line >= 0 and text.find("<ref", line, end) >= 0

    def _content_of(self, name: str, content: str, attributes: str) -> str:
        if name == "nowiki":
            content = _ESCAPES.get(content, content)
            return marks.BARRIER + marks.protect(_decoded(content)) + marks.BARRIER
        if name == "pre":
            plain = content.replace("<nowiki>", "").replace("</nowiki>", "")
            lines = marks.protect(_decoded(plain.strip("\n"))).replace("\n", marks.LINE)
            return f"\n\n{lines}\n\n"
        if name in ("math", "chem", "ce"):
            return _formula(content, attributes)
        if name == "gallery":
            return self._gallery(content)
        if name in ("syntaxhighlight", "source") and "inline" in attributes:
            return marks.protect(content)
        reason = "in_reference" if name in ("ref", "references") else "in_tag"
        self._count(reason, content)
        return ""

    def _gallery(self, content: str) -> str:
        """Return the lines of a gallery as links of files, so that captions are read as such."""
        captions = _GALLERY_FILE.findall(content)
        num_kept = sum(caption.count("[[") for caption in captions)
        self.losses.dropped["in_tag"] += content.count("[[") - num_kept
        plain = [cut(each, self.title, self.site, self.losses) for each in captions]
        one_line = (each.replace("\n", " ") for each in plain)
        return "".join(f"\n[[File:{_GALLERY_NAME}|{each}]]" for each in one_line) + "\n"


def _decoded(text: str) -> str:
    """Decode entities, which mean what they say even where no markup does."""
    return marks.without_marks(html.unescape(text)) if "&" in text else text


def _formula(content: str, attributes: str) -> str:
    """A formula in letters and digits is text; any other leaves a hole that keeps words apart."""
    plain = content.strip()
    if _SIMPLE_FORMULA.fullmatch(plain):
        return marks.protect(plain)
    is_block = "block" in attributes
    return f"\n\n{marks.FORMULA}\n\n" if is_block else marks.FORMULA
