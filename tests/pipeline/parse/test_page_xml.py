"""A page gives its fields, and damage is named."""

import bz2
import re
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.parse.page_xml import Page, PageError, parse_page, peek_namespace
from pipeline.parse.splitter import PageSplitter

LTGWIKI = "ltgwiki/ltgwiki-2017-pages-articles.xml.bz2"

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


def test_main_slot_is_taken_not_the_other_content_of_a_revision() -> None:
    slot = "</text><content><role>aux</role><model>json</model><text>{}</text></content>"
    assert parse_page(PAGE.replace("</text>", slot).encode()) == parse_page(PAGE.encode())


def test_times_and_ids_of_uploads_and_contributors_are_not_the_revisions() -> None:
    upload = "<upload><timestamp>1999-01-01T00:00:00Z</timestamp><id>55</id></upload></page>"
    assert parse_page(PAGE.replace("</page>", upload).encode()) == parse_page(PAGE.encode())


def test_absent_fields_are_none_or_empty() -> None:
    page = parse_page(b"<page><title>A</title><revision><text /></revision></page>")
    assert page == Page(None, "A", None, None, 1, None, "", "wikitext", "")


def test_line_ends_and_character_references_are_resolved() -> None:
    page = parse_page(PAGE.replace("a &lt;", "line\r\nbreak\rend &apos;&#x41; &lt;").encode())
    assert page.text.startswith("line\nbreak\nend 'A <")


def test_namespace_shows_without_reading_the_page() -> None:
    assert peek_namespace(PAGE.encode()) == 0
    assert peek_namespace(PAGE.replace("<ns>0", "<ns>828").encode()) == 828
    assert peek_namespace(PAGE.replace("<ns>0</ns>", "").encode()) is None
    assert peek_namespace(PAGE.replace("<title>", "<x/><title>").encode()) is None


def test_every_page_of_real_dumps_is_read_as_by_a_tree(shared_data: Path) -> None:
    dumps = shared_data / "dumps"
    sample = next((dumps / "odd/wmf-dumper-samples").glob("*Commons*")).read_bytes()
    history = (dumps / "odd/whym-wikihadoop-page_sample.xml").read_bytes()
    for xml in (bz2.decompress((dumps / LTGWIKI).read_bytes()), sample, history):
        for raw in PageSplitter([xml], [], 1 << 26).pages():
            page, tree = parse_page(raw.data), ElementTree.fromstring(raw.data)
            revision = tree.findall("revision")[-1]
            assert page.title == tree.findtext("title")
            assert page.page_id == int(tree.findtext("id") or 0)
            assert page.revision_id == int(revision.findtext("id") or 0)
            assert page.text == (revision.findtext("text") or "")
            assert page.num_revisions == len(tree.findall("revision"))


@settings(deadline=None)
@given(
    text=st.text(
        # XML has no place for controls and the two non-characters at the end of the first plane.
        st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\ufffe\uffff")
        | st.sampled_from("&<;#x\n\t")
    )
)
def test_escaped_text_comes_back(text: str) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    page = PAGE.replace("a &lt;b&gt; &amp;amp; &#233;", escaped)
    size = len(text.encode())
    page = re.sub(r'bytes="\d+"', f'bytes="{size}"', page)  # a dump says so; less is a stub
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
        ("&#233;", "&eacute;", "malformed_xml"),
        ("&#233;", "R&D", "malformed_xml"),
        ("&#233;", "\0", "malformed_xml"),
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


def test_odd_but_well_formed_pages_are_read() -> None:
    odd = PAGE.replace("<title>", "<!-- c --><title>").replace("a &lt;b&gt;", "<![CDATA[a <b>]]>")
    assert parse_page(odd.encode()) == parse_page(PAGE.encode())


@pytest.mark.parametrize(
    ("inside", "text"),
    [
        ("a <br/> b", "a <br/> b"),
        ("<br></br>", "<br/>"),
        (
            'А <ref name="x &amp; y">b <b>в</b></ref> г',
            'А <ref name="x &amp; y">b <b>в</b></ref> г',
        ),
        ("<u>&lt;u&gt;</u> 表<small>小</small>", "<u><u></u> 表<small>小</small>"),
        ("{{x|<math>a</math>}}", "{{x|<math>a</math>}}"),
        ("<![CDATA[<i>x</i>]]><b>y</b><!-- c -->", "<i>x</i><b>y</b>"),
        ("a<text>b</text><id>3</id><br/><br/>c", "a<text>b</text><id>3</id><br/><br/>c"),
        ("<i><br/></i><b> </b>", "<i><br/></i><b> </b>"),
    ],
)
def test_elements_that_nobody_escaped_are_part_of_the_text(inside: str, text: str) -> None:
    data = (
        "<page><title>A</title><ns>0</ns><id>7</id><revision><id>9</id>"
        "<contributor><username>U</username><id>3</id></contributor>"
        f"<text>{inside}</text><sha1>z</sha1></revision></page>"
    )
    page = parse_page(data.encode())
    assert page.text == text
    assert page.revision_id == 9
