"""What a wiki calls things: namespaces, interwiki prefixes, link trails, redirect words.

A dump's <siteinfo> gives the local namespace names and the rule for capital letters; the aliases
(`WP`, `Image`, `Bild`), the letters that belong to a link beside it and the redirect words are in
no dump, so they come from `pipeline/wiki/languages.json`. See the MediaWiki manual,
Manual:Namespace, Manual:$wgCapitalLinks and Manual:$wgNamespacesWithSubpages.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.wiki.languages import (
    interwiki_prefixes,
    known_language,
    language_codes,
    language_facts,
)

SPECIAL: Final = -1
MAIN: Final = 0
TALK: Final = 1
PROJECT: Final = 4
FILE: Final = 6
CATEGORY: Final = 14

FIRST_LETTER: Final = "first-letter"
_PROJECTS: Final = (PROJECT, PROJECT + 1)

CANONICAL_NAMES: Final[Mapping[int, str]] = {
    -2: "Media",
    -1: "Special",
    0: "",
    1: "Talk",
    2: "User",
    3: "User talk",
    4: "Project",
    5: "Project talk",
    6: "File",
    7: "File talk",
    8: "MediaWiki",
    9: "MediaWiki talk",
    10: "Template",
    11: "Template talk",
    12: "Help",
    13: "Help talk",
    14: "Category",
    15: "Category talk",
    710: "TimedText",
    711: "TimedText talk",
    828: "Module",
    829: "Module talk",
}
"""The English names that every MediaWiki understands beside its own."""

_UNIVERSAL_ALIASES: Final = {"image": FILE, "image talk": FILE + 1}
_DOTTED_I_LANGUAGES: Final = frozenset({"az", "tr"})
# Where MediaWiki itself has subpages: everywhere but in articles, files and categories.
_NO_SUBPAGES: Final = frozenset({MAIN, FILE, CATEGORY})
# Wikis whose articles have subpages too, by the end of their database name or their host.
_SUBPAGE_PROJECTS: Final = (
    *("wikibooks", "wikisource", "wikiversity", "wikivoyage", "sourceswiki", "incubatorwiki"),
    *("metawiki", "mediawikiwiki", "outreachwiki", "strategywiki", "labswiki", "foundationwiki"),
)
_SUBPAGE_HOSTS: Final = re.compile(
    r"(?:https?:)?//[^/]*\b(?:fandom\.com|wikia\.(?:com|org)|wiki\.gg|wikibooks\.org|wikisource\.org|"
    r"wikiversity\.org|wikivoyage\.org|meta\.wikimedia\.org|mediawiki\.org)(?:[:/]|$)"
)


@dataclass(frozen=True, slots=True)
class _SiteRules:
    """What is compiled from a SiteInfo once, because every link asks for it."""

    namespace_ids: dict[str, int]
    is_wikipedia: bool
    own_prefixes: frozenset[str]
    link_trail: re.Pattern[str] | None
    link_prefix: str
    redirect: re.Pattern[str]
    disambiguation_templates: frozenset[str]
    disambiguation_suffixes: tuple[str, ...]
    has_dotted_i: bool


@dataclass(frozen=True, slots=True)
class SiteInfo:
    """A wiki as its dump describes it; what no dump says is looked up by language.

    >>> site = SiteInfo("dewiki", "de", namespace_names={6: "Datei", 14: "Kategorie"})
    >>> site.namespace_id("bild"), site.namespace_id("Datei"), site.namespace_id("2001")
    (6, 6, None)
    >>> SiteInfo.from_json(site.to_json()) == site
    True
    """

    dbname: str = ""
    language: str = "en"
    sitename: str = ""
    generator: str = ""
    namespace_names: Mapping[int, str] = field(default_factory=dict)
    title_case: Mapping[int, str] = field(default_factory=dict)
    """By namespace: "first-letter" (the default) or "case-sensitive"."""
    base_url: str = ""
    """The address of its main page."""
    _rules: _SiteRules = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rules", _compile_rules(self))

    def __hash__(self) -> int:
        return hash((self.dbname, self.language, self.sitename))

    def __reduce__(self) -> tuple[Any, ...]:
        return SiteInfo.from_json, (self.to_json(),)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object for the manifest of pages; `from_json` reads it back."""
        return {
            "dbname": self.dbname,
            "language": self.language,
            "sitename": self.sitename,
            "generator": self.generator,
            "namespace_names": {str(key): self.namespace_names[key] for key in _sorted(self)},
            "title_case": {str(key): self.title_case[key] for key in sorted(self.title_case)},
            "base_url": self.base_url,
        }

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> SiteInfo:
        """Return the SiteInfo that `to_json` wrote."""
        names, cases = record["namespace_names"], record["title_case"]
        return SiteInfo(
            dbname=record["dbname"],
            language=record["language"],
            sitename=record["sitename"],
            generator=record["generator"],
            namespace_names={int(key): value for key, value in names.items()},
            title_case={int(key): value for key, value in cases.items()},
            base_url=record.get("base_url", ""),
        )

    def namespace_id(self, prefix: str) -> int | None:
        """Return the namespace that `prefix` names (any case, `_` or blanks), else None."""
        return self._rules.namespace_ids.get(_fold(prefix))

    def namespace_name(self, namespace: int) -> str:
        """Return the local name of a namespace, "" for the main one.

        >>> default_site().namespace_name(15)
        'Category talk'
        """
        name = self.namespace_names.get(namespace)
        if name is None:
            shipped = language_facts(self.language)["namespaces"].get(str(namespace))
            # What a Wikipedia calls its project pages is no other wiki's name for them.
            is_known = shipped and (self._rules.is_wikipedia or namespace not in _PROJECTS)
            english = CANONICAL_NAMES.get(namespace, f"Namespace {namespace}")
            name = shipped[0] if shipped and is_known else english
        return name

    def has_subpages(self, namespace: int) -> bool:
        """Tell whether `/X` names a page below the one it stands on, in this namespace.

        >>> SiteInfo("enwikibooks").has_subpages(0), default_site().has_subpages(0)
        (True, False)
        >>> default_site().has_subpages(2)
        True
        """
        if namespace not in _NO_SUBPAGES:
            return namespace >= 0
        return namespace == MAIN and (
            self.dbname.endswith(_SUBPAGE_PROJECTS) or bool(_SUBPAGE_HOSTS.match(self.base_url))
        )

    def is_interwiki_prefix(self, prefix: str) -> bool:
        """Tell whether `prefix:` takes a link to another wiki.

        >>> [default_site().is_interwiki_prefix(word) for word in ("fr", "Wikt", "2001", "en")]
        [True, True, False, False]
        """
        word = _fold(prefix)
        return word not in self._rules.own_prefixes and word in interwiki_prefixes()

    def is_language_prefix(self, prefix: str) -> bool:
        """Tell whether `prefix:` is the same wiki in another language (a link in the side bar)."""
        word = _fold(prefix)
        return word not in self._rules.own_prefixes and word in language_codes()

    def is_own_prefix(self, prefix: str) -> bool:
        """Tell whether `prefix:` is an interwiki prefix that leads back to this wiki.

        >>> default_site().is_own_prefix("en"), default_site().is_own_prefix("fr")
        (True, False)
        """
        return _fold(prefix) in self._rules.own_prefixes

    def capitalise(self, title: str, namespace: int) -> str:
        """Raise the first letter as the wiki does in this namespace.

        Python's `upper` is not that rule: it turns Georgian letters into their rare capitals and
        `ß` into two letters. The title case of a letter, where that is one letter, is.

        >>> site = default_site()
        >>> [site.capitalise(word, 0) for word in ("iPhone", "ბერლინი", "ßeta", "ǆep")]
        ['IPhone', 'ბერლინი', 'ßeta', 'ǅep']
        """
        first = title[:1]
        if "A" <= first <= "Z" or not title:
            return title
        if self.title_case.get(namespace, FIRST_LETTER) != FIRST_LETTER:
            return title
        if first == "i" and self._rules.has_dotted_i:
            return "İ" + title[1:]
        raised = first.title()
        return raised + title[1:] if len(raised) == 1 else title

    @property
    def link_trail(self) -> re.Pattern[str] | None:
        """The letters after `]]` that belong to the link, or None where there are none."""
        return self._rules.link_trail

    @property
    def link_prefix(self) -> str:
        """A regular expression for a letter before `[[` that belongs to the link, or ""."""
        return self._rules.link_prefix

    @property
    def redirect_pattern(self) -> re.Pattern[str]:
        """`#REDIRECT [[target` in the words of the language; group 1 is the raw target."""
        return self._rules.redirect

    @property
    def disambiguation_templates(self) -> frozenset[str]:
        """Lower-case names of the templates that mark a disambiguation page."""
        return self._rules.disambiguation_templates

    @property
    def disambiguation_suffixes(self) -> tuple[str, ...]:
        """Lower-case endings of titles of disambiguation pages: " (disambiguation)"."""
        return self._rules.disambiguation_suffixes


def default_site() -> SiteInfo:
    """Return the site of a dump without <siteinfo>: an English wiki.

    >>> default_site().namespace_id("wp")
    4
    """
    return _DEFAULT_SITE


def _sorted(site: SiteInfo) -> list[int]:
    return sorted(site.namespace_names)


def _fold(name: str) -> str:
    """Fold what MediaWiki does not tell apart in a prefix: case, blanks, underscores, NFC."""
    if name.isascii() and "_" not in name and "  " not in name:
        return name.strip().lower()
    return " ".join(unicodedata.normalize("NFC", name).replace("_", " ").split()).casefold()


def _compile_rules(site: SiteInfo) -> _SiteRules:
    facts = language_facts(site.language)
    is_wikipedia = site.dbname == "" or (
        site.dbname.endswith("wiki")
        and site.dbname.removesuffix("wiki").replace("_", "-") in language_codes()
    )
    names = [*facts["disambiguation_templates"], *language_facts("en")["disambiguation_templates"]]
    suffixes = {facts.get("disambiguation_suffix"), "disambiguation"} - {None}
    trail = facts["link_trail"]
    return _SiteRules(
        namespace_ids=_namespace_ids(site, is_wikipedia),
        is_wikipedia=is_wikipedia,
        own_prefixes=_own_prefixes(site.language) if is_wikipedia else frozenset(),
        link_trail=re.compile(f"(?:{trail})+") if trail else None,
        link_prefix=facts.get("link_prefix", ""),
        redirect=_redirect_pattern(facts["redirect"]),
        disambiguation_templates=frozenset(_fold(name) for name in names),
        disambiguation_suffixes=tuple(sorted(f" ({word})".casefold() for word in suffixes)),
        has_dotted_i=known_language(site.language) in _DOTTED_I_LANGUAGES,
    )


def _own_prefixes(language: str) -> frozenset[str]:
    # `w:` names the English Wikipedia from every other one: aawiki's table of page links has no
    # link of its page 1713, which holds [[w:User:Interiot/EditCountOptIn]].
    return frozenset({language, "w", "wikipedia"} if language == "en" else {language})


def _namespace_ids(site: SiteInfo, is_wikipedia: bool) -> dict[str, int]:
    """Names from weakest to strongest: shipped aliases, canonical English, siteinfo."""
    found = dict(_UNIVERSAL_ALIASES)
    for key, names in language_facts(site.language)["namespaces"].items():
        number = int(key)
        # What a Wikipedia calls its project pages says nothing about another wiki, and a
        # namespace above 15 exists only where siteinfo names it (or where there is none).
        if number in _PROJECTS and not is_wikipedia:
            continue
        if number > 15 and site.namespace_names and number not in site.namespace_names:
            continue
        found.update({_fold(name): number for name in names})
    found.update({_fold(name): number for number, name in CANONICAL_NAMES.items() if name})
    found.update({_fold(name): number for number, name in site.namespace_names.items() if name})
    found.pop("", None)
    return found


def _redirect_pattern(words: list[str]) -> re.Pattern[str]:
    """The first line of a redirect: word, optional colon, link. Manual: Help:Redirects."""
    choice = "|".join(re.escape(word) for word in sorted({*words, "#REDIRECT"}, key=len)[::-1])
    return re.compile(rf"\s*(?:{choice})\s*:?\s*\[\[([^\[\]{{|}}\n]+)", re.IGNORECASE)


_DEFAULT_SITE = SiteInfo()
