"""Templates without a rule: what some of them say about their page or show, and which are lost."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from pipeline.wiki.languages import known_language, language_codes, language_names
from pipeline.wiki.site_info import SiteInfo
from pipeline.wikitext import marks
from pipeline.wikitext.magic_words import magic_word, namespace_word

_VALUE_FUNCTIONS: Final = frozenset(["formatnum", "lc", "uc", "lcfirst", "ucfirst", "nowrap"])
# Before a template that is not in a sentence: alone on its line, or at the start of a list item.
_NO_PROSE: Final = frozenset(("", "\n", "*", "#", ":", "}", "|", ">"))
_AFTER_WORDS: Final = frozenset(" ,.;)")
# Variables that only the wiki knows: they are not templates, and no rule could render them.
_VARIABLES: Final = (
    *("currentyear", "currentmonth", "currentday", "currenttime", "currenthour", "currentweek"),
    *("localyear", "localmonth", "localday", "localtime", "numberof", "revision", "servername"),
    *("contentlang", "scriptpath", "stylepath", "currentiso", "namespacenumber"),
)
_CODE_AND_WORD: Final = re.compile(r"\s*([a-z]{2,3}(?:-[a-z]+)?)\s*\|([^|=]*\w[^|=]*)")
# The only argument: it begins with a letter, italics or a link.
_WORD: Final = re.compile(r"\s*(?:''+|\[\[)?[^\W\d_](?:[^|={}\[\]\n]|\[\[|\]\]){0,100}")
_SOUND: Final = re.compile("[ˈˌːɐɪʊʒʃɹ]")
_NO_WORDS: Final = ("link", "inline")
# Codes of languages that are often quoted; others are words too, as in {{s-new}}, {{min}}, {{cr}}.
_QUOTED: Final = re.compile(
    "ar|cs|da|de|el|en|es|fa|fi|fr|ga|grc|he|hi|hu|hy|it|ja|ka|ko|la|nl|pl|pt|ro|ru|sv|tr|uk|zh"
)
_NO_KINDS: Final = ("wiki", "link", "flag", "icon", "commons", "babel", "user", "audio")
_MAX_CALL_CHARS: Final = 100


@dataclass(slots=True)
class PageLosses:
    """What the passes lose of a page and learn about it; `extract` reads it."""

    dropped: Counter[str] = field(default_factory=Counter)
    is_disambiguation: bool = False
    unruled: list[tuple[str, str]] = field(default_factory=list)
    """Calls in running prose of templates without a rule: name and call."""


class UnruledTemplates:
    """The templates without a rule on one page."""

    def __init__(self, title: str, site: SiteInfo, losses: PageLosses) -> None:
        self.title, self.site, self.losses = title, site, losses
        self._is_english = known_language(site.language) == "en"

    def show(self, name: str, content: str) -> str:
        """Return what a template without a rule shows; note what it says about its page."""
        if name in self.site.rules.disambiguation_templates:
            self.losses.is_disambiguation = True
        elif ":" in name:
            return self._parser_function(name, content)
        elif name == "!":
            return marks.BAR
        return magic_word(name, self.title, self.site) or self._foreign_word(name, content)

    def _foreign_word(self, name: str, content: str) -> str:
        """Return the text of a call that marks a word of another language.

        Its arguments are a language code and the word, or its name tells the language: by its code,
        alone or behind a hyphen, or in words of the wiki. Those of English wikis have rules.
        """
        if self._is_english or "|" not in content[:_MAX_CALL_CHARS] or name.endswith(_NO_WORDS):
            return ""
        arguments = content.partition("|")[2]
        word = _CODE_AND_WORD.fullmatch(arguments)
        if word is not None and word[1] in language_codes():
            text = word[2].strip()
        elif (
            self._names_language(name)
            and _WORD.fullmatch(arguments)
            and not _SOUND.search(arguments)
        ):
            text = arguments.strip()
        else:
            return ""
        if text in language_codes():
            return ""
        self.losses.dropped["in_template"] -= text.count("[[")
        return text

    def _names_language(self, name: str) -> bool:
        kind, _, code = name.rpartition("-")
        is_code = _QUOTED.fullmatch(code) is not None and not kind.startswith(_NO_KINDS)
        return is_code or name in language_names(self.site.language)

    def _parser_function(self, name: str, content: str) -> str:
        word = name.partition(":")[0].strip()
        argument = content.partition(":")[2]
        if word in _VALUE_FUNCTIONS:
            return argument.partition("|")[0].strip()
        named = namespace_word(word, argument, self.site)
        if named is not None:
            return named
        num_lost = content.count("[[")
        if num_lost:
            self.losses.dropped["in_template"] += num_lost
        return ""

    def note_hole(self, name: str, content: str, text: str, start: int, end: int) -> None:
        """Note a template that left nothing between the words of a sentence."""
        before, after = text[start - 1 : start], text[end : end + 1]
        is_in_prose = before not in _NO_PROSE or after in _AFTER_WORDS
        if is_in_prose and ":" not in name and not name.startswith(_VARIABLES):
            self.losses.unruled.append((name, content[:_MAX_CALL_CHARS]))
