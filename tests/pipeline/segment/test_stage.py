from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.engine.lifecycle import finish_job, open_job, run_task, tasks_of_phase
from pipeline.engine.outputs import load_manifest
from pipeline.engine.stage import Job
from pipeline.graph.config import GraphConfig
from pipeline.graph.stage import GRAPH
from pipeline.parse import guards
from pipeline.parse.guards import crash_notes
from pipeline.segment.config import SegmentConfig
from pipeline.segment.stage import SEGMENT
from pipeline.tokenizer.config import TokenizerConfig
from pipeline.tokenizer.stage import load_tokenizer
from schemas.errors import StageError
from schemas.tables.segments import TOKEN_DTYPE_KEY
from tests.pipeline.corpora import link, page, write_corpus
from tests.pipeline.linked_corpus import make_corpus, read_rows
from tests.running import run_inline, tokenizer_job


def segment(root: Path, parts: list[list[dict[str, Any]]], **options: Any) -> list[dict[str, Any]]:
    """Write pages, run all stages up to segments, and return the rows."""
    write_corpus(root, parts)
    run_inline(Job(GRAPH, str(root), GraphConfig()))
    run_inline(tokenizer_job([str(root)], TokenizerConfig(vocab_size=150)))
    run_inline(Job(SEGMENT, str(root), SegmentConfig(**options)))
    return read_rows(root / "segments")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("segment") / "corpus", 60)


def test_the_flat_file_holds_the_tokens_of_the_table(corpus: Path) -> None:
    for number, part in enumerate(sorted((corpus / "segments").glob("*.parquet"))):
        table = pq.read_table(part)
        assert table.schema.metadata[TOKEN_DTYPE_KEY] == b"<u2"
        stem = corpus / "tokens" / f"part-{number:05d}"
        flat = np.fromfile(f"{stem}.ids", "<u2")
        offsets = np.load(f"{stem}.offsets.npy")
        rows = table.to_pylist()
        assert len(offsets) == len(rows) + 1
        for row, start, stop in zip(rows, offsets, offsets[1:], strict=False):
            assert flat[start:stop].tobytes() == row["token_ids"]
            assert stop - start == row["num_tokens"]


def test_segments_decode_to_their_place_in_the_text(corpus: Path) -> None:
    texts = [row["text"] for row in read_rows(corpus / "pages")]
    tokenizer = load_tokenizer(str(corpus))
    for row in read_rows(corpus / "segments"):
        text = texts[row["node_id"]][row["start_char"] : row["end_char"]]
        expected = tokenizer.encode(text, add_special_tokens=False).ids
        assert np.frombuffer(row["token_ids"], "<u2").tolist() == expected


def test_segments_of_a_document_are_numbered_and_apart(corpus: Path) -> None:
    last: dict[int, dict[str, Any]] = {}
    for row in read_rows(corpus / "segments"):
        before = last.get(row["node_id"])
        assert row["segment_index"] == (0 if before is None else before["segment_index"] + 1)
        assert before is None or before["end_char"] <= row["start_char"]
        last[row["node_id"]] = row


def test_targets_are_those_of_anchors_in_the_segment(tmp_path: Path) -> None:
    text = "One two three four five. Alpha six seven eight nine. Ten eleven Beta twelve."
    links = [
        link("Alpha", start_char=25, end_char=30),
        link("Beta", start_char=64, end_char=68),
        link("Gone", start_char=0, end_char=3),
        link("Cited", kind="citation"),
        link("Alpha", kind="caption"),
        link("Beta", kind="caption", start_char=8, end_char=13),
        link("Beta", kind="hatnote"),
        link("Main", start_char=4, end_char=7),
    ]
    others = [
        page(index, title, text="A short one.")
        for index, title in enumerate(("Alpha", "Beta", "Cited"), 2)
    ]
    rows = segment(
        tmp_path, [[page(1, "Main", links, text=text)], others], max_tokens=20, min_tokens=2
    )
    main = [row for row in rows if row["node_id"] == 0]
    assert len(main) >= 2
    cited = 3
    for row in main:
        expected = {cited}
        expected |= {1} if row["start_char"] <= 25 < row["end_char"] else set()
        expected |= {2} if row["start_char"] <= 64 < row["end_char"] else set()
        assert row["target_ids"] == sorted(expected)
    counts = load_manifest(str(tmp_path / "segments")).extra["counts"]
    assert counts["unplaced_links"] == 1


def test_an_empty_document_is_counted_not_lost(tmp_path: Path) -> None:
    rows = segment(tmp_path, [[page(1, "A", text=""), page(2, "B", text="Some text.")]])
    assert [row["node_id"] for row in rows] == [1]
    assert load_manifest(str(tmp_path / "segments")).extra["counts"]["without_tokens"] == 1


@pytest.mark.parametrize(("exclude", "expected"), [(False, [0, 1]), (True, [1])])
def test_disambiguation_pages_are_left_out_when_asked(
    tmp_path: Path, exclude: bool, expected: list[int]
) -> None:
    pages = [page(1, "A", is_disambiguation=True), page(2, "B")]
    rows = segment(tmp_path, [pages], exclude_disambiguation=exclude)
    assert [row["node_id"] for row in rows] == expected


def test_text_that_spells_sep_never_becomes_the_sep_token(tmp_path: Path) -> None:
    [row] = segment(tmp_path, [[page(1, "A", text="A [SEP] and a [MASK] walk in.")]])
    assert not {2, 3, 4} & set(np.frombuffer(row["token_ids"], "<u2").tolist())


def test_a_graph_of_other_pages_is_refused(tmp_path: Path) -> None:
    segment(tmp_path, [[page(1, "A")]])
    write_corpus(tmp_path, [[page(1, "Another")]])
    with pytest.raises(StageError, match="linkbert graph"):
        run_inline(Job(SEGMENT, str(tmp_path), SegmentConfig()), overwrite=True)


DYING_ON_A_PAGE = """
import os, signal
import pipeline.segment.stage as segmenting
original = segmenting.cut_pages
def cut_pages(pages, *rest):
    if any("deadly" in page.text for page in pages):
        os.kill(os.getpid(), signal.SIGSEGV)
    return original(pages, *rest)
segmenting.cut_pages = cut_pages
"""


def test_page_that_kills_its_worker_is_left_out_alone_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [page(1, "A"), page(2, "B"), page(3, "C", text="A deadly text."), page(4, "D")]
    segment(tmp_path, [pages])
    monkeypatch.setattr(guards, "_COMMAND", DYING_ON_A_PAGE + guards._COMMAND)
    job = open_job(Job(SEGMENT, str(tmp_path), SegmentConfig()), overwrite=True)
    [phase] = SEGMENT.phases
    [task] = tasks_of_phase(job, phase, {})
    note = Path(job.state_path("running", "00000"))
    with crash_notes(str(note)) as notes:
        notes.note(0)  # the batch in which an attempt was killed
        left_behind = note.read_bytes()
    note.write_bytes(left_behind)
    summary = finish_job(job, {"segment": [run_task(job, phase, task)]})
    assert [row["node_id"] for row in read_rows(tmp_path / "segments")] == [0, 1, 3]
    assert (summary["documents"], summary["crashed"]) == (4, 1)
    assert summary["warnings"][0].startswith("1 of 4 documents left out")
    assert not note.exists()
