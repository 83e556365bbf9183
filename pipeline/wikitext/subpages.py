"""Give relative links between subpages their full titles: books link their chapters so.

The rules are those of MediaWiki's Linker::normalizeSubpageLink.
Manual: https://www.mediawiki.org/wiki/Help:Subpages
"""

from __future__ import annotations

import re
from typing import Final

from pipeline.wiki.site_info import SiteInfo
from pipeline.wiki.titles import namespace_of_title

_RELATIVE: Final = re.compile(r"\[\[[ \t]*((?:\.\.)?/[^\[\]|\n#]*)(#[^\[\]|\n]*)?(\|?)")
_UP: Final = "../"


def absolute_links(text: str, title: str, site: SiteInfo) -> str:
    """Write full titles into the relative links of a text, where the wiki has subpages.

    >>> site = SiteInfo("enwikibooks")
    >>> absolute_links("[[/Tea/]], [[../Bread|b]], [[../]]", "Food/Drinks", site)
    '[[Food/Drinks/Tea|Tea]], [[Food/Bread|b]], [[Food]]'
    """
    if not site.has_subpages(namespace_of_title(title, site)):
        return text
    if "[[/" not in text and "[[../" not in text and "[[ /" not in text:
        return text

    def replace(match: re.Match[str]) -> str:
        target, fragment, bar = match[1].strip(), match[2] or "", match[3]
        found = _below(target, title) if target[0] == "/" else _above(target, title)
        if found is None:
            return match.group()
        page, shown = found
        label = f"|{shown}{fragment}" if shown and not bar else bar
        return f"[[{page}{fragment}{label}"

    return _RELATIVE.sub(replace, text)


def _below(target: str, title: str) -> tuple[str, str]:
    """Return page and text of `/X`; a trailing slash hides the leading one: `/X/` shows "X"."""
    name = target[1:].rstrip("/").strip()
    return f"{title}/{name}" if name else title, name if target.endswith("/") else target


def _above(target: str, title: str) -> tuple[str, str] | None:
    """Return page and text of `../X`, None above the top; an empty text means the page's title."""
    num_up = 0
    while target.startswith(_UP):
        num_up, target = num_up + 1, target[len(_UP) :]
    parts = title.split("/")
    if num_up == 0 or num_up >= len(parts):
        return None
    parent = "/".join(parts[:-num_up])
    name = target.rstrip("/").strip()
    shown = name if target.endswith("/") else ""
    return (f"{parent}/{name}" if name else parent), shown
