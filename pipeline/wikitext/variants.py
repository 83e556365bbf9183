"""Language conversion: choose one of the variants that an author gives for a text.

    -{zh-hans:计算机;zh-hant:電腦}-  ─▶  计算机          -{T|...}-, -{H|...}-  ─▶  nothing

The rules are those of MediaWiki's ConverterRule: flags up to the first bar, then texts by variant.
The first variant in the wiki's own order of fallback is taken.
Manual: https://www.mediawiki.org/wiki/Writing_systems/Syntax
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from pipeline.wiki.languages import known_language

# Languages whose wikis convert between scripts or regions, each with its variants in the order in
# which a reader without a preference gets them.
_VARIANTS: Final = {
    "zh": "zh zh-hans zh-hant zh-cn zh-tw zh-hk zh-sg zh-mo zh-my",
    "sr": "sr sr-ec sr-cyrl sr-el sr-latn",
    "sh": "sh sh-latn sh-cyrl",
    "kk": "kk kk-cyrl kk-latn kk-arab kk-kz kk-tr kk-cn",
    "uz": "uz uz-latn uz-cyrl",
    "ku": "ku ku-latn ku-arab",
    "tg": "tg tg-cyrl tg-latn",
    "crh": "crh crh-latn crh-cyrl",
    "gan": "gan gan-hans gan-hant",
    "wuu": "wuu wuu-hans wuu-hant",
    "zh-yue": "zh-yue zh-hant zh-hk zh-hans",
    "iu": "iu ike-cans ike-latn",
    "shi": "shi shi-tfng shi-latn",
    "ban": "ban ban-bali",
    "tly": "tly tly-cyrl",
    "mni": "mni mni-beng",
}
_RELATED: Final = {
    "zh-tw": "zh-hant zh-hk zh-mo",
    "zh-hk": "zh-hant zh-mo zh-tw",
    "zh-mo": "zh-hant zh-hk zh-tw",
    "zh-hant": "zh-tw zh-hk zh-mo",
    "zh-hans": "zh-cn zh-sg zh-my",
    "zh-cn": "zh-hans zh-sg zh-my",
    "zh-sg": "zh-hans zh-cn zh-my",
    "zh-my": "zh-hans zh-sg zh-cn",
    "sr-el": "sr-latn",
    "sr-latn": "sr-el",
    "sr-cyrl": "sr-ec",
}
_HIDING: Final = frozenset("THND-")
_TAG: Final = r"[a-z]{2,8}(?:-[a-z]{2,8})*"
_CODE: Final = re.compile(rf"\s*({_TAG})\s*", re.IGNORECASE)
# A semicolon ends a text only before the next variant, or at the end.
_BETWEEN: Final = re.compile(rf";\s*(?=(?:[^;:=]{{0,99}}=>\s*)?{_TAG}\s*:|$)", re.IGNORECASE)


@lru_cache(maxsize=16)
def variants_of(language: str) -> tuple[str, ...]:
    """Return the variants of a wiki's language in order of preference, () where it has none.

    >>> variants_of("zh-tw")[:2], variants_of("de")
    (('zh-tw', 'zh-hant'), ())
    """
    code = language.lower().replace("_", "-")
    general = _VARIANTS.get(known_language(code)) or _VARIANTS.get(code.partition("-")[0])
    if general is None:
        return ()
    own = f"{code} {_RELATED.get(code, '')}".split() if "-" in code else []
    return tuple(dict.fromkeys([*own, *general.split()]))


def choose_variant(content: str, variants: tuple[str, ...]) -> str:
    """Choose the text among what stands between `-{` and `}-`, with templates already rendered.

    >>> order = variants_of("zh")
    >>> choose_variant("zh-hant:丙;zh-hans:甲&nbsp;乙", order), choose_variant("H|zh-cn:甲", order)
    ('甲&nbsp;乙', '')
    >>> choose_variant("[[A|B]]", order), choose_variant("zh-hans|计算机", order)
    ('[[A|B]]', '计算机')
    """
    flags, bar, rules = content.partition("|")
    if not bar or "[[" in flags or "{" in flags:
        flags, rules = "", content
    marked = {flag.strip() for flag in flags.split(";")}
    if "R" in marked:
        return rules
    if marked & _HIDING:
        return ""
    texts = dict(_texts_by_variant(rules))
    if not texts:
        return rules
    return next((texts[code] for code in variants if code in texts), next(iter(texts.values())))


def _texts_by_variant(rules: str) -> Iterator[tuple[str, str]]:
    """Yield variant and text of each rule; nothing where the whole is plain text, not rules."""
    found = []
    for rule in _BETWEEN.split(rules):
        code, colon, text = rule.partition(":")
        _, arrow, target = code.partition("=>")
        known = _CODE.fullmatch(target if arrow else code)
        if not colon or known is None:
            if rule.strip():
                return
            continue
        found.append((known[1].lower(), text.strip()))
    yield from reversed(found)
