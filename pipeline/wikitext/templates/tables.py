"""The tables of rules for templates: read from TOML, checked, and compiled into renderers.

A table names templates and says what they show: a pattern (`[[text]]`), a function
(`[[function]]`), or links without text (`[[hatnote]]`). `any_language.toml` explains the keys; a
user's own file has the same form.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, Final

from pipeline.wikitext.templates.functions import (
    FUNCTIONS,
    ORDERS,
    WANTED,
    Arguments,
    Renderer,
    hatnote,
)
from schemas.errors import ConfigError

_SHIPPED: Final = ("any_language.toml", "one_language.toml")
_KINDS: Final = {"text": "text", "function": "function", "hatnote": "pages"}
"""The key that each kind of table must have."""
_KEYS: Final = {
    "text": {"in"},
    "function": {"separator", "units", "languages_of", "order", "first", "dates"},
    "hatnote": set[str](),
}
_COMMON_KEYS: Final = {"reason", "names", "languages"}
_SHARED: Final = ("units", "dates", "languages_of")
"""Keys that a user's table for a function may omit, because the shipped one has them."""
_PARTS: Final = {"in": str, "units": dict, "dates": dict, "languages_of": dict}
_PAGES: Final = re.compile(r"all|first|(?:alternate )?from [1-9]\d?")
_PATTERN_TOKEN: Final = re.compile(r"\{([^{}]*)\}|<([^<>]*\{[^<>]*)>|<[^<>{]*>|[^{}<>]+")
_PATTERN_KEYS: Final = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Table:
    """Templates that are rendered alike, and how."""

    kind: str
    names: tuple[str, ...]
    """In lower case; `lang-*` stands for `lang-` followed by any language code."""
    languages: frozenset[str]
    """The languages of the wikis that have them; empty for all wikis."""
    record: Mapping[str, Any]

    def renderer(self, language: str) -> Renderer:
        """Return the renderer for calls on a wiki in this language."""
        if self.kind == "text":
            return compile_pattern(self._pattern(language))
        if self.kind == "hatnote":
            return hatnote(self.record["pages"])
        function = self.record["function"]
        return FUNCTIONS[function]({**_shared(function), **self.record}, language)

    @property
    def wanted(self) -> frozenset[str] | None:
        """The arguments that its rule reads, where that is known."""
        if self.kind != "text":
            return WANTED.get(self.record.get("function", ""))
        patterns = (self.record["text"], *self.record.get("in", {}).values())
        keys = (keys for pattern in patterns for keys in _PATTERN_KEYS.findall(pattern))
        return frozenset(
            key.partition("==")[0] for group in keys for key in group.split("|") if key[:1] != "="
        )

    def _pattern(self, language: str) -> str:
        pattern: str = self.record.get("in", {}).get(language, self.record["text"])
        return pattern


@cache
def shipped_tables() -> tuple[Table, ...]:
    """Return the tables that come with the package."""
    folder = resources.files(__package__)
    texts = (folder.joinpath(name).read_text("utf-8") for name in _SHIPPED)
    return tuple(table for text in texts for table in _tables(tomllib.loads(text)))


@cache
def _shared(function: str) -> Mapping[str, Any]:
    """Return the units, dates or language names in the shipped table of a function."""
    records = (table.record for table in shipped_tables() if table.kind == "function")
    return {
        key: record[key]
        for record in records
        for key in _SHARED
        if key in record and record["function"] == function
    }


def read_own_tables(text: str) -> tuple[Table, ...]:
    r"""Return the tables of a user's own rules.

    Raises:
        ConfigError: it is not TOML, or a table is not valid.

    >>> [table] = read_own_tables('[[text]]\nnames = ["Band"]\ntext = "{1}"')
    >>> table.names, table.renderer("de")({"1": "Abba"})
    (('band',), 'Abba')
    """
    try:
        return tuple(_tables(tomllib.loads(text)))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"expected rules for templates in TOML, found something else ({error}): "
            "see pipeline/wikitext/templates/any_language.toml for the form"
        ) from error


def _tables(tables: Mapping[str, Any]) -> list[Table]:
    found = []
    for kind, records in tables.items():
        if kind not in _KINDS or not isinstance(records, list):
            raise _fault(f"tables [[text]], [[function]] or [[hatnote]], found {kind!r}")
        for index, record in enumerate(records, 1):
            found += _one_per_name(_checked(kind, record, index))
    return found


def _one_per_name(table: Table) -> list[Table]:
    """Return a table for each name where the pattern shows it as {0}, else the table itself."""
    text = table.record.get("text", "")
    if "{0}" not in text:
        return [table]
    return [
        replace(table, names=(folded,), record={**table.record, "text": text.replace("{0}", name)})
        for folded, name in zip(table.names, table.record["names"], strict=True)
    ]


def _checked(kind: str, record: Any, index: int) -> Table:
    where = f"in [[{kind}]] number {index}"
    if not isinstance(record, dict):
        raise _fault(f"a table {where}, found {record!r}")
    if unknown := sorted(set(record) - _COMMON_KEYS - _KEYS[kind] - {_KINDS[kind]}):
        raise _fault(f"no key {unknown[0]!r} {where}, found it")
    names, main = record.get("names"), record.get(_KINDS[kind])
    if not (
        isinstance(names, list)
        and names
        and all(isinstance(name, str) and name.strip() for name in names)
    ):
        raise _fault(f'names = ["..."] {where}, found {names!r}')
    if not isinstance(main, str):
        raise _fault(f'{_KINDS[kind]} = "..." {where}, found {main!r}')
    if kind == "function" and main not in FUNCTIONS:
        raise _fault(f"one of {', '.join(sorted(FUNCTIONS))} as function {where}, found {main!r}")
    if kind == "hatnote" and not _PAGES.fullmatch(main):
        raise _fault(f'pages = "all", "first", "from 2" or the like {where}, found {main!r}')
    _check_details(record, where)
    folded = (" ".join(name.replace("_", " ").split()).casefold() for name in names)
    return Table(kind, tuple(folded), frozenset(record.get("languages", ())), record)


def _check_details(record: Mapping[str, Any], where: str) -> None:
    """Check the optional keys of a table.

    Raises:
        ConfigError: a value has the wrong type, or its function does not know it.
    """
    languages = record.get("languages", [])
    if not (isinstance(languages, list) and all(isinstance(code, str) for code in languages)):
        raise _fault(f'languages = ["..."] {where}, found {languages!r}')
    for key in ("in", *_SHARED):
        value = record.get(key, {})
        if not (
            isinstance(value, dict)
            and all(isinstance(part, _PARTS[key]) for part in value.values())
        ):
            raise _fault(f"a table {key} by language {where}, found {value!r}")
    for pattern in (record.get("text", ""), *record.get("in", {}).values()):
        if _PATTERN_TOKEN.sub("", pattern) or "{}" in pattern:
            raise _fault(f"a pattern of {{1}} and <...> {where}, found {pattern!r}")
    if not all(map(_is_date, record.get("dates", {}).values())):
        raise _fault(f"dates with day, month and 12 months {where}, found {record['dates']!r}")
    function = record.get("function")
    if function == "join" and not isinstance(record.get("separator"), str):
        raise _fault(f'separator = "..." {where}, found {record.get("separator")!r}')
    orders = {"foreign": tuple(ORDERS), "date": ("year month day", "day month year")}
    order = record.get("order")
    if order is not None and order not in orders.get(str(function), ()):
        known = ", ".join(orders.get(str(function), ())) or "no order"
        raise _fault(f"order {known} {where}, found {order!r}")
    first = record.get("first", 1)
    if not (isinstance(first, int) and 1 <= first < 100):
        raise _fault(f"first from 1 to 99 {where}, found {first!r}")


def _is_date(words: Mapping[str, Any]) -> bool:
    """Tell whether `day`, `month` and the optional `day_first` and `months` can write a date."""
    forms = [words.get(key, "") for key in ("day", "month", "day_first")]
    months = words.get("months", [""] * 12)
    if not (all(isinstance(form, str) for form in (*forms, *months)) and len(months) == 12):
        return False
    return all(set(re.findall(r"\{(.*?)\}", form)) <= {"y", "m", "d"} for form in forms) and all(
        forms[:2]
    )


def _fault(text: str) -> ConfigError:
    return ConfigError(f"rules for templates: expected {text}")


def compile_pattern(pattern: str) -> Renderer:
    """Compile a pattern of a rule file.

    `{1|name}` is the first of these arguments that is not empty, and `{1|=x}` is x if the argument
    is empty. A part in `<...>` appears only if no argument in it is empty; in it, `{2==x}` shows
    nothing itself but requires the argument to be x.

    >>> render = compile_pattern("{1}< ({2|kanji})>")
    >>> render({"1": "Kobe", "kanji": "神戸"}), render({"1": "Kobe"})
    ('Kobe (神戸)', 'Kobe')
    >>> compile_pattern("<siglo {2==s}>{1}")({"1": "XX", "2": "s"})
    'siglo XX'
    """
    parts = [_compile_part(match) for match in _PATTERN_TOKEN.finditer(pattern)]
    if len(parts) == 1:
        return parts[0]
    return lambda arguments: "".join([part(arguments) for part in parts])


def _compile_part(match: re.Match[str]) -> Renderer:
    keys, group = match.group(1), match.group(2)
    if keys is not None:
        return _choice(keys.split("|"))
    if group is not None:
        return _optional_group(list(_PATTERN_TOKEN.finditer(group)))
    literal = match.group()
    return lambda arguments: literal


def _choice(keys: list[str]) -> Renderer:
    default = keys.pop()[1:] if keys[-1].startswith("=") else ""
    if not keys:
        return lambda arguments: default
    first, *others = keys

    def render(arguments: Arguments) -> str:
        value = arguments.get(first)
        for key in others:
            value = value or arguments.get(key)
        return value or default

    return render


def _optional_group(tokens: list[re.Match[str]]) -> Renderer:
    conditions = [token[1].split("==") for token in tokens if "==" in (token[1] or "")]
    parts = [
        (_compile_part(token), token[1] is not None)
        for token in tokens
        if "==" not in (token[1] or "")
    ]

    def render(arguments: Arguments) -> str:
        if any(arguments.get(key, "") != value for key, value in conditions):
            return ""
        values = []
        for part, is_needed in parts:
            value = part(arguments)
            if is_needed and not value:
                return ""
            values.append(value)
        return "".join(values)

    return render
