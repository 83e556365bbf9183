"""What a wiki calls things: namespaces, interwiki prefixes, link trails, redirect words.

A dump's <siteinfo> gives the local namespace names and the rule for capital letters. No dump holds
the namespace aliases (`WP`, `Image`, `Bild`), the redirect words, or the letters that join a link
they stand next to: those come from `pipeline/wiki/languages.json`. See the MediaWiki manual,
Manual:Namespace, Manual:$wgCapitalLinks and Manual:$wgNamespacesWithSubpages.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
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
"""The English names that every MediaWiki understands as well as its own."""

_UNIVERSAL_ALIASES: Final = {"image": FILE, "image talk": FILE + 1}
_BY_NAMESPACE: Final = ("namespace_names", "title_case")
_DOTTED_I_LANGUAGES: Final = frozenset({"az", "tr"})
# By default MediaWiki has subpages everywhere except in articles, files and categories.
_NO_SUBPAGES: Final = frozenset({MAIN, FILE, CATEGORY})
# Wikis whose articles have subpages too, recognised by the end of the database name or by the host.
_SUBPAGE_PROJECTS: Final = (
    *("wikibooks", "wikisource", "wikiversity", "wikivoyage", "sourceswiki", "incubatorwiki"),
    *("metawiki", "mediawikiwiki", "outreachwiki", "strategywiki", "labswiki", "foundationwiki"),
)
_SUBPAGE_HOSTS: Final = re.compile(
    r"(?:https?:)?//[^/]*\b(?:fandom\.com|wikia\.(?:com|org)|wiki\.gg|wikibooks\.org|wikisource\.org|"
    r"wikiversity\.org|wikivoyage\.org|meta\.wikimedia\.org|mediawiki\.org)(?:[:/]|$)"
)


@dataclass(frozen=True, slots=True)
class SiteRules:
    """Rules derived from a SiteInfo once, because they are consulted for every link.

    Attributes:
        namespace_ids: by folded name or alias.
        is_wikipedia: whether the names that a Wikipedia gives its project pages apply.
        own_prefixes: interwiki prefixes that lead back to this wiki.
        link_trail: the letters after `]]` that belong to the link, None where there are none.
        link_prefix: a regular expression for a letter before `[[` that belongs to the link, or "".
        redirect: `#REDIRECT [[target` in the words of the language; group 1 is the raw target.
        disambiguation_templates: lower-case names of the templates that mark such a page.
        disambiguation_suffixes: lower-case endings of their titles, such as " (disambiguation)".
        has_dotted_i: whether the capital of `i` is `İ`.
    """

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
    """A wiki as its dump describes it, with the facts that no dump holds looked up by language.

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
    rules: SiteRules = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", _compile_rules(self))

    def __hash__(self) -> int:
        return hash((self.dbname, self.language, self.sitename))

    def __reduce__(self) -> tuple[Any, ...]:
        return SiteInfo.from_json, (self.to_json(),)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object for the manifest of pages; `from_json` reads it back."""
        record = {each.name: getattr(self, each.name) for each in fields(self) if each.init}
        for key in _BY_NAMESPACE:
            record[key] = {str(number): text for number, text in sorted(record[key].items())}
        return record

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> SiteInfo:
        """Return the SiteInfo that `to_json` wrote."""
        by_number = {
            key: {int(number): text for number, text in record[key].items()}
            for key in _BY_NAMESPACE
        }
        return SiteInfo(**{**record, **by_number})

    def namespace_id(self, prefix: str) -> int | None:
        """Return the namespace that `prefix` names (in any case, `_` for blanks), else None."""
        return self.rules.namespace_ids.get(_fold(prefix))

    def namespace_name(self, namespace: int) -> str:
        """Return the local name of a namespace, "" for the main one.

        >>> default_site().namespace_name(15)
        'Category talk'
        """
        if namespace in self.namespace_names:
            return self.namespace_names[namespace]
        shipped = language_facts(self.language)["namespaces"].get(str(namespace))
        # The names that a Wikipedia gives its project pages are valid on no other wiki.
        if shipped and (self.rules.is_wikipedia or namespace not in _PROJECTS):
            return str(shipped[0])
        return CANONICAL_NAMES.get(namespace, f"Namespace {namespace}")

    def has_subpages(self, namespace: int) -> bool:
        """Tell whether, in this namespace, a link to `/X` names a page below the linking one.

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
        return word not in self.rules.own_prefixes and word in interwiki_prefixes()

    def is_language_prefix(self, prefix: str) -> bool:
        """Tell whether `prefix:` names the same wiki in another language (a sidebar link)."""
        word = _fold(prefix)
        return word not in self.rules.own_prefixes and word in language_codes()

    def is_own_prefix(self, prefix: str) -> bool:
        """Tell whether `prefix:` is an interwiki prefix that leads back to this wiki.

        >>> default_site().is_own_prefix("en"), default_site().is_own_prefix("fr")
        (True, False)
        """
        return _fold(prefix) in self.rules.own_prefixes

    def capitalise(self, title: str, namespace: int) -> str:
        """Capitalise the first letter as the wiki does in this namespace.

        Python's `upper` does not follow MediaWiki: it turns Georgian letters into their rare
        capitals and `ß` into two letters. The title case of a letter does, where it is one letter.

        >>> site = default_site()
        >>> [site.capitalise(word, 0) for word in ("iPhone", "ბერლინი", "ßeta", "ǆep")]
        ['IPhone', 'ბერლინი', 'ßeta', 'ǅep']
        """
        first = title[:1]
        if "A" <= first <= "Z" or not title:
            return title
        if self.title_case.get(namespace, FIRST_LETTER) != FIRST_LETTER:
            return title
        if first == "i" and self.rules.has_dotted_i:
            return "İ" + title[1:]
        raised = first.title()
        return raised + title[1:] if len(raised) == 1 else title


def default_site() -> SiteInfo:
    """Return the site assumed for a dump without <siteinfo>: an English wiki.

    >>> default_site().namespace_id("wp")
    4
    """
    return _DEFAULT_SITE


def _fold(name: str) -> str:
    """Fold what MediaWiki ignores in a prefix: case, repeated blanks, underscores, NFC."""
    if name.isascii() and "_" not in name and "  " not in name:
        return name.strip().lower()
    return " ".join(unicodedata.normalize("NFC", name).replace("_", " ").split()).casefold()


def _compile_rules(site: SiteInfo) -> SiteRules:
    facts = language_facts(site.language)
    is_wikipedia = site.dbname == "" or (
        site.dbname.endswith("wiki")
        and site.dbname.removesuffix("wiki").replace("_", "-") in language_codes()
    )
    names = [*facts["disambiguation_templates"], *language_facts("en")["disambiguation_templates"]]
    suffixes = {facts.get("disambiguation_suffix"), "disambiguation"} - {None}
    trail = facts["link_trail"]
    return SiteRules(
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
    # On every other Wikipedia, `w:` leads to the English one: page 1713 of aawiki holds
    # [[w:User:Interiot/EditCountOptIn]], and aawiki's table of page links lists no link for it.
    return frozenset({language, "w", "wikipedia"} if language == "en" else {language})


def _namespace_ids(site: SiteInfo, is_wikipedia: bool) -> dict[str, int]:
    """Collect names from weakest to strongest: shipped aliases, canonical English, siteinfo."""
    found = dict(_UNIVERSAL_ALIASES)
    for key, names in language_facts(site.language)["namespaces"].items():
        number = int(key)
        # The names that a Wikipedia gives its project pages are valid on no other wiki, and a
        # namespace above 15 exists only where siteinfo names it (or where there is no siteinfo).
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
    """Match the first line of a redirect: word, optional colon, link. Manual: Help:Redirects."""
    choice = "|".join(re.escape(word) for word in sorted({*words, "#REDIRECT"}, key=len)[::-1])
    return re.compile(rf"\s*(?:{choice})\s*:?\s*\[\[([^\[\]{{|}}\n]+)", re.IGNORECASE)


_DEFAULT_SITE = SiteInfo()
