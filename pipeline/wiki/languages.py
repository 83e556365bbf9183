"""The shipped facts about languages and projects: `languages.json` and `interwiki.json`.

Facts that no dump holds are looked up here by language code: namespace aliases, redirect words, the
letters that join a link, and the prefixes that lead to other wikis.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Final

# What the database names of Wikimedia wikis end with, longest first: enwiki, dewiktionary.
_PROJECT_SUFFIXES: Final = (
    *("wikiversity", "wiktionary", "wikivoyage", "wikisource"),
    *("wikiquote", "wikibooks", "wikinews", "wiki"),
)


def language_of(dbname: str, base_url: str = "") -> str:
    """Guess the language of a wiki from its database name and its address; English otherwise.

    >>> language_of("ltgwiki"), language_of("zh_min_nanwiki"), language_of("shintowiki")
    ('ltg', 'zh-min-nan', 'en')
    >>> language_of("", "https://de.wiktionary.org/wiki/Hauptseite")
    'de'
    """
    for suffix in _PROJECT_SUFFIXES:
        if dbname.endswith(suffix):
            code = dbname.removesuffix(suffix).replace("_", "-")
            if code in language_codes():
                return _current_code(code)
            break
    host = re.match(r"(?:https?:)?//([a-z-]+)\.(?:m\.)?wik[a-z]+\.org(?:/|$)", base_url)
    if host and host.group(1) in language_codes():
        return _current_code(host.group(1))
    return "en"


@lru_cache(maxsize=256)
def known_language(code: str) -> str:
    """Return the language whose facts apply to a code, "en" where no shipped language does.

    Subtags (regions, scripts, styles) are dropped from the end one by one, and small languages fall
    back to the larger ones that MediaWiki uses for them.

    >>> [known_language(code) for code in ("pt-BR", "zh_Hant_TW", "de-formal", "nb", "ce", "xx")]
    ['pt', 'zh', 'de', 'no', 'ru', 'en']
    """
    parts = code.strip().lower().replace("_", "-").split("-")
    facts, stand_ins = _load("languages.json")["languages"], _stand_ins()
    for end in range(len(parts), 0, -1):
        name = "-".join(parts[:end])
        name = stand_ins.get(name, name)
        if name in facts:
            return name
    return "en"


def is_known_language(code: str) -> bool:
    """Tell whether a code belongs to a Wikipedia or to a language whose facts are shipped.

    >>> is_known_language("ltg"), is_known_language("pt-BR"), is_known_language("xx_nope")
    (True, True, False)
    """
    first = re.split("[-_]", code.strip().lower())[0]
    is_listed = not language_codes().isdisjoint((first, code.lower().replace("_", "-")))
    return is_listed or known_language(code) != "en"


def language_facts(language: str) -> Mapping[str, Any]:
    """Return a language's entry of `pipeline/wiki/languages.json`, that of English without one.

    >>> language_facts("de-at")["redirect"], language_facts("xx")["link_trail"]
    (['#WEITERLEITUNG'], '[a-z]')
    """
    entry: Mapping[str, Any] = _load("languages.json")["languages"][known_language(language)]
    return entry


@lru_cache(maxsize=256)
def language_names(language: str) -> frozenset[str]:
    """Return what a language calls languages that are often quoted, in lower case.

    >>> "latin" in language_names("fr"), "ألمانية" in language_names("ar"), language_names("en")
    (True, True, frozenset())
    """
    return frozenset(language_facts(language).get("language_names", ()))


@cache
def interwiki_prefixes() -> frozenset[str]:
    """Return all prefixes that may lead to another wiki, in lower case."""
    sites = (name.replace("_", " ") for name in _load("interwiki.json")["sites"])
    return frozenset(sites) | language_codes()


@cache
def language_codes() -> frozenset[str]:
    """Return the codes of the Wikipedias, current and former."""
    return frozenset(_load("interwiki.json")["languages"])


@cache
def _stand_ins() -> dict[str, str]:
    table = _load("languages.json")["stand_ins"]
    return {code: name for name, codes in table.items() for code in codes}


@cache
def _load(name: str) -> Any:
    return json.loads(resources.files(__package__).joinpath(name).read_text("utf-8"))


def _current_code(code: str) -> str:
    return {"simple": "en", "be-x-old": "be-tarask", "nb": "no", "gsw": "als"}.get(code, code)
