"""The header of a dump names its wiki, whatever its schema."""

from pathlib import Path

import pytest

from pipeline.parse.header import find_siteinfo, parse_siteinfo
from schemas.errors import DumpError


def test_header_of_the_current_schema(mini_dump: Path) -> None:
    head = mini_dump.read_bytes()[:4096]
    site = parse_siteinfo(head)
    assert site is not None
    assert (site.dbname, site.language, site.sitename) == ("orchardwiki", "en", "Orchard Wiki")
    assert site.generator == "MediaWiki 1.43.0"
    assert site.base_url == "https://orchard.example.org/wiki/Main_Page"
    assert site.namespace_id("orchard_wiki talk") == 5
    assert site.title_case[0] == "first-letter"


def test_case_of_the_wiki_holds_for_namespaces_that_name_none() -> None:
    head = (
        b"<mediawiki><siteinfo><case>case-sensitive</case><namespaces>"
        b'<namespace key="0" /><namespace key="6">Image</namespace>'
        b'<namespace key="2" case="first-letter">User</namespace></namespaces></siteinfo>'
    )
    site = parse_siteinfo(head)
    assert site is not None
    assert site.title_case == {0: "case-sensitive", 6: "case-sensitive", 2: "first-letter"}
    assert site.capitalise("dog", 0) == "dog"


def test_language_comes_from_the_user_then_the_database_then_the_root_element() -> None:
    head = b'<mediawiki xml:lang="en"><siteinfo><dbname>dewiki</dbname></siteinfo>'
    for language, expected in (("fr", "fr"), (None, "de")):
        site = parse_siteinfo(head, language)
        assert site is not None
        assert site.language == expected
    site = parse_siteinfo(b'<mediawiki xml:lang="ka"><siteinfo></siteinfo>')
    assert site is not None
    assert site.language == "ka"


def test_dump_without_header_has_no_site() -> None:
    assert find_siteinfo(b"<mediawiki><page>") is None
    assert parse_siteinfo(b"<mediawiki><page>") is None


def test_damaged_header_is_an_error() -> None:
    with pytest.raises(DumpError, match="well-formed <siteinfo>"):
        parse_siteinfo(b"<siteinfo><case></siteinfo>")


@pytest.mark.parametrize(
    ("name", "dbname", "language", "category"),
    [
        ("odd/tinywiki-latest-pages-articles.xml", "tmp-wp", "ltg", "Kategoreja"),
        ("odd/zhwiki-cyberzhg/zhwiki-broken-1.xml", "zhwiki", "zh", "Category"),
        ("odd/enwiki-mercedes-jsonwikipedia.xml", "", "it", "Categoria"),
    ],
)
def test_headers_of_real_dumps(
    shared_data: Path, name: str, dbname: str, language: str, category: str
) -> None:
    site = parse_siteinfo((shared_data / "dumps" / name).read_bytes()[:65536])
    assert site is not None
    assert (site.dbname, site.language) == (dbname, language)
    assert site.namespace_id(category) == 14
