"""Hostile inputs of `ingest` get one line or one reject each."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.stage import Job
from pipeline.ingest import jsonl, read
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.entries import MAX_TEXT_CHARS
from pipeline.ingest.stage import INGEST
from schemas.errors import DumpError
from tests.running import run_inline

GOOD = '{"id": 1, "title": "Cat", "text": "A pet."}\n'


def ingest(tmp_path: Path, content: str, **config: Any) -> dict[str, Any]:
    path = tmp_path / "given.txt"
    path.write_text(content)
    return run_inline(Job(INGEST, str(tmp_path / "out"), IngestConfig(**config), (str(path),)))


def article(pmid: str, cited: str = "3") -> str:
    return (
        f"<PubmedArticle><MedlineCitation><PMID>{pmid}</PMID><Article><ArticleTitle>T{pmid[:9]}"
        "</ArticleTitle><Abstract><AbstractText>Words.</AbstractText></Abstract></Article>"
        '<CommentsCorrectionsList><CommentsCorrections RefType="Cites">'
        f"<PMID>{cited}</PMID></CommentsCorrections></CommentsCorrectionsList>"
        "</MedlineCitation></PubmedArticle>"
    )


@pytest.mark.parametrize("pmid", ["9" * 19, "9" * 5000, "\u0661\u0662", "\u00b2", ""])
def test_pubmed_ids_that_are_none_are_rejected(tmp_path: Path, pmid: str) -> None:
    xml = f"<PubmedArticleSet>{article('7')}{article(pmid)}</PubmedArticleSet>"
    summary = ingest(tmp_path, xml, format="pubmed")
    assert (summary["pages"], summary["rejects_by_reason"]) == (1, {"bad_id": 1})
    assert "given.txt for bad_id" in summary["warnings"][0]


@pytest.mark.parametrize("cited", ["9" * 5000, "\u0661\u0662", "9" * 19])
def test_references_that_are_no_ids_are_counted(tmp_path: Path, cited: str) -> None:
    xml = f"<PubmedArticleSet>{article('7', cited)}</PubmedArticleSet>"
    summary = ingest(tmp_path, xml, format="pubmed")
    assert summary["links_dropped"] == {"citation_without_pmid": 1}


@pytest.mark.parametrize("encoding", ["nope", "utf-32", "base64", "shift_jis"])
def test_encoding_that_xml_cannot_have_is_one_line(tmp_path: Path, encoding: str) -> None:
    xml = f'<?xml version="1.0" encoding="{encoding}"?>\n<PubmedArticleSet></PubmedArticleSet>'
    with pytest.raises(DumpError, match=r"expected PubMed XML.*given.txt|found nothing"):
        ingest(tmp_path, xml, format="pubmed")


def test_line_without_end_is_rejected_and_held_only_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(read, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(read, "_SKIPPED_BYTES", 100)
    endless = '{"id": 2, "title": "' + "x" * 5000 + '"}\n'
    summary = ingest(tmp_path, GOOD + endless + GOOD.replace("1", "3"))
    assert (summary["pages"], summary["rejects_by_reason"]) == (2, {"line_too_long": 1})


RECORDS = {
    "title_too_long": {"title": "\u0101" * 2049},
    "text_too_long": {"text": "x" * (MAX_TEXT_CHARS + 1)},
    "bad_id": {"id": "k" * 5000},
}


@pytest.mark.parametrize("reason", RECORDS)
def test_fields_without_end_are_rejected(tmp_path: Path, reason: str) -> None:
    record = json.loads(GOOD) | {"id": 2} | RECORDS[reason]
    summary = ingest(tmp_path, GOOD + json.dumps(record) + "\n")
    assert (summary["pages"], summary["rejects_by_reason"]) == (1, {reason: 1})


def test_target_without_end_is_a_dropped_link(tmp_path: Path) -> None:
    link = {"start": 0, "end": 1, "target": "t" * 5000}
    summary = ingest(tmp_path, json.dumps(json.loads(GOOD) | {"links": [link]}) + "\n")
    assert summary["links_dropped"] == {"title_too_long": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD, "found JSON lines in given.txt: give --format jsonl"),
        ('<?xml version="1.0"?><a/>', "found XML in given.txt"),
        ("\ufeff\n<mediawiki>", "found a MediaWiki export in given.txt: use `linkbert parse`"),
        ("<PubmedArticleSet>", "found PubMed XML in given.txt: give --format pubmed"),
    ],
)
def test_what_is_no_plain_text_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DumpError, match=message):
        ingest(tmp_path, content, format="text")


def test_the_rule_of_blank_lines_is_told_where_documents_are_short(tmp_path: Path) -> None:
    summary = ingest(tmp_path, "One.\n\nTwo.\n", format="text")
    assert summary["pages"] == 2
    assert "a blank line ends a document" in summary["warnings"][0]


def test_documents_without_any_text_are_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match=r"with text, found 1, none .*, with --overwrite"):
        ingest(tmp_path, GOOD.replace("A pet.", ""))


def test_the_first_reason_is_in_the_message(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match=r"records \(2; the first of given\.txt for no_ti"):
        ingest(tmp_path, '{"id": 1}\n{"id": 2}\n')


def test_a_pipe_is_named(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(DumpError, match=f"found a pipe at {pipe}"):
        run_inline(Job(INGEST, str(tmp_path / "out"), IngestConfig(), (str(pipe),)))
