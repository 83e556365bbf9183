"""Strip the markup that only formats text: quotes, tags, external links, list marks.

Text, headings, entities and internal links remain, ready for the tokenizer. The steps come in the
order of MediaWiki's parser wherever the order matters.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from pipeline.wiki.site_info import CATEGORY, FILE, SiteInfo
from pipeline.wikitext import marks

_PARAGRAPH: Final = "\n\n"
_TAG: Final = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)\b[^<>]*>")
_BLOCK_TAGS: Final = (
    "p div center blockquote ul ol dl section hr table tr td th tbody caption figure poem aside "
    "tabs spoiler spoilers hidden verse lyrics details summary"
)
_INLINE_TAGS: Final = (
    "abbr b bdi bdo big cite code data del dfn em font i ins kbd mark noinclude nowiki onlyinclude "
    "q rb rp rt rtc ruby s samp small span strike strong sub sup time translate tt tvar u var wbr "
    "a img ref references includeonly languages ce math chem gallery pre acronym blink marquee nobr"
)
_TAG_TEXT: Final = {
    **dict.fromkeys(_BLOCK_TAGS.split(), _PARAGRAPH),
    **dict.fromkeys(_INLINE_TAGS.split(), ""),
    "br": marks.LINE,
    "li": f"\n{marks.ITEM}",
    "dt": f"\n{marks.ITEM}",
    "dd": f"\n{marks.ITEM}",
}
_HEADING_TAG: Final = re.compile(r"[hH]([1-6])")
_TAB_NAME: Final = re.compile(r"\bname\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]+))")
# A superscript number after a digit is an exponent, and must not read as further digits.
_POWER: Final = re.compile(
    # The tag is matched first and only then what precedes it, so that few places are tried.
    r"<[sS][uU][pP](?:(?<=\d....)|(?<=\d(?:''|\]\])....)|(?<=\d'{3}....)|(?<=\d</[a-zA-Z]>....)"
    r"|(?<=\b10 ....))"
    r"\b[^<>]*>(?:\s|&nbsp;)*(?=(?:\s|&nbsp;|''+|\[\[|[-+−–]|&(?:minus|ndash|thinsp|#8722);)*"
    r"\d[\d.,/−–-]*(?:\s|''+|\]\])*</?[sS][uU][pP])"
)
_VERSE_INDENT: Final = re.compile(r"^[ \t]*(?:[:*#;]+[ \t]*)+|^-{4,}", re.MULTILINE)
_POEM: Final = re.compile(r"<poem\b[^<>]*>|</poem\s*>", re.IGNORECASE)

# MediaWiki removes translation variables before it parses anything.
_TVAR: Final = re.compile(r"</?tvar\b[^<>]*>|</>")
LIST_MARKS: Final = frozenset("*#:;")
# A list in a template's argument begins on a line of its own.
_LISTED: Final = re.compile(r"\n[ \t]*[*#:;]")

_QUOTES: Final = re.compile("''+")

_SCHEMES: Final = r"(?:https?|ftps?|ircs?|gopher|telnet|nntp|worldwind|svn|git|mms|ssh)://"
_LABELLED: Final = re.compile(
    rf"\[(?!\[)(?i:{_SCHEMES}|//|(?:mailto|news|tel|sip|magnet|urn|geo|xmpp|bitcoin|sms):)"
    # Italics and bold end an address: they begin its label.
    r"(?>(?:[^\s\[\]<>\"']++|'(?!'))+)"
    r"(?:[ \t]*+((?>(?:[^\[\]\n]++|\[\[[^\[\]\n]*+\]\]|\[[^\[\]\n]*+\])*)))?\]"
)
_SWITCH: Final = re.compile(r"__([^\W\d_](?:[^\W\d_]| |_(?!_)){2,40})__")
_DISAMBIGUATION_SWITCH: Final = "DISAMBIG"
_LIST: Final = re.compile(r"\n[ \t]*[*#:;]+[ \t]*")
_TERMS: Final = re.compile(r"\n[ \t]*[*#:;]*;[ \t]*(?![*#:;])")
# The first colon outside links ends a term, unless it is part of an address or a time of day.
_TERM: Final = re.compile(
    rf"^({marks.ITEM};(?>(?:[^:\[\n]|\[\[[^\[\]\n]*+\]\]|\[|:(?=//)|(?<=\d):(?=\d))*)) ?:[ \t]*",
    re.MULTILINE,
)
_RULE: Final = re.compile(r"\n-{4,}")
# Links without inner brackets are well formed: they are shielded while the others are examined.
_FLAT_LINK: Final = re.compile(r"\[\[([^\[\]]*+)\]\]")
_OPEN, _CLOSE = marks.ANCHOR_OPEN, marks.ANCHOR_CLOSE
_SHIELDED: Final = rf"{_OPEN}\1{_CLOSE}"
_BRACKETS: Final = re.compile(rf"{_OPEN}|\[\[(?!\[)[ \t]*(?:([^\[\]|:\n{_OPEN}]{{1,60}}):)?|\]\]")
_MAX_MEDIA_DEPTH: Final = 8


def strip_markup(text: str) -> tuple[str, bool]:
    r"""Return the text without formatting, and whether it is marked as a disambiguation page.

    >>> strip_markup("'''A''' <b>b</b> [http://x.org c]")
    ('\nA b c', False)
    """
    is_disambiguation = False
    if "<" in text and "<tvar" in text:
        text = _TVAR.sub("", text)
    # A tag ends an address, so labels are found before tags are stripped.
    if "//" in text or "[mailto:" in text:
        text = _LABELLED.sub(_label, text)
    if "<" in text:
        text = _strip_tags(text)
    if "''" in text:
        text = _strip_quotes(text)
    if "__" in text:
        text, is_disambiguation = _strip_switches(text)
    text = f"\n{text}"
    if ";" in text:
        text = _TERMS.sub(f"\n{marks.ITEM};", text)
    text = _LIST.sub(f"\n{marks.ITEM}", text)
    if f"{marks.ITEM};" in text:
        text = _TERM.sub(rf"\1\n{marks.ITEM}", text).replace(f"{marks.ITEM};", marks.ITEM)
    return _RULE.sub(_PARAGRAPH, text) if "----" in text else text, is_disambiguation


def begun_with_list_mark(rendered: str, content: str, before: str) -> str:
    r"""Fit a template's text that begins with `*`, `#`, `:` or `;` after the character `before`.

    Like MediaWiki, begin a new line for a list. In any other text the mark is an ordinary sign.

    >>> begun_with_list_mark("* a", "ubl|\n* a", "x"), begun_with_list_mark("*", "i|*", "")
    ('\n* a', '\ufde9')
    """
    if "\n" in rendered or _LISTED.search(content):
        return rendered if before in ("", "\n") else f"\n{rendered}"
    return marks.LITERAL.get(rendered[0], rendered[0]) + rendered[1:]


def protect_loose_brackets(text: str, site: SiteInfo, dropped: Counter[str]) -> str:
    """Keep `[[` and `]]` only where MediaWiki reads them as a link.

    A link runs from `[[` to the next `]]` with no `[[` between; only links to files may hold other
    links. Unmatched openers and closers are removed, single brackets are protected. The tokenizer
    then never backtracks, so its time is linear.

    >>> from pipeline.wiki.site_info import default_site
    >>> kept = protect_loose_brackets("[[a [[b]] [c]]", default_site(), Counter())
    >>> marks.restore(kept)
    'a [[b]] [c'
    """
    if _is_well_formed(text, site):
        return text
    text = _BracketPass(_FLAT_LINK.sub(_SHIELDED, text), site, dropped).run()
    return text.replace(_OPEN, "[[").replace(_CLOSE, "]]")


def _is_well_formed(text: str, site: SiteInfo) -> bool:
    """Tell whether, as on most pages, all links are plain or files that hold plain links."""
    rest = _FLAT_LINK.sub("", text)
    if "[" not in rest and "]" not in rest:
        return True
    files = _FLAT_LINK.findall(rest)
    rest = _FLAT_LINK.sub("", rest)
    if "[" in rest or "]" in rest:
        return False
    return all(site.namespace_id(file.partition(":")[0]) == FILE for file in files)


class _BracketPass:
    """One scan over all brackets, tracking the open files and the one open plain link."""

    def __init__(self, text: str, site: SiteInfo, dropped: Counter[str]) -> None:
        self.text = text
        self.site = site
        self.dropped = dropped
        self.edits: list[tuple[int, int, str]] = []
        """Replacements at the brackets of links and at cuts: start, end, replacement."""

    def run(self) -> str:
        text, edits = self.text, self.edits
        files: list[int] = []
        plain = -1
        for match in _BRACKETS.finditer(text):
            start = match.start()
            first = text[start]
            if first != "]":
                if plain >= 0:
                    self._drop_opener(plain)
                if first == _OPEN:
                    plain = -1
                    continue
                plain = start
                prefix = match.group(1)
                if prefix is not None and len(files) < _MAX_MEDIA_DEPTH and self._is_file(prefix):
                    files.append(start)
                    plain = -1
            elif plain >= 0:
                edits.append((plain, plain + 2, "[["))
                plain, end = -1, start + 2
                if text[end : end + 1] == "]" and "[" in text[edits[-1][1] : start]:
                    start += 1
                edits.append((start, start + 2, "]]"))
            elif files:
                edits.append((files.pop(), 0, "[["))
                edits.append((start, start + 2, "]]"))
            else:
                # Closes nothing: a typing error, not text.
                edits.append((start, start + 2, ""))
        if plain >= 0:
            self._drop_opener(plain)
        for start in files:
            self.dropped["unclosed"] += 1
            line_end = text.find("\n", start)
            edits.append((start, line_end if line_end >= 0 else len(text), ""))
        return self._edited()

    def _drop_opener(self, start: int) -> None:
        """Remove an opener without a closer: it makes no link, and what follows stays as text."""
        self.dropped["unclosed"] += 1
        self.edits.append((start, start + 2, ""))

    def _is_file(self, prefix: str) -> bool:
        return self.site.namespace_id(prefix) in (FILE, CATEGORY)

    def _edited(self) -> str:
        text, pieces, position = self.text, [], 0
        for start, end, kept in sorted(self.edits):
            if start < position:
                continue
            pieces.append(_protect_brackets(text[position:start]))
            pieces.append(kept)
            position = end or start + 2
        pieces.append(_protect_brackets(text[position:]))
        return "".join(pieces)


def _protect_brackets(text: str) -> str:
    if "[" in text:
        text = text.replace("[", marks.LITERAL["["])
    return text.replace("]", marks.LITERAL["]"]) if "]" in text else text


# ------------------------------------------------------------------------------ steps


def _strip_tags(text: str) -> str:
    if _POEM.search(text):
        text = _break_verse(text)
    if "\n</h" in text:
        text = text.replace("\n</h", "</h")
    if "<sup" in text:
        text = _POWER.sub("^", text)
    text = _TAG.sub(_tag_text, text)
    return text.replace("<", marks.LITERAL["<"])


def _tag_text(match: re.Match[str]) -> str:
    name = match.group(2).lower()
    if name == "tab":
        return _tab_title(match.group())
    found = _TAG_TEXT.get(name)
    if found is not None:
        return "\n" if match.group(1) and marks.ITEM in found else found
    level = _HEADING_TAG.fullmatch(name)
    if level is None:
        return match.group()
    equals = "=" * int(level.group(1))
    return f" {equals}\n" if match.group(1) else f"\n{equals} "


def _tab_title(tag: str) -> str:
    """Show the name of a tab above its content."""
    name = _TAB_NAME.search(tag)
    shown = next(filter(None, name.groups()), "") if name else ""
    return f"{_PARAGRAPH}{shown}{_PARAGRAPH}"


def _break_verse(text: str) -> str:
    """Keep the line breaks inside <poem>."""
    pieces, position, is_open = [], 0, False
    for match in _POEM.finditer(text):
        piece = text[position : match.start()]
        if is_open:
            piece = _VERSE_INDENT.sub("", piece).strip("\n").replace("\n", marks.LINE)
        pieces.append(piece)
        pieces.append(_PARAGRAPH)
        position, is_open = match.end(), not match.group().startswith("</")
    pieces.append(text[position:])
    return "".join(pieces)


def _strip_quotes(text: str) -> str:
    """Remove '' and ''' as MediaWiki reads them: an unpaired one leaves its apostrophe.

    >>> marks.restore(_strip_quotes("''''x'''' l'''y'' "))
    "'x' l'y "
    """
    text = text.replace("]]''", f"]]{marks.BARRIER}''")
    if "'''" in text:
        text = "\n".join([_even_bold(line) if "'''" in line else line for line in text.split("\n")])
    return text.replace("''", "")


def _even_bold(line: str) -> str:
    # Nearly all lines are balanced, so that each run need not be examined.
    is_balanced = line.count("'''") % 2 == 0 and "''''" not in line
    return line.replace("'''", "") if is_balanced else _even_quotes(line)


def _even_quotes(line: str) -> str:
    """Turn runs of apostrophes in a line into pairs; see Parser::doQuotes."""
    runs = [run.span() for run in _QUOTES.finditer(line)]
    sizes = [end - start for start, end in runs]
    literal = [size - 3 if size == 4 else max(0, size - 5) for size in sizes]
    marked = [size - kept for size, kept in zip(sizes, literal, strict=True)]
    num_bold = sum(size in (3, 5) for size in marked)
    num_italic = sum(size in (2, 5) for size in marked)
    if num_bold % 2 and num_italic % 2:
        chosen = _unbalanced_bold(line, runs, literal, marked)
        if chosen is not None:
            literal[chosen] += 1
    pieces, position = [], 0
    for (start, end), kept in zip(runs, literal, strict=True):
        # Two leftover apostrophes stand for a quotation mark.
        pieces.append(line[position:start] + ('"' if kept == 2 else marks.LITERAL["'"] * kept))
        position = end
    return "".join(pieces) + line[position:]


def _unbalanced_bold(
    line: str, runs: list[tuple[int, int]], literal: list[int], marked: list[int]
) -> int | None:
    """Choose the ''' to read as apostrophe and '': after a one-letter word, a word, a blank."""
    after_word = after_blank = None
    for index, (start, _) in enumerate(runs):
        if marked[index] != 3:
            continue
        before = (line[:start] + "'" * literal[index])[-2:]
        if before[-1:] == " ":
            after_blank = index if after_blank is None else after_blank
        elif len(before) == 2 and before[0] == " ":
            return index
        elif after_word is None:
            after_word = index
    return after_word if after_word is not None else after_blank


def _label(match: re.Match[str]) -> str:
    label = (match.group(1) or "").strip()
    if "''" in label:
        # Quotes on either side of a bracket do not join into one run.
        return f"{marks.BARRIER}{label}{marks.BARRIER}"
    # The wiki shows a number for an address without a label; it is not text.
    return label or marks.HOLE


def _strip_switches(text: str) -> tuple[str, bool]:
    """Remove behaviour switches like __NOTOC__: in any script, they have no lower-case letters."""
    found: list[str] = []

    def remove(match: re.Match[str]) -> str:
        word = match.group(1)
        if word != word.upper():
            return match.group()
        found.append(word)
        return ""

    return _SWITCH.sub(remove, text), _DISAMBIGUATION_SWITCH in found
