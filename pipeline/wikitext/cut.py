"""Cut out of wikitext what carries neither prose nor links in prose, in one linear pass.

Comments, references, formulas, tables and templates nest in one another, so a single scan over
their openers and closers keeps one stack for all of them, as MediaWiki's preprocessor does:

    text {{lang|fr|mot<!-- c -->}} text {| ... {{x}} ... |} text
         └─ frame: rendered ─────┘      └─ frame: dropped ┘

No text is searched twice: a missing closer is remembered, and an unclosed frame gives its pieces
back at the end. Each link that is cut out is counted under the reason for the cut.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from pipeline.wiki.site_info import SiteInfo
from pipeline.wikitext import marks
from pipeline.wikitext.hidden_tags import (
    KNOWN,
    REFERENCE,
    TEMPLATE,
    Closers,
    gallery_captions,
    gallery_links,
    literal_content,
    openers_and_closers,
    tabs_of,
)
from pipeline.wikitext.holes import hole_between
from pipeline.wikitext.loose_rows import ROW_FOLLOWS, ROWS, ROWS_END, drop_loose_rows
from pipeline.wikitext.markup import LIST_MARKS, begun_with_list_mark
from pipeline.wikitext.templates.rules import Rules
from pipeline.wikitext.unruled import PageLosses, UnruledTemplates
from pipeline.wikitext.variants import choose_variant, variants_of

MAX_DEPTH: Final = 60
"""Frames within frames; MediaWiki itself gives up at 40 levels of expansion."""

# What may precede a table on its line: list marks, tags, and holes where something was cut out.
_LINE_START: Final = re.compile(
    rf"(?>(?:[ \t:*#;{marks.HOLE}{marks.BARRIER}{ROWS}]|</?[a-zA-Z][^<>]*>)*)"
)
_BLANK_LINE: Final = re.compile(r"[ \t]*")
_HEADING_LINE: Final = re.compile(r"\n(?==)")
_ARGUMENT_LINES: Final = re.compile(r"[^\n]*(?:\n[ \t]*[|!][^\n]*)+")
_ADDRESS: Final = re.compile(r"\s*(?:server\s*$|(?:full|canonical|local)url:)", re.IGNORECASE)
# How far before a table's `{|` its line is searched for the start; bounds the work per table.
_MAX_INDENT: Final = 200

_BRACES, _TABLE, _HTML_TABLE, _VARIANT = range(4)


@dataclass(slots=True)
class _Frame:
    kind: int
    braces: int
    start: int = 0
    pieces: list[str] = field(default_factory=list)


def cut(text: str, title: str, site: SiteInfo, rules: Rules, losses: PageLosses) -> str:
    """Return the wikitext with templates rendered, and tables, references and the like cut out.

    >>> from pipeline.wiki.site_info import default_site
    >>> from pipeline.wikitext.templates.rules import rules_of
    >>> losses, page = PageLosses(), "a<ref>[[b]]</ref> {{nowrap|[[c]] d}}{{x|[[y]]}}"
    >>> cut(page, "T", default_site(), rules_of("en"), losses)
    'a [[c]] d'
    >>> dict(losses.dropped)
    {'in_reference': 1, 'in_template': 1}
    """
    if "<" not in text and "{" not in text:
        return text
    return _Cutter(text, title, site, rules, losses).run()


class _Cutter:
    """The state of one pass: where it is, and the frames that are open."""

    def __init__(
        self, text: str, title: str, site: SiteInfo, rules: Rules, losses: PageLosses
    ) -> None:
        self.text, self.title, self.site = text, title, site
        self.rules, self.losses = rules, losses
        self.position = 0
        self.frames: list[_Frame] = [_Frame(_TABLE, 0)]
        self.pieces = self.frames[0].pieces
        self.closers = Closers(text)
        self.has_open_angle = True
        self.has_rows = False
        self.table_end = 0
        self.unruled = ""
        self.unruled_templates = UnruledTemplates(title, site, losses)
        self.variants = variants_of(site.language)

    def run(self) -> str:
        text, pieces, position = self.text, self.pieces, 0
        search = openers_and_closers(bool(self.variants)).search
        recall, render = self.rules.recall, self.rules.render
        match = search(text)
        while match:
            start, end = match.span()
            group = match.lastindex
            if group is None:
                self.position = position
                self._take(text[start:end], start, end)
                pieces, position = self.pieces, self.position
                # Skip what a tag or comment hides.
                match = search(text, max(end, position))
                continue
            # Nine in ten matches take this inlined copy of `_skip`, `_template` and `_tag`.
            if start > position:
                pieces.append(text[position:start])
            position = end
            if group == TEMPLATE:
                content = match[TEMPLATE]
                rendered, num_lost, unruled = recall(content) or render(content)
                if num_lost:
                    self.losses.dropped["in_template"] += num_lost
                if unruled is not None:
                    rendered = self.unruled_templates.show(unruled, content)
                    if not rendered and len(self.frames) == 1:
                        self.unruled_templates.note_hole(unruled, content, text, start, end)
                rendered = self._beside(rendered, content, start, end)
                if rendered:
                    pieces.append(rendered)
            elif group == REFERENCE:
                self._count("in_reference", match[REFERENCE])
                hole = hole_between(text[max(0, start - 2) : start], text[end : end + 1])
                if hole:
                    pieces.append(hole)
            match = search(text, end)
        pieces.append(text[position:])
        return self._finished(self._unwind())

    def _finished(self, text: str) -> str:
        if not self.has_rows:
            return text.replace(ROWS_END, "") if ROWS_END in text else text
        text, num_lost = drop_loose_rows(text)
        if num_lost:
            self.losses.dropped["in_table"] += num_lost
        return text

    def _beside(self, rendered: str, content: str, start: int, end: int) -> str:
        """Fit what a template shows to the text around it; mark the hole where it shows nothing."""
        text = self.text
        if rendered:
            if rendered[0] in LIST_MARKS:
                return begun_with_list_mark(rendered, content, text[start - 1 : start])
            return rendered
        after, before = text[end : end + 1], text[max(0, start - 2) : start]
        if after in "\n <\t" and len(self.frames) == 1 and ROW_FOLLOWS.match(text, end):
            self.has_rows = True
            return ROWS
        if before[-1:] == "[" and before != "[[" and _ADDRESS.match(content):
            return "//-"
        return hole_between(before, after)

    def _take(self, token: str, start: int, end: int) -> None:
        """Handle a token that opens or closes something."""
        if token[0] == "<":
            self._tag(token, start, end)
        elif token == "-{":
            self._open(_Frame(_VARIANT, 0), start, end)
        elif token == "}-":
            self._close_variant(start, end)
        elif token == "}":
            # The pattern matches only the brace of `|}`.
            if self._is_line_start(start - 1):
                self._close_table(_TABLE, start - 1, end)
        elif token[0] == "}":
            self._close_braces(start, end)
        elif token[:2] == "{{":
            self._open(_Frame(_BRACES, end - start, start), start, end)
        elif token[0] == "{" and self._is_line_start(start):
            self._open(_Frame(_TABLE, 0), start, end)

    def _open(self, frame: _Frame, start: int, end: int) -> None:
        self._skip(start, end)
        if len(self.frames) < MAX_DEPTH:
            self.frames.append(frame)
            self.pieces = frame.pieces

    def _skip(self, start: int, end: int, instead: str = "") -> None:
        """Keep the text up to `start`, and put `instead` in place of the text up to `end`."""
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
        if self.position == index > 1 and self.text[index - 2 : index] == "}}":
            # After a template, even one whose source is longer than _MAX_INDENT.
            return True
        start = max(self.position, index - _MAX_INDENT)
        line = self.text[start:index]
        if start == self.position:
            # The part of the line before the last cut is in the last pieces, without what was cut.
            for piece in reversed(self.pieces):
                if "\n" in line or len(line) > _MAX_INDENT:
                    break
                line = piece[-_MAX_INDENT:] + line
        elif "\n" not in line:
            return False
        return _LINE_START.fullmatch(line, line.rfind("\n") + 1) is not None

    def _close_table(self, kind: int, start: int, end: int) -> None:
        if len(self.frames) > 1 and self.frames[-1].kind == kind:
            self._skip(start, end)
            self._count("in_table", self._pop())
            self.pieces.append("\n")
        else:
            self._skip(start, end, ROWS_END if kind == _TABLE else "")

    def _close_variant(self, start: int, end: int) -> None:
        if self.frames[-1].kind != _VARIANT:
            return
        self._skip(start, end)
        content = self._pop()
        chosen = choose_variant(content, self.variants)
        num_lost = content.count("[[") - chosen.count("[[")
        if num_lost > 0:
            self.losses.dropped["in_tag"] += num_lost
        self.pieces.append(chosen)

    def _close_braces(self, start: int, end: int) -> None:
        text, count = self.text, end - start
        is_table_open = self.frames[-1].kind == _TABLE and len(self.frames) > 1
        if is_table_open and text[start - 1] == "|" and self._is_line_start(start - 1):
            self._close_table(_TABLE, start - 1, start + 1)
            start, count = start + 1, count - 1
        self._skip(start, end)
        while count >= 2 and len(self.frames) > 1:
            frame = self.frames[-1]
            if frame.kind == _VARIANT and any(below.kind == _BRACES for below in self.frames[1:]):
                content = "-{" + self._pop()
                self.pieces.append(content)
                continue
            if frame.kind != _BRACES:
                # A template that ends closes the tables inside it; a table of the page stays open.
                if not any(below.kind == _BRACES for below in self.frames[1:]):
                    break
                self._count("in_table", self._pop())
                continue
            taken = 3 if frame.braces >= 3 and count >= 3 else 2
            count -= taken
            self._reduce(frame, taken, end - count)

    def _reduce(self, frame: _Frame, taken: int, end: int) -> None:
        """Render the innermost braces of a frame; the rest of its run of braces stays open."""
        content = "".join(frame.pieces)
        self.unruled = ""
        rendered = content.partition("|")[2] if taken == 3 else self._template(content)
        frame.braces -= taken
        if frame.braces >= 2:
            frame.pieces[:] = [rendered]
            return
        self.frames.pop()
        self.pieces = self.frames[-1].pieces
        if self.unruled and len(self.frames) == 1:
            templates = self.unruled_templates
            templates.note_hole(self.unruled, content, self.text, frame.start, end)
        rendered = self._beside(rendered, content, frame.start, end)
        self.pieces.append(marks.LITERAL["{"] * frame.braces + rendered)

    def _unwind(self) -> str:
        """Give back what unclosed frames hold: an unclosed brace must not swallow the page."""
        while len(self.frames) > 1:
            kind = self.frames[-1].kind
            content, end = self._pop(), 0
            if kind == _VARIANT:
                content = "-{" + content
            elif kind == _BRACES:
                if lost := _ARGUMENT_LINES.match(content):
                    end = lost.end()
                    self._count("in_template", lost.group())
            else:
                heading = _HEADING_LINE.search(content)
                end = heading.start() if heading else len(content)
                self._count("in_table", content[:end])
            self.pieces.append(content[end:])
        return "".join(self.frames[0].pieces)

    def _count(self, reason: str, content: str) -> None:
        links = content.count("[[")
        if links:
            self.losses.dropped[reason] += links

    def _template(self, content: str) -> str:
        rendered, num_lost, unruled = self.rules.render(content)
        if num_lost:
            self.losses.dropped["in_template"] += num_lost
        if unruled is not None:
            rendered = self.unruled_templates.show(unruled, content)
            self.unruled = "" if rendered else unruled
        return rendered

    def _tag(self, opener: str, start: int, end: int) -> None:
        text = self.text
        if opener == "<!--":
            self._comment(start, end)
            return
        name = opener[1:].lower()
        close = text.find(">", end) if self.has_open_angle else -1
        if close < 0:
            self.has_open_angle = False
            return
        if name == "table":
            self._open(_Frame(_HTML_TABLE, 0), start, close + 1)
            return
        if name == "/table":
            # It also ends a table that began with `{|` but has no `|}`.
            is_odd = self.frames[-1].kind == _TABLE and not self._has_table_end(close)
            self._close_table(_TABLE if is_odd else _HTML_TABLE, start, close + 1)
            return
        is_known = name in KNOWN
        if text[close - 1] == "/":
            if is_known or "=" in text[end:close] or "-" in name:
                self._skip(start, close + 1, marks.BARRIER if name == "nowiki" else "")
            return
        closer = self.closers.after(name, close)
        is_another = name == "ref" and closer and self._is_another_reference(close, closer[0])
        if closer is None or is_another:
            if is_known:
                self._unclosed_tag(name, start, close + 1)
            return
        content = self._content_of(name, text[close + 1 : closer[0]], text[end:close])
        between = text[max(0, start - 2) : start], text[closer[1] : closer[1] + 1]
        self._skip(start, closer[1], content or hole_between(*between))

    def _has_table_end(self, start: int) -> bool:
        """Tell whether a line after `start` begins with `|}`, without searching any text twice."""
        if 0 <= self.table_end < start:
            self.table_end = self.text.find("\n|}", start)
        return self.table_end >= 0

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
        is_alone = text[start - 1 : start] + text[after : after + 1] in ("()", "（）")
        self._skip(start, after, marks.HOLE if is_alone else "")

    def _unclosed_tag(self, name: str, start: int, end: int) -> None:
        """Drop the tag; an unclosed reference takes the rest of its line with it."""
        if name == "ref":
            line_end = self.text.find("\n", end)
            line_end = len(self.text) if line_end < 0 else line_end
            self._count("in_reference", self.text[end:line_end])
            end = line_end
        self._skip(start, end)

    def _is_another_reference(self, start: int, end: int) -> bool:
        """Tell whether the closer belongs to a later <ref>, so that prose lies in between."""
        text = self.text
        line = text.find("\n", start, end)
        return line >= 0 and text.find("<ref", line, end) >= 0

    def _content_of(self, name: str, content: str, attributes: str) -> str:
        literal = literal_content(name, content, attributes)
        if literal is not None:
            return literal
        if name == "gallery":
            captions = gallery_captions(content)
            num_kept = sum(caption.count("[[") for caption in captions)
            self.losses.dropped["in_tag"] += content.count("[[") - num_kept
            return gallery_links([self._cut_inner(each) for each in captions])
        if name == "tabber":
            return "\n\n" + self._cut_inner("\n\n".join(tabs_of(content))) + "\n\n"
        self._count("in_reference" if name in ("ref", "references") else "in_tag", content)
        return ""

    def _cut_inner(self, text: str) -> str:
        return cut(text, self.title, self.site, self.rules, self.losses)
