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

from pipeline.engine.stage import Job
from pipeline.graph.config import GraphConfig
from pipeline.graph.stage import GRAPH
from pipeline.ingest import number as ingest_number
from pipeline.ingest import read as ingest_read
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.stage import INGEST
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
    [warning] = summary["warnings"]
    assert f"most links were dropped ({reason.replace('_', ' ')} 1): a link is an obj" in warning


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


def test_a_file_without_any_record_of_the_format_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match=r"\(2; the first of .*\): .* another --format, with"):
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
