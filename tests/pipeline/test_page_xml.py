"""The fast search and the parser agree on every page, and damage is named."""

import bz2
import lzma
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.page_split import PageSplitter
from pipeline.page_xml import Page, PageError, _search, parse_page, parse_with_expat

LTGWIKI = "ltgwiki/ltgwiki-2017-pages-articles.xml.bz2"
ZHWIKI = "odd/zhwiki-cyberzhg/zhwiki-test-pages.xml.xz"

PAGE = (
    '<page><title>A &amp; B</title><ns>0</ns><id>7</id><redirect title="C &quot;D&quot;" />'
    "<revision><id>8</id><timestamp>2024-01-31T12:00:00Z</timestamp>"
    "<contributor><username>X</username><id>99</id></contributor><model>wikitext</model>"
    '<text bytes="3" xml:space="preserve">a &lt;b&gt; &amp;amp; &#233;</text></revision></page>'
)


def test_fields_of_a_page() -> None:
    assert parse_page(PAGE.encode()) == Page(
        page_id=7,
        title="A & B",
        namespace=0,
        redirect_title='C "D"',
        num_revisions=1,
        revision_id=8,
        timestamp="2024-01-31T12:00:00Z",
        model="wikitext",
        text="a <b> &amp; é",
    )


def test_last_of_several_revisions_is_taken() -> None:
    revision = PAGE[PAGE.index("<revision>") : PAGE.index("</page>")]
    newer = revision.replace("<id>8<", "<id>9<").replace("a &lt;", "newer &lt;")
    page = parse_page(PAGE.replace(revision, revision + newer).encode())
    assert (page.num_revisions, page.revision_id, page.text) == (2, 9, "newer <b> &amp; é")


@pytest.mark.parametrize(
    "page",
    [
        PAGE,
        PAGE.replace(">a &lt;b&gt; &amp;amp; &#233;</text>", " />"),
        PAGE.replace("a &lt;b&gt;", "line\r\nbreak\rend &apos;&#x41;"),
        PAGE.replace("<id>7</id>", "").replace("<ns>0</ns>", ""),
        PAGE.replace("<model>wikitext</model>", "<model>json</model>"),
        PAGE.replace("</text>", "</text><sha1/><content><role>aux</role><text>no</text></content>"),
    ],
)
def test_search_and_parser_agree_on_the_usual_shape(page: str) -> None:
    assert _search(page.encode()) == parse_with_expat(page.encode())


def test_search_and_parser_agree_on_every_page_of_real_dumps(shared_data: Path) -> None:
    dumps = shared_data / "dumps"
    ltgwiki = bz2.decompress((dumps / LTGWIKI).read_bytes())
    zhwiki = lzma.decompress((dumps / ZHWIKI).read_bytes())
    history = (dumps / "odd/whym-wikihadoop-page_sample.xml").read_bytes()
    commons = next((dumps / "odd/wmf-dumper-samples").glob("*Commons*")).read_bytes()
    for xml in (ltgwiki, zhwiki, history, commons):
        for raw in PageSplitter([xml], [], 1 << 26).pages():
            assert _search(raw.data) == parse_with_expat(raw.data)


@settings(deadline=None)
@given(
    text=st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.sampled_from("&<;#x\n\t")
    )
)
def test_escaped_text_comes_back(text: str) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    page = PAGE.replace("a &lt;b&gt; &amp;amp; &#233;", escaped)
    assert parse_page(page.encode()).text == text


@settings(deadline=None)
@given(at=st.integers(0, len(PAGE) - 1), byte=st.binary(max_size=2))
def test_damage_gives_a_page_or_a_reason(at: int, byte: bytes) -> None:
    data = PAGE.encode()
    damaged = data[:at] + byte + data[at + 1 :]
    with suppress(PageError):
        assert parse_page(damaged).title


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("<title>A &amp; B</title>", "", "no_title"),
        ("<title>A &amp; B</title>", "<title> </title>", "no_title"),
        ("text", "texts", "no_text"),
        ('bytes="3"', 'deleted="deleted"', "deleted_text"),
        ("</text>", "", "malformed_xml"),
        ("&#233;", "&#xD800;", "malformed_xml"),
        ("&#233;", "&#99999999;", "malformed_xml"),
        ("<revision>", "<rev>", "malformed_xml"),
    ],
)
def test_damage_is_named(old: str, new: str, reason: str) -> None:
    with pytest.raises(PageError) as caught:
        parse_page(PAGE.replace(old, new).encode())
    assert caught.value.reason == reason


def test_bytes_that_are_no_utf8_are_named() -> None:
    with pytest.raises(PageError, match="expected UTF-8") as caught:
        parse_page(PAGE.encode().replace(b"&#233;", b"\xff\xfe"))
    assert caught.value.reason == "invalid_utf8"
    assert caught.value.page is not None
    assert caught.value.page.page_id == 7


def test_ampersand_that_should_be_escaped_stands_for_itself() -> None:
    page = parse_page(PAGE.replace("&#233;", "R&D &eacute;").encode())
    assert page.text == "a <b> &amp; R&D &eacute;"


def test_odd_but_well_formed_pages_are_read() -> None:
    odd = PAGE.replace("<title>", "<!-- c --><title>").replace("a &lt;b&gt;", "<![CDATA[a <b>]]>")
    assert parse_page(odd.encode()) == parse_page(PAGE.encode())
