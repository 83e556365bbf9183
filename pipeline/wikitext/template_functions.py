"""What templates show that a text pattern cannot say: hatnotes, units, dates, other languages.

Each function takes a table of `pipeline/wikitext/templates.toml` and returns what renders the
arguments of one call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pipeline.wiki.site_info import default_site
from pipeline.wikitext import marks

Arguments = Mapping[str, str]
"""Arguments by name; positional ones by their number from "1"."""

_NO_PAGES: Final = frozenset(("", "and", "or", "-"))
_NO_TITLE: Final = re.compile(r"[<>\[\]{}\n]")
_HATNOTE_LINK: Final = re.compile(r"\[\[([^\[\]|\n]+)(?:\|[^\[\]\n]*)?\]\]")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def hatnote(pages: str) -> Callable[[Arguments], str]:
    """Return what turns a hatnote's arguments into links without text.

    `pages` says which positional arguments name pages: "all", "first", "from 2" or
    "alternate from 3".
    """
    words = pages.split()
    start = int(words[-1]) if words[-1].isdigit() else 1
    step = 2 if words[0] == "alternate" else 1

    def render(arguments: Arguments) -> str:
        links: list[str] = []
        position = 0
        for key, value in arguments.items():
            if not key.isdigit():
                continue
            if "[[" in value:
                links += _HATNOTE_LINK.findall(value)
                continue
            position = int(key)
            is_page = position >= start and (position - start) % step == 0
            if pages == "first":
                is_page = position == 1
            if is_page and value not in _NO_PAGES and not _NO_TITLE.search(value):
                links.append(value.partition(marks.BAR)[0])
        return "\n" + "".join(f"[[{marks.HATNOTE_TARGET}{target}]]" for target in links) + "\n"

    return render


_BETWEEN: Final = {
    "to": "to", "-": "–", "–": "–", "and": "and", "or": "or", "by": "by", "x": "by", "×": "×",
    "to(-)": "to", "&": "and", "/": "/", "+": "+", "+/-": "±", "±": "±", "and(-)": "and", "*": "×",
}  # fmt: skip


def _convert(table: Mapping[str, Any]) -> Callable[[Arguments], str]:
    """{{convert|5|km|mi}} is "5 km": the first quantity, as it was written."""
    spelled: Mapping[str, str] = table["units"]

    def render(arguments: Arguments) -> str:
        values = [value for key, value in arguments.items() if key.isdigit()]
        if not values:
            return ""
        quantity, rest = values[0], values[1:]
        while len(rest) >= 2 and rest[0] in _BETWEEN:
            joiner = _BETWEEN[rest[0]]
            blank = "" if joiner in "–/±" else " "
            quantity, rest = f"{quantity}{blank}{joiner}{blank}{rest[1]}", rest[2:]
        unit = rest[0] if rest else ""
        return f"{quantity} {spelled.get(unit, unit)}".strip()

    return render


def _date(table: Mapping[str, Any]) -> Callable[[Arguments], str]:
    """{{start date|2001|5|3}} is "May 3, 2001", or "3 May 2001" with df=y."""
    first = int(table.get("first", 1))

    def render(arguments: Arguments) -> str:
        year, month, day = (arguments.get(str(first + index), "") for index in range(3))
        if not (month.isascii() and month.isdigit() and 1 <= int(month) <= 12):
            return year
        name = _MONTHS[int(month) - 1]
        if not day:
            return f"{name} {year}"
        day = day.lstrip("0")
        is_day_first = bool(arguments.get("df"))
        return f"{day} {name} {year}" if is_day_first else f"{name} {day}, {year}"

    return render


def _join(table: Mapping[str, Any]) -> Callable[[Arguments], str]:
    """{{hlist|a|b}} is "a, b" with separator ", "."""
    separator: str = table["separator"]

    def render(arguments: Arguments) -> str:
        values = (value for key, value in arguments.items() if key.isdigit())
        return separator.join(value for value in values if value)

    return render


def _language(table: Mapping[str, Any]) -> Callable[[Arguments], str]:
    """{{langx|el|Πάτρα}} is "Greek: Πάτρα"; without a known language the text alone."""
    known: Mapping[str, str] = table["languages"]

    def render(arguments: Arguments) -> str:
        name = known.get(arguments.get("1", "").partition("-")[0].lower(), "")
        text = arguments.get("2") or arguments.get("text", "")
        is_labelled = name and arguments.get("label") != "none"
        return f"{name}: {text}" if is_labelled and text else text

    return render


def _foreign(table: Mapping[str, Any]) -> Callable[[Arguments], str]:
    """{{ill|X|de|Y}} is [[X]], with lt=Z [[X|Z]]; in old pages the language stands first."""
    is_language = default_site().is_language_prefix

    def render(arguments: Arguments) -> str:
        title, text = arguments.get("1", ""), arguments.get("lt") or arguments.get("2x", "")
        local = arguments.get("2", "")
        if local and title.islower() and is_language(title) and not is_language(local):
            title, text = local, text or arguments.get("4", "")
        return f"[[{title}|{text}]]" if text else f"[[{title}]]"

    return render


def _fraction(table: Mapping[str, Any]) -> Callable[[Arguments], str]:
    """{{frac|5|1|2}} is "5 1/2", {{frac|2}} is "1/2"."""

    def render(arguments: Arguments) -> str:
        numbers = [value for key, value in arguments.items() if key.isdigit() and value]
        if len(numbers) < 2:
            return f"1/{numbers[0]}" if numbers else ""
        return " ".join([*numbers[:-2], f"{numbers[-2]}/{numbers[-1]}"])

    return render


FUNCTIONS: Final[Mapping[str, Callable[[Mapping[str, Any]], Callable[[Arguments], str]]]] = {
    "convert": _convert,
    "date": _date,
    "foreign": _foreign,
    "fraction": _fraction,
    "join": _join,
    "language": _language,
}
# What a function looks at, where its templates have many other arguments.
WANTED: Final = {"foreign": frozenset(("1", "2", "4", "2x", "lt"))}
