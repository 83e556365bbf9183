"""The sentence with which {{Bio}} of the Italian wikis begins a biography.

Name, places and dates, then what the person was: the template writes them from its fields, and the
page goes on behind it. See https://it.wikipedia.org/wiki/Template:Bio.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

FIELDS: Final = frozenset((
    *("Titolo", "Nome", "Cognome", "CognomePrima", "PostCognome", "PostCognomeVirgola", "PreData"),
    *(f"{name}{end}" for end in ("Nascita", "Morte") for name in ("GiornoMese", "Anno", "Luogo")),
    *(f"Luogo{end}{form}" for end in ("Nascita", "Morte") for form in ("Link", "Alt")),
    *("Sesso", "Epoca", "Attività", "Attività2", "Attività3", "AttivitàAltre", "Nazionalità"),
    *("NazionalitàNaturalizzato", "PostNazionalità", "FineIncipit", "Incipit"),
))  # fmt: skip
"""The arguments that the sentence needs."""

# Before these a masculine word has "uno".
_HEAVY: Final = re.compile(r"s[^aeiou]|z|gn|p[sn]|x|y|i[aeou]")
# A year or a day, which have pages; "1230 circa" has none.
_DATE: Final = re.compile(r"\d{1,4}(?: a\.C\.)?|\d{1,2}º? [a-z]+")
# Epochs are given as 900, 1550 or 1900/2000; who lived in the last may live.
_PAST: Final = re.compile(r"(?!(?:19|20)\d\d)\d")


def biography(table: Mapping[str, Any], language: str) -> Callable[[Mapping[str, str]], str]:
    """Return a renderer of the sentence, as wikitext."""
    return _sentence


def _sentence(arguments: Mapping[str, str]) -> str:
    def get(name: str) -> str:
        return arguments.get(name, "")

    names = [get("Nome"), get("Cognome")]
    if get("CognomePrima"):
        names.reverse()
    name = " ".join(filter(None, [get("Titolo"), *names]))
    if not name:
        return ""
    behind = get("PostCognomeVirgola")
    start = " ".join(filter(None, [f"'''{name}'''", get("PostCognome")]))
    start += f", {behind}" if behind else ""
    life = "; ".join(filter(None, [get("PreData"), _life(get)]))
    start += f" ({life})" if life else ""
    return _ended(get("Incipit") or f"{start} {get('FineIncipit') or _deeds(get)}")


def _life(get: Callable[[str], str]) -> str:
    birth, death = (_event(get, end) for end in ("Nascita", "Morte"))
    if not death:
        return birth if get("AnnoMorte") != "?" else f"{birth} – ?"
    return f"{birth or '...'} – {death}"


def _event(get: Callable[[str], str], end: str) -> str:
    place, link = get(f"Luogo{end}"), get(f"Luogo{end}Link")
    if place and "[[" not in place:
        place = f"[[{link}|{place}]]" if link else f"[[{place}]]"
    date = [_linked(part) for part in (get(f"GiornoMese{end}"), get(f"Anno{end}"))]
    return ", ".join(filter(None, [get(f"Luogo{end}Alt") or place, " ".join(filter(None, date))]))


def _linked(date: str) -> str:
    if date == "?":
        return ""
    return f"[[{date}]]" if _DATE.fullmatch(date) else date


def _deeds(get: Callable[[str], str]) -> str:
    """Return what the person is or was: `è stata una scrittrice e pittrice italiana`."""
    deeds = [deed for deed in map(get, ("Attività", "Attività2", "Attività3")) if deed]
    if not deeds:
        return get("PostNazionalità")
    first, *others = deeds
    is_woman, rest = get("Sesso") == "F", get("AttivitàAltre")
    if others and not rest:
        rest = f" e {others.pop()}"
    ending = "a" if is_woman else "o"
    is_past = get("AnnoMorte") or _PAST.match(get("Epoca"))
    verb = f"è stat{ending}" if is_past else "è"
    text = ", ".join([f"{verb} {_with_article(first, is_woman)}", *others])
    text += _joined(rest) + _joined(get("Nazionalità"))
    changed = get("NazionalitàNaturalizzato")
    text += f" naturalizzat{ending} {changed}" if changed else ""
    return text + _joined(get("PostNazionalità"))


def _with_article(word: str, is_woman: bool) -> str:
    bare = word.lstrip("[").lower()
    if is_woman:
        return f"un'{word}" if bare[:1] in "aeiouàèéìòù" else f"una {word}"
    return f"uno {word}" if _HEAVY.match(bare) else f"un {word}"


def _joined(text: str) -> str:
    return text if text[:1] in ("", ",", ";", ".", " ") else f" {text}"


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?", ":")) else f"{text}."
