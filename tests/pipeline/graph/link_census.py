"""Count the links of raw wikitext by where they lie, with none of the pipeline's own code.

One regular expression finds every mark, one stack says what is open, and every `[[...]]` is put
down under the outermost thing that hides it. Titles are resolved by two dictionaries.
"""

from __future__ import annotations

import bz2
import html
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

_MARK = re.compile(
    r"(?P<comment><!--.*?(?:-->|\Z))"
    r"|<(?:nowiki|ref|references|gallery|math|pre|source|syntaxhighlight)\b[^<>]*/>"
    r"|(?P<literal><(?P<name>nowiki|pre|source|syntaxhighlight|math|timeline)\b[^<>]*>"
    r".*?</(?P=name)\s*>)"
    r"|<(?P<open>ref|gallery|references|table)\b[^<>]*>"
    r"|</(?P<close>ref|gallery|references|table)\s*>"
    r"|(?P<table>^[:*# ]*\{\|)|(?P<table_end>^\s*\|\}(?!\}))"
    r"|(?P<braces>\{\{)|(?P<braces_end>\}\})"
    r"|(?P<link>\[\[)|(?P<link_end>\]\])|(?P<blank>\n[ \t]*\n)",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
_NAME = re.compile(r"\{\{([\w ]+|!)\}\}")
_LINK = re.compile(
    r"((?:[^\[\]|\n{}<>]|\{\{(?:[\w ]+|!)\}\})+)(?:\|[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*)?\]\]"
)
_FILE = re.compile(r"\s*(file|image|attāls|fails|kategoreja|category)\s*:", re.IGNORECASE)
_CLOSES: dict[str, tuple[str, ...]] = {
    "table_end": ("table",),
    "braces_end": ("template",),
    "link_end": ("caption", "category"),
    # A file whose brackets never close is text.
    "blank": ("caption", "category"),
}


class Found(NamedTuple):
    """A link of the wikitext, and where it lies.

    `place` is `body`; `text template`, for templates that carry prose; `name in target`, for a
    target that a template spells; or what hides the link: comment, literal, ref, references,
    gallery, caption, table, template.
    """

    place: str
    target: str
    is_plain: bool = True
    """Whether the target stands in the wikitext as it is, and no template spells it."""


@dataclass
class Wiki:
    """The titles of a dump: page texts and redirects of namespace 0.

    `names` are templates that stand for a word, `text_templates` those that carry prose, both in
    lower case with blanks.
    """

    texts: dict[str, str] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    namespaces: set[str] = field(default_factory=set)
    names: Mapping[str, str] = field(default_factory=dict)
    text_templates: Collection[str] = ()

    def links(self) -> Iterator[tuple[str, Found, str, str]]:
        """Yield source, link, fate and target of every link but those to files and categories."""
        for source, text in self.texts.items():
            for link in self.find_links(text):
                yield source, link, *self.resolve(source, link.target)

    def find_links(self, wikitext: str) -> Iterator[Found]:
        """Yield the links of a page."""
        stack: list[tuple[str, str]] = []
        at = 0
        while mark := _MARK.search(wikitext, at):
            at = mark.end()
            kind = "literal" if mark.lastgroup == "name" else mark.lastgroup or ""
            if kind in ("comment", "literal"):
                targets = re.findall(r"\[\[([^\[\]|]+)", mark[0])
                yield from (Found(kind, target) for target in targets)
            elif kind == "open":
                stack.append((mark["open"].lower(), ""))
            elif kind == "table":
                stack.append(("table", ""))
            elif kind == "braces":
                name = wikitext[at:].split("|", 1)[0].split("}", 1)[0]
                stack.append(("template", " ".join(name.replace("_", " ").split()).lower()))
            elif kind == "link" and (prefix := _FILE.match(wikitext, at)):
                is_category = prefix[1].lower() in ("kategoreja", "category")
                stack.append(("category" if is_category else "caption", ""))
            elif kind == "link" and (link := _LINK.match(wikitext, at)):
                yield self._found(stack, link[1])
                at = link.end()
            elif kind != "link":
                _close(stack, _CLOSES.get(kind, ((mark["close"] or "").lower(),)))

    def _found(self, stack: list[tuple[str, str]], target: str) -> Found:
        place = "text template" if stack else "body"
        for hides, name in stack:
            if hides != "template" or name not in self.text_templates:
                place = hides
                break
        is_plain = "{{" not in target
        if not is_plain and place in ("body", "text template"):
            place = "name in target"
        return Found(place, _NAME.sub(self._spell_name, target).split("|")[0], is_plain)

    def _spell_name(self, match: re.Match[str]) -> str:
        name = match[1].replace("_", " ").lower()
        return "|" if name == "!" else self.names.get(name, "")

    def resolve(self, source: str, raw: str) -> tuple[str, str]:
        """Return what becomes of a link and the page it leads to."""
        target = html.unescape(raw).strip().removeprefix(":")
        prefix, colon, _ = target.partition(":")
        if colon and prefix.strip().lower() in self.namespaces:
            return "other_namespace", ""
        title = spell(target)
        seen: set[str] = set()
        while title in self.redirects and title not in seen:
            seen.add(title)
            title = spell(self.redirects[title])
        if not title or title == source:
            return "self", source
        if title not in self.texts:
            return "red", title
        return ("redirect" if seen else "resolved"), title


def _close(stack: list[tuple[str, str]], kinds: tuple[str, ...]) -> None:
    for depth in range(len(stack) - 1, -1, -1):
        if stack[depth][0] in kinds:
            del stack[depth:]
            return
        if stack[depth][0] == "template":
            # Nothing closes what was opened before the template.
            return


def spell(target: str) -> str:
    """Spell a title as the wikis of these tests do: blanks, a capital, no section."""
    title = re.sub(r"[\s_]+", " ", target.split("#", 1)[0].replace("\u200e", "")).strip()
    return title[:1].upper() + title[1:]


def read_wiki(path: Path, names: Mapping[str, str], text_templates: Collection[str]) -> Wiki:
    """Read a small dump whole."""
    with bz2.open(path) as file:
        root = ElementTree.parse(file).getroot()
    prefix = root.tag.partition("}")[0] + "}"
    wiki = Wiki(names=names, text_templates=text_templates)
    wiki.namespaces = {
        *(name.text.lower() for name in root.iter(f"{prefix}namespace") if name.text),
        *("file", "image", "category", "special", "media", "help", "template"),
    }
    for page in root.iter(f"{prefix}page"):
        if page.findtext(f"{prefix}ns") != "0":
            continue
        title = page.findtext(f"{prefix}title") or ""
        redirect = page.find(f"{prefix}redirect")
        if redirect is not None:
            wiki.redirects[title] = redirect.get("title", "")
        else:
            wiki.texts[title] = page.findtext(f".//{prefix}text") or ""
    return wiki


def count_links(wiki: Wiki) -> dict[str, Counter[str]]:
    """Count the links of each place: by fate, and `edges`, those that no place before it makes.

    The places come in the order body, text template, name in target, then by name.
    """
    counts: dict[str, Counter[str]] = {}
    edges: dict[str, set[tuple[str, str]]] = {}
    for source, link, fate, target in wiki.links():
        counts.setdefault(link.place, Counter())[fate] += 1
        if fate in ("resolved", "redirect"):
            edges.setdefault(link.place, set()).add((source, target))
    seen: set[tuple[str, str]] = set()
    for place in sorted(counts, key=lambda place: (place not in KEPT, place)):
        new = edges.get(place, set()) - seen
        counts[place]["edges"] = len(new)
        seen |= new
    return counts


KEPT = ("body", "name in target", "text template")
