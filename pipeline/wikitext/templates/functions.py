"""What templates show that no text pattern can express: hatnotes, units, dates, other languages.

Each function takes a table like those in `any_language.toml` and the language of the wiki, and
returns a function that renders the arguments of one call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pipeline.wiki.languages import language_codes
from pipeline.wikitext import marks
from pipeline.wikitext.templates import biography

Arguments = Mapping[str, str]
"""Arguments by name; positional ones by their number from "1"."""
Renderer = Callable[[Arguments], str]
Table = Mapping[str, Any]

_NO_PAGES: Final = frozenset(("", "and", "or", "-"))
_NO_TITLE: Final = re.compile(r"[<>\[\]{}\n]")
_HATNOTE_LINK: Final = re.compile(r"\[\[([^\[\]|\n]+)(?:\|[^\[\]\n]*)?\]\]")


def hatnote(pages: str) -> Renderer:
    """Return a renderer that turns a hatnote's arguments into links without text.

    Args:
        pages: which positional arguments name pages: "all", "first", "from 2" or
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


# What stands between two numbers, in English and in any other language.
_BETWEEN: Final = {
    "to": ("to", "–"), "-": ("–", "–"), "–": ("–", "–"), "to(-)": ("to", "–"),
    "and": ("and", ", "), "&": ("and", ", "), "and(-)": ("and", ", "), "or": ("or", "/"),
    "by": ("by", "×"), "x": ("by", "×"), "×": ("by", "×"), "*": ("×", "×"),
    "/": ("/", "/"), "+": ("+", "+"), "+/-": ("±", "±"), "±": ("±", "±"),
}  # fmt: skip
_CLOSE: Final = frozenset(("–", "/", "±", ", "))


def _convert(table: Table, language: str) -> Renderer:
    """Render {{convert|5|km|mi}} as "5 km": the first quantity, as it was written."""
    is_english = language == "en"
    spelled = {**table["units"]["any"], **table["units"].get(language, {})}

    def render(arguments: Arguments) -> str:
        values = [value for key, value in arguments.items() if key.isdigit()]
        if not values:
            return ""
        quantity, rest = values[0], values[1:]
        while len(rest) >= 2 and rest[0] in _BETWEEN:
            english, other = _BETWEEN[rest[0]]
            joiner = english if is_english else other
            blank = "" if joiner in _CLOSE else " "
            quantity, rest = f"{quantity}{blank}{joiner}{blank}{rest[1]}", rest[2:]
        unit = rest[0] if rest else ""
        return f"{quantity} {spelled.get(unit, unit)}".strip()

    return render


def _date(table: Table, language: str) -> Renderer:
    """Render {{start date|2001|5|3}} as "May 3, 2001" in English, with df=y as "3 May 2001".

    Other languages write dates as the table's `dates` says, or in numbers where it does not.
    """
    first, is_reversed = int(table.get("first", 1)), table.get("order") == "day month year"
    words = table["dates"].get(language, {})
    months: list[str] = words.get("months", [])

    def render(arguments: Arguments) -> str:
        year, month, day = (arguments.get(str(first + index), "") for index in range(3))
        if is_reversed:
            year, day = day, year
        if not (month.isdecimal() and len(month) < 3 and 1 <= int(month) <= 12):
            return " ".join(filter(None, (day, month, year) if is_reversed else (year,)))
        number = int(month)
        if not words:
            return "-".join(
                part for part in (year, f"{number:02}", day.zfill(2) if day else "") if part
            )
        form = "month" if not day else "day"
        if day and arguments.get("df") and "day_first" in words:
            form = "day_first"
        name = months[number - 1] if months else str(number)
        text: str = words[form]
        return text.format(y=year, m=name, d=day.lstrip("0"))

    return render


# The width of a list's columns, or their number.
_WIDTH: Final = re.compile(r"\d{1,3}(?:\.\d+)?\s*(?:em|rem|ex|px|%)?")


def _join(table: Table, language: str) -> Renderer:
    """Render {{hlist|a|b}} as "a, b" with separator ", "."""
    separator: str = table["separator"]
    # A list with one item per line is a block of its own.
    outside = "\n" if separator == "\n" else ""

    def render(arguments: Arguments) -> str:
        values = _positional(arguments)
        is_width = outside and values and _WIDTH.fullmatch(values[0])
        if is_width and (len(values) == 1 or "\n" in values[1]):
            del values[0]
        joined = separator.join(values)
        return f"{outside}{joined}{outside}" if joined else ""

    return render


def _language(table: Table, language: str) -> Renderer:
    """Render {{langx|el|Πάτρα}} and {{lang-el|Πάτρα}} as "Greek: Πάτρα" in English.

    On wikis in other languages, and for an unknown language, the text stands alone.
    """
    known: Mapping[str, str] = table["languages_of"].get(language, {})

    def render(arguments: Arguments) -> str:
        code, text = arguments.get("*"), arguments.get("1") or arguments.get("text", "")
        if code is None:
            code, text = arguments.get("1", ""), arguments.get("2") or arguments.get("text", "")
        name = known.get(code.partition("-")[0].lower(), "")
        is_labelled = name and arguments.get("label") != "none"
        return f"{name}: {text}" if is_labelled and text else text

    return render


# Names of the arguments for the local page, and for its text, in links to pages of other wikis.
_TITLE_KEYS: Final = (
    *("fr", "pl", "ro", "zh", "ja", "ko", "vi", "cs", "надо", "треба", "عر", "ar", "he", "local"),
    *("titre", "título", "titolo", "tar"),
)
_TEXT_KEYS: Final = (
    *("lt", "label", "2x", "texte", "texto", "text", "tekst", "testo", "текст", "نص", "d"),
    *("display", "etiqueta", "תצוגה", "表示", "顯示", "显示", "표시", "anzeige"),
)
# By the order of a template's arguments: which is the local title, and which the text.
ORDERS: Final = {
    "title language": ("1", ""),
    "title text": ("1", "2"),
    "title foreign text": ("1", "3"),
    "language foreign title text": ("3", "4"),
}


def _foreign(table: Table, language: str) -> Renderer:
    """Render {{ill|X|de|Y}}, a page that other wikis have, as [[X]], with lt=Z as [[X|Z]].

    The table's `order` says what the arguments are. On old pages the language may come first.
    """
    order: str = table.get("order", "title language")
    title_key, text_key = ORDERS[order]

    def render(arguments: Arguments) -> str:
        get = arguments.get
        title = next(filter(None, map(get, _TITLE_KEYS)), "") or get(title_key, "")
        text = next(filter(None, map(get, _TEXT_KEYS)), "") or get(text_key, "")
        first, second = get("1", ""), get("2", "")
        if order == "title language" and second and _is_code(first) and not _is_code(second):
            title, text = second, text or get("4", "")
        elif order == "language foreign title text" and not title:
            title = second or first
        elif text == second and _is_code(text) and not _is_code(get("3", "")) and get("3"):
            text = ""
        if "[[" in title or not title:
            return title or text
        return f"[[{title}|{text}]]" if text else f"[[{title}]]"

    return render


def _positional(arguments: Arguments) -> list[str]:
    return [value for key, value in arguments.items() if key.isdigit() and value]


def _is_code(text: str) -> bool:
    return text.islower() and text in language_codes()


def _fraction(table: Table, language: str) -> Renderer:
    """Render {{frac|5|1|2}} as "5 1/2", {{frac|2}} as "1/2"."""

    def render(arguments: Arguments) -> str:
        numbers = _positional(arguments)
        if len(numbers) < 2:
            return f"1/{numbers[0]}" if numbers else ""
        return " ".join([*numbers[:-2], f"{numbers[-2]}/{numbers[-1]}"])

    return render


def _authors(table: Table, language: str) -> Renderer:
    """Render {{harvtxt|Smith|Jones|2000}} as "Smith & Jones (2000)", part of a sentence."""

    def render(arguments: Arguments) -> str:
        values = _positional(arguments)
        year = values.pop() if len(values) > 1 and values[-1][:4].isdecimal() else ""
        names = " & ".join(filter(None, (", ".join(values[:-1]), *values[-1:])))
        return f"{names} ({year})" if year else names

    return render


FUNCTIONS: Final[Mapping[str, Callable[[Table, str], Renderer]]] = {
    "authors": _authors,
    "biography": biography.biography,
    "convert": _convert,
    "date": _date,
    "foreign": _foreign,
    "fraction": _fraction,
    "join": _join,
    "language": _language,
}
"""By name: functions from a table and the language of the wiki to a renderer."""

WANTED: Final = {
    "biography": biography.FIELDS,
    "foreign": frozenset(("1", "2", "3", "4", *_TITLE_KEYS, *_TEXT_KEYS)),
}
"""The arguments that a function reads, for those whose templates have many others."""
