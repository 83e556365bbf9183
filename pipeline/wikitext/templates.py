"""Templates that carry prose, rendered by the rules of `pipeline/wikitext/templates.toml`.

A rule gives a pattern over the template's arguments; the result is wikitext again, so links inside
stay links. A template without a rule leaves nothing: what an info box, a navigation box or a
citation shows is no prose.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from importlib import resources
from typing import Final, NamedTuple

from pipeline.wikitext.template_functions import FUNCTIONS, WANTED, Arguments, hatnote

_TEMPLATE_PREFIX: Final = re.compile(r"(?:template|subst|safesubst|msg|msgnw|int)\s*:\s*")
_MAX_REMEMBERED: Final = 1 << 16
_MAX_REMEMBERED_CHARS: Final = 500
_ARGUMENT_TOKEN: Final = re.compile(r"\[\[|\]\]|\|")
_NUM_POSITIONS: Final = 64
_POSITIONS: Final = tuple(map(str, range(1, _NUM_POSITIONS + 1)))
_MAX_KEY_CHARS: Final = 30
_MAX_SPELLED: Final = 1 << 12
_PATTERN_TOKEN: Final = re.compile(r"\{([^{}]*)\}|<([^<>]*\{[^<>]*)>|<[^<>{]*>|[^{}<>]+")
_PATTERN_KEYS: Final = re.compile(r"\{([^{}]*)\}")


class Rendered(NamedTuple):
    """A template as text, wikitext again."""

    text: str
    num_lost: int
    """Links of its arguments that are not in the text."""
    unruled: str | None
    """Its name in lower case where no rule says what it shows: then the page decides."""


# What Rendered(...) does, in half the time.
_new_rendered = partial(tuple.__new__, Rendered)
_RENDERED: Final[dict[str, Rendered]] = {}

recall = _RENDERED.get
"""What `render_template` gave for this before, where it is remembered: pages of one kind call the
same templates with the same arguments."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one template is rendered: by a text pattern, by a function, or as a hatnote."""

    render: Callable[[Arguments], str]
    wanted: frozenset[str] | None = None
    """The arguments it looks at, where that is known."""
    spelled: dict[str, str] = field(default_factory=dict)
    """A memory of `split_arguments`: names as pages write them, and the names they are."""


def render_template(content: str) -> Rendered:
    """Return the text of a template from what stands between its braces.

    >>> render_template("nowrap|[[a]]")
    Rendered(text='[[a]]', num_lost=0, unruled=None)
    >>> render_template("Infobox|[[a]]")
    Rendered(text='', num_lost=1, unruled='infobox')
    """
    name, _, body = content.partition("|")
    folded, rule = _named_rule(name)
    num_lost = content.count("[[") if "[[" in content else 0
    if rule is None:
        # A parser function may yet show what it holds.
        return _new_rendered(("", 0 if ":" in folded else num_lost, folded))
    text = rule.render(split_arguments(body, rule.wanted, rule.spelled))
    if num_lost:
        num_lost = max(0, num_lost - text.count("[["))
    rendered = _new_rendered((text, num_lost, None))
    if len(content) <= _MAX_REMEMBERED_CHARS:
        if len(_RENDERED) >= _MAX_REMEMBERED:
            _RENDERED.clear()
        _RENDERED[content] = rendered
    return rendered


@lru_cache(maxsize=4096)
def _named_rule(name: str) -> tuple[str, Rule | None]:
    """Return the folded name of a template, and its rule, `Template:` before it or not."""
    folded = name.strip().replace("_", " ").casefold()
    rule = rule_for(folded)
    prefix = _TEMPLATE_PREFIX.match(folded) if rule is None else None
    if prefix:
        folded = folded[prefix.end() :]
        rule = rule_for(folded)
    return folded, rule


def rule_for(name: str) -> Rule | None:
    """Return the rule of a template by its name in lower case, or None.

    >>> rule_for("nowrap").render({"1": "a [[b]]"})
    'a [[b]]'
    >>> rule_for("infobox") is None
    True
    """
    rule = _rules().get(name)
    if rule is None and name.startswith("lang-"):
        # {{lang-el|word}} is the old form of {{langx|el|word}}.
        langx, code = _rules()["langx"], name.removeprefix("lang-")
        return Rule(
            lambda arguments: langx.render(
                {**arguments, "1": code, "2": arguments.get("1") or arguments.get("text", "")}
            )
        )
    return rule


def split_arguments(
    body: str, wanted: frozenset[str] | None = None, spelled: dict[str, str] | None = None
) -> Arguments:
    """Split what follows a template's name: `a|k=b` gives {"1": "a", "k": "b"}.

    Bars inside links separate nothing; values are stripped. Where `wanted` is given, arguments of
    other names may be left out: some templates have a hundred. `spelled` remembers for one `wanted`
    what names it has seen.

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
    """Return the name of an argument, empty for one that no rule looks at, None for no name."""
    if len(key) > _MAX_KEY_CHARS or "[" in key or "<" in key:
        return None
    name = key.strip()
    name = name if wanted is None or name in wanted else ""
    if len(spelled) < _MAX_SPELLED:
        spelled[key] = name
    return name


def compile_pattern(pattern: str) -> Callable[[Arguments], str]:
    """Compile a pattern of the rule file.

    `{1|name}` is the first of these arguments that is not empty; what stands in `<...>` appears
    only when all arguments in it are not empty.

    >>> render = compile_pattern("{1}< ({2|kanji})>")
    >>> render({"1": "Kobe", "kanji": "神戸"}), render({"1": "Kobe"})
    ('Kobe (神戸)', 'Kobe')
    """
    parts = [_compile_part(match) for match in _PATTERN_TOKEN.finditer(pattern)]
    if len(parts) == 1:
        return parts[0]
    return lambda arguments: "".join([part(arguments) for part in parts])


def _compile_part(match: re.Match[str]) -> Callable[[Arguments], str]:
    keys, group = match.group(1), match.group(2)
    if keys is not None:
        return _choice(keys.split("|"))
    if group is not None:
        return _optional_group(list(_PATTERN_TOKEN.finditer(group)))
    literal = match.group()
    return lambda arguments: literal


def _choice(keys: list[str]) -> Callable[[Arguments], str]:
    first, *others = keys

    def render(arguments: Arguments) -> str:
        value = arguments.get(first)
        for key in others:
            value = value or arguments.get(key)
        return value or ""

    return render


def _optional_group(tokens: list[re.Match[str]]) -> Callable[[Arguments], str]:
    parts = [(_compile_part(token), token[1] is not None) for token in tokens]

    def render(arguments: Arguments) -> str:
        values = []
        for part, is_needed in parts:
            value = part(arguments)
            if is_needed and not value:
                return ""
            values.append(value)
        return "".join(values)

    return render


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


@cache
def _rules() -> Mapping[str, Rule]:
    data = resources.files(__package__).joinpath("templates.toml").read_text("utf-8")
    tables = tomllib.loads(data)
    found: dict[str, Rule] = {}
    for table in tables["text"]:
        _add(found, table["names"], compile_pattern(table["text"]), _keys_of(table["text"]))
    for table in tables["function"]:
        name = table["function"]
        _add(found, table["names"], FUNCTIONS[name](table), WANTED.get(name))
    for table in tables["hatnote"]:
        _add(found, table["names"], hatnote(table["pages"]))
    return found


def _add(
    found: dict[str, Rule],
    names: Iterable[str],
    render: Callable[[Arguments], str],
    wanted: frozenset[str] | None = None,
) -> None:
    for name in names:
        found[name.casefold()] = Rule(render, wanted)


def _keys_of(pattern: str) -> frozenset[str]:
    return frozenset(key for keys in _PATTERN_KEYS.findall(pattern) for key in keys.split("|"))
