"""Read <siteinfo>, the header of an export: names, namespaces, capitalisation; and the licence.

Schema: https://www.mediawiki.org/wiki/Help:Export. Versions before 0.5 lack the case of each
namespace, those before 0.9 the database name; many home-made exports lack the whole header.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from pipeline.wiki.languages import language_of
from pipeline.wiki.site_info import SiteInfo
from schemas.errors import DumpError

_SITEINFO, _SITEINFO_END = b"<siteinfo", b"</siteinfo>"
_KEY = re.compile(r"-?\d{1,9}", re.ASCII)
_WIKIMEDIA = re.compile(
    r"//(?:[^/]+\.)?(wikipedia|wiktionary|wikibooks|wikiquote|wikisource|wikiversity|wikivoyage"
    r"|wikinews|wikimedia)\.org(?:/|$)"
)
_FOUR_SINCE = "2023-06-07"
_SHARE_ALIKE_SINCE = "2009-06-15"

UNKNOWN_LICENCE = "unknown: see the terms of the wiki that the dump is from"

_LANGUAGE = re.compile(rb"<mediawiki\b[^>]{0,2000}?\bxml:lang=[\"']([A-Za-z0-9-]+)[\"']")


def find_siteinfo(head: bytes) -> bytes | None:
    """Return the <siteinfo> element in the first bytes of a dump, None without one."""
    begin = head.find(_SITEINFO)
    end = head.find(_SITEINFO_END, begin)
    return head[begin : end + len(_SITEINFO_END)] if 0 <= begin < end else None


def parse_siteinfo(head: bytes, language: str | None = None) -> SiteInfo | None:
    """Return what the header of a dump says of its wiki, None without a header.

    Args:
        head: the first bytes of the dump, UTF-8.
        language: the content language, if the user knows better.

    Raises:
        DumpError: the header is not well-formed XML.

    >>> site = parse_siteinfo(b'<mediawiki xml:lang="ltg"><siteinfo><dbname>ltgwiki</dbname>'
    ...     b'<namespaces><namespace key="14">Kategoreja</namespace></namespaces></siteinfo>')
    >>> site.language, site.namespace_id("kategoreja")
    ('ltg', 14)
    """
    siteinfo = find_siteinfo(head)
    if siteinfo is None:
        return None
    try:
        root = ElementTree.fromstring(siteinfo)
    except ElementTree.ParseError as error:
        raise DumpError(
            f"expected a well-formed <siteinfo>, found damage ({error}): "
            "mend the header of the dump, or cut it out"
        ) from error
    default_case = root.findtext("case") or "first-letter"
    namespaces = [
        (int(entry.get("key", "0")), entry)
        for entry in root.iterfind("namespaces/namespace")
        if _KEY.fullmatch(entry.get("key", "0"))
    ]
    return SiteInfo(
        dbname=root.findtext("dbname") or "",
        language=language or _language(head, root),
        sitename=root.findtext("sitename") or "",
        generator=root.findtext("generator") or "",
        namespace_names={key: entry.text or "" for key, entry in namespaces},
        title_case={key: entry.get("case", default_case) for key, entry in namespaces}
        or {0: default_case},
        base_url=root.findtext("base") or "",
    )


def header_language(head: bytes) -> str | None:
    """Return `xml:lang` of the root element.

    >>> header_language(b'<mediawiki version="0.11" xml:lang="ltg">')
    'ltg'
    """
    found = _LANGUAGE.search(head)
    return found.group(1).decode() if found else None


def _language(head: bytes, root: ElementTree.Element) -> str:
    known = language_of(root.findtext("dbname") or "", root.findtext("base") or "")
    # The database name is more reliable than xml:lang, which some exports leave at "en".
    declared = header_language(head)
    return known if known != "en" or declared is None else declared


def licence_of(base_url: str, date: str) -> str:
    """Return the licence of a dump's text, as far as the wiki's address and the date determine it.

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
        return UNKNOWN_LICENCE
    if found.group(1) == "wikinews":
        name = "CC BY 2.5 or 4.0"
    elif date and date < _SHARE_ALIKE_SINCE:
        name = "GFDL"
    else:
        name = f"CC BY-SA {'4.0' if date >= _FOUR_SINCE else '3.0'} and GFDL"
    return f"{name} (https://dumps.wikimedia.org/legal.html)"
