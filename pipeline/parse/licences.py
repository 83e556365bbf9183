"""The licence of a wiki's text, as far as its address and the date of its dump tell."""

from __future__ import annotations

import re

_WIKIMEDIA = re.compile(
    r"//(?:[^/]+\.)?(wikipedia|wiktionary|wikibooks|wikiquote|wikisource|wikiversity|wikivoyage"
    r"|wikinews|wikimedia)\.org(?:/|$)"
)
_FOUR_SINCE = "2023-06-07"
_SHARE_ALIKE_SINCE = "2009-06-15"

UNKNOWN = "unknown: see the terms of the wiki that the dump is from"


def licence_of(base_url: str, date: str) -> str:
    """Return the licence of the text of a dump.

    Wikimedia's terms of use moved from GFDL to CC BY-SA 3.0 and GFDL on 2009-06-15 and to version
    4.0 on 2023-06-07: https://foundation.wikimedia.org/wiki/Policy:Terms_of_Use.

    Args:
        base_url: the address of the wiki's main page, from the dump's header.
        date: of the dump, YYYY-MM-DD, or empty.

    >>> licence_of("https://ltg.wikipedia.org/wiki/Suoku_puslopa", "2017-09-01")
    'CC BY-SA 3.0 and GFDL (https://dumps.wikimedia.org/legal.html)'
    >>> licence_of("https://wiki.example.org/", "2017-09-01")
    'unknown: see the terms of the wiki that the dump is from'
    """
    found = _WIKIMEDIA.search(base_url)
    if found is None:
        return UNKNOWN
    if found.group(1) == "wikinews":
        name = "CC BY 2.5 or 4.0"
    elif date and date < _SHARE_ALIKE_SINCE:
        name = "GFDL"
    else:
        name = f"CC BY-SA {'4.0' if date >= _FOUR_SINCE else '3.0'} and GFDL"
    return f"{name} (https://dumps.wikimedia.org/legal.html)"
