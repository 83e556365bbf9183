"""Words that name the wiki, the page or a namespace: {{SITENAME}}, {{TALKPAGENAME}}, {{ns:4}}.

See https://www.mediawiki.org/wiki/Help:Magic_words. Wikis also know these words in their languages.
"""

from __future__ import annotations

from typing import Final

from pipeline.wiki.site_info import MAIN, PROJECT, SiteInfo
from pipeline.wiki.titles import namespace_of_title

_PAGE_WORDS: Final = frozenset(
    (
        *("pagename", "fullpagename", "subpagename", "basepagename", "rootpagename"),
        *("talkpagename", "subjectpagename", "articlepagename", "namespace", "talkspace"),
        *("subjectspace", "articlespace"),
    )
)
_LOCAL: Final = {
    "pagename": "seitenname nompage nombredepágina nombredepagina titolopagina nomedapágina "
    "nomedapagina nazwastrony paginanaam sidnamn sidenavn sivunimi lapneve názevstránky sayfaadi "
    "название_страницы назва_сторінки ページ名 頁名 页名 頁面名 页面名 문서이름 문서명 têntrang "
    "اسم_الصفحة "
    "نام‌صفحه نام_صفحه שם_הדף लेखनाव namahalaman nomdelapàgina numepagină",
    "fullpagename": "vollerseitenname nompagecomplet nombredepáginacompleta titolopaginacompleto "
    "полное_название_страницы повна_назва_сторінки 完全ページ名 頁全名 页面全名 전체문서이름",
    "talkpagename": "diskussionsseitenname nompagediscussion nombredepáginadediscusión "
    "название_страницы_обсуждения назва_сторінки_обговорення トークページ名",
    "sitename": "projektname nomsite nombredelsitio nomesito nomedosite nomedosítio nazwaprojektu "
    "sitenaam sajtnamn название_сайта назва_сайту サイト名 站名 网站名 網站名 사이트이름 "
    "têntrangmạng اسم_الموقع نام‌وبگاه שם_האתר",
    "namespace": "namensraum espacenommage espacio nomnamespace domíniodapágina nazwaprzestrzeni "
    "naamruimte namnrymd пространство_имён простір_назв 名前空間 名字空間 이름공간",
}
_ENGLISH: Final = {
    local.replace("_", " "): word for word, names in _LOCAL.items() for local in names.split()
}
_NAMESPACE_FUNCTIONS: Final = frozenset({"ns", "nse", "nr", "пи", "пн", "espacen", "名前空間"})


def magic_word(name: str, title: str, site: SiteInfo) -> str | None:
    """Return what a magic word without arguments stands for on a page, None for any other word.

    >>> from pipeline.wiki.site_info import default_site
    >>> magic_word("talkpagename", "Apple/Red", default_site())
    'Talk:Apple/Red'
    >>> magic_word("subpagename", "Apple/Red", default_site()), magic_word("x", "A", default_site())
    ('Red', None)
    """
    word = _ENGLISH.get(name, name)
    if word == "sitename":
        return site.sitename or site.namespace_name(PROJECT)
    if word not in _PAGE_WORDS:
        # The URL-encoded form, such as PAGENAMEE, stands for the same page.
        word = word.removesuffix("e") if word[:-1] in _PAGE_WORDS else ""
    return _of_page(word, title, site) if word else None


def _of_page(word: str, title: str, site: SiteInfo) -> str:
    namespace = namespace_of_title(title, site)
    page = title.partition(":")[2].lstrip() if namespace else title
    names = {
        "pagename": page,
        "fullpagename": title,
        "subpagename": page.rpartition("/")[2],
        "basepagename": page.rpartition("/")[0] or page,
        "rootpagename": page.partition("/")[0],
    }
    if word in names:
        return names[word]
    if word.startswith("talk"):
        namespace |= 1
    elif word != "namespace":
        namespace -= namespace & 1
    name = site.namespace_name(namespace)
    if word.endswith("space") or word == "namespace":
        return name
    return page if namespace == MAIN else f"{name}:{page}"


def namespace_word(function: str, argument: str, site: SiteInfo) -> str | None:
    """Return the name that {{ns:4}} or {{ns:project}} stands for, None for other functions.

    >>> namespace_word("ns", "project", SiteInfo("dewiki", "de", namespace_names={4: "Wikipedia"}))
    'Wikipedia'
    """
    if function not in _NAMESPACE_FUNCTIONS:
        return None
    argument = argument.strip()
    is_number = argument.removeprefix("-").isdecimal() and len(argument) < 10
    number = int(argument) if is_number else site.namespace_id(argument)
    return "" if number is None else site.namespace_name(number)
