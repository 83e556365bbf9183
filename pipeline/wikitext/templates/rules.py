"""Render the templates that carry prose, by rules like those in `any_language.toml`.

A rule turns the arguments of a template into wikitext, so links inside stay links. A template
without a rule leaves nothing: infoboxes, navigation boxes and citations are not prose. A rule may
be limited to some languages, and the words it adds are in the language of the wiki or left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Final, NamedTuple

from pipeline.wiki.languages import known_language
from pipeline.wikitext.templates.functions import Arguments
from pipeline.wikitext.templates.tables import read_own_tables, shipped_tables

_TEMPLATE_PREFIX: Final = re.compile(r"(?:template|subst|safesubst|msg|msgnw|int)\s*:\s*")
_CODE: Final = re.compile(r"[^\W_]{2,5}(?:-[^\W_]+)*")
_MAX_REMEMBERED: Final = 1 << 16
_MAX_REMEMBERED_CHARS: Final = 500
_MAX_NAMES: Final = 1 << 12
_ARGUMENT_TOKEN: Final = re.compile(r"\[\[|\]\]|\|")
_NUM_POSITIONS: Final = 64
_POSITIONS: Final = tuple(map(str, range(1, _NUM_POSITIONS + 1)))
_MAX_KEY_CHARS: Final = 30
_MAX_SPELLED: Final = 1 << 12


class Rendered(NamedTuple):
    """The text of a template, which is wikitext again."""

    text: str
    num_lost: int
    """Links in its arguments that are not in the text."""
    unruled: str | None
    """Its name in lower case where no rule names it, so that `UnruledTemplates` decides."""


# The same as Rendered(...), in half the time.
_new_rendered = partial(tuple.__new__, Rendered)


@dataclass(frozen=True, slots=True)
class Rule:
    """How one template is rendered."""

    render: Callable[[Arguments], str]
    wanted: frozenset[str] | None = None
    """The arguments that it reads, where that is known."""
    spelled: dict[str, str] = field(default_factory=dict)
    """A cache for `split_arguments`: from names as pages write them to the names they mean."""


class Rules:
    """The rules for one wiki, with a cache of what they rendered."""

    def __init__(self, language: str, own: str = "") -> None:
        self._rules: dict[str, Rule] = {}
        self._by_prefix: dict[str, Rule] = {}
        for tables in (shipped_tables(), read_own_tables(own)):
            for table in sorted(tables, key=lambda table: bool(table.languages)):
                if not table.languages or language in table.languages:
                    self._add(table.names, Rule(table.renderer(language), table.wanted))
        self._named: dict[str, tuple[str, Rule | None]] = {}
        self._rendered: dict[str, Rendered] = {}
        self.recall = self._rendered.get
        """Return what `render` returned before, if cached: pages of one kind call the same
        templates with the same arguments."""

    def render(self, content: str) -> Rendered:
        """Render a template from the text between its braces.

        >>> rules_of("en").render("nowrap|[[a]]")
        Rendered(text='[[a]]', num_lost=0, unruled=None)
        >>> rules_of("en").render("Infobox|[[a]]")
        Rendered(text='', num_lost=1, unruled='infobox')
        """
        name, _, body = content.partition("|")
        folded, rule = self._named.get(name) or self._look_up(name)
        num_lost = content.count("[[") if "[[" in content else 0
        if rule is None:
            # A parser function may still show the links it holds.
            return _new_rendered(("", 0 if ":" in folded else num_lost, folded))
        text = rule.render(split_arguments(body, rule.wanted, rule.spelled))
        if num_lost:
            num_lost = max(0, num_lost - text.count("[["))
        rendered = _new_rendered((text, num_lost, None))
        if len(content) <= _MAX_REMEMBERED_CHARS:
            if len(self._rendered) >= _MAX_REMEMBERED:
                self._rendered.clear()
            self._rendered[content] = rendered
        return rendered

    def find(self, name: str) -> Rule | None:
        """Return the rule of a template by its name in lower case, or None.

        >>> rules_of("en").find("nowrap").render({"1": "a [[b]]"})
        'a [[b]]'
        >>> rules_of("en").find("infobox") is None
        True
        """
        rule = self._rules.get(name)
        if rule is None and "-" in name:
            prefix, _, code = name.partition("-")
            general = self._by_prefix.get(f"{prefix}-")
            if general is not None and _CODE.fullmatch(code):
                # {{lang-el|word}}: the rule reads "el" as the argument `*`.
                render = general.render
                rule = Rule(lambda arguments: render({**arguments, "*": code}))
        return rule

    def _look_up(self, name: str) -> tuple[str, Rule | None]:
        """Return the folded name of a template and its rule, with or without `Template:`."""
        folded = " ".join(name.replace("_", " ").split()).casefold()
        rule = self.find(folded)
        prefix = _TEMPLATE_PREFIX.match(folded) if rule is None else None
        if prefix:
            folded = folded[prefix.end() :]
            rule = self.find(folded)
        if len(self._named) >= _MAX_NAMES:
            self._named.clear()
        self._named[name] = folded, rule
        return folded, rule

    def _add(self, names: tuple[str, ...], rule: Rule) -> None:
        for name in names:
            if name.endswith("-*"):
                self._by_prefix[name[:-1]] = rule
            else:
                self._rules[name] = rule


@lru_cache(maxsize=8)
def rules_of(language: str, own: str = "") -> Rules:
    """Return the rules for a wiki's language; a user's own (TOML) win over the shipped ones.

    >>> rules_of("uk").render("lang-el|γη").text, rules_of("en-gb").render("lang-el|γη").text
    ('γη', 'Greek: γη')
    """
    return Rules(known_language(language), own)


def split_arguments(
    body: str, wanted: frozenset[str] | None = None, spelled: dict[str, str] | None = None
) -> Arguments:
    """Split what follows a template's name: `a|k=b` gives {"1": "a", "k": "b"}.

    Bars inside links do not separate arguments; values are stripped.

    Args:
        body: the text between the name's `|` and the closing braces.
        wanted: arguments that are needed; others may be left out: some templates have a hundred.
        spelled: a cache of argument names, to be used with one `wanted` only.

    >>> split_arguments("[[x|y]]| k = [[a=b]]|[[c=d]]")
    {'1': '[[x|y]]', 'k': '[[a=b]]', '2': '[[c=d]]'}
    """
    parts = _split_bars(body)
    if "=" not in body and len(parts) <= _NUM_POSITIONS:
        return dict(zip(_POSITIONS, map(str.strip, parts), strict=False))
    spelled = {} if spelled is None else spelled
    found: dict[str, str] = {}
    position = 0
    for part in parts:
        key, equals, value = part.partition("=")
        if equals:
            name = spelled.get(key)
            if name is None:
                name = _name_of(key, wanted, spelled)
            if name:
                found[name] = value.strip()
            if name is not None:
                continue
        name = _POSITIONS[position] if position < _NUM_POSITIONS else str(position + 1)
        position += 1
        found[name] = part.strip()
    return found


def _name_of(key: str, wanted: frozenset[str] | None, spelled: dict[str, str]) -> str | None:
    """Return the name of an argument, "" for one that is not wanted, None if it is no name."""
    if len(key) > _MAX_KEY_CHARS or "[" in key or "<" in key:
        return None
    name = key.strip()
    name = name if wanted is None or name in wanted else ""
    if len(spelled) < _MAX_SPELLED:
        spelled[key] = name
    return name


def _split_bars(body: str) -> list[str]:
    if "[[" not in body:
        return body.split("|")
    parts: list[str] = []
    depth = start = 0
    for match in _ARGUMENT_TOKEN.finditer(body):
        token = match.group()
        if token == "|":
            if depth == 0:
                parts.append(body[start : match.start()])
                start = match.end()
        else:
            depth = depth + 1 if token == "[[" else max(0, depth - 1)
    parts.append(body[start:])
    return parts
