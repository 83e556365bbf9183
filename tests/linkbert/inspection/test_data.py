"""`show` for programs: JSON of what lies there, and every pair as a line of text."""

import json
import shutil
from pathlib import Path

import pytest

from linkbert.cli.commands import main
from linkbert.inspection.data import pair_lines, show_data
from linkbert.inspection.show import show
from pipeline.engine.stage import Job
from pipeline.sample.config import SampleConfig
from pipeline.sample.stage import SAMPLE
from schemas.errors import GraphError, SchemaError
from schemas.parquet import TableWriter
from schemas.tables.instances import RELATIONS
from tests.pipeline.linked_corpus import make_corpus, read_rows
from tests.running import run_inline


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    corpus = make_corpus(root / "corpus", 60)
    config = SampleConfig(validation_fraction=0.3)
    run_inline(Job(SAMPLE, str(root / "shards"), config, (str(corpus),)))
    return root


def test_every_pair_is_a_line_with_titles_and_texts(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(made / "shards"), "--jsonl"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    titles = {row["node_id"]: row["title"] for row in read_rows(made / "corpus" / "nodes")}
    expected = [
        (split, RELATIONS[row["relation"]], titles[row["source_id"]], titles[row["target_id"]])
        for split in ("train", "validation", "validation_closed")
        for row in read_rows(made / "shards" / split)
    ]
    found = [(line["split"], line["relation"], line["title_a"], line["title_b"]) for line in lines]
    assert found == expected
    assert all(line["text_a"] and line["text_b"] for line in lines)


def test_pairs_without_their_corpus_have_texts_but_no_titles(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "shards", tmp_path / "shards")
    with_titles, without = (
        next(pair_lines(root / "shards" / "train")) for root in (made, tmp_path)
    )
    assert without == with_titles | {"title_a": None, "title_b": None}


def test_a_table_a_folder_and_a_page_are_plain_values(made: Path) -> None:
    nodes = made / "corpus" / "nodes"
    rows = read_rows(nodes)
    found = show_data(nodes, limit=2)
    assert found["rows"] == rows[:2]
    assert found["manifests"][str(nodes)]["rows_out"] == len(rows)
    assert show_data(next(nodes.glob("*.parquet")), limit=1)["rows"] == rows[:1]
    assert len(show_data(made / "corpus")["manifests"]) >= 6
    page = show_data(made / "corpus", page=rows[0]["title"])
    assert (page["title"], page["in_degree"]) == (rows[0]["title"], rows[0]["in_degree"])
    json.dumps([found, page])


def test_what_is_not_there_is_said(made: Path, tmp_path: Path) -> None:
    for name in ("mine.txt", "mine.parquet.txt"):
        (tmp_path / name).write_text("?")
        with pytest.raises(SchemaError, match="found the file"):
            show_data(tmp_path / name)
    with pytest.raises(SchemaError, match="found none at"):
        show_data(tmp_path)
    with pytest.raises(GraphError):
        show_data(made / "corpus", page="No such page")
    with pytest.raises(SchemaError, match="expected shards"):
        list(pair_lines(made / "corpus" / "nodes"))
    with pytest.raises(SchemaError, match="found neither in"):
        list(pair_lines(made / "corpus"))


def test_rejects_begin_with_how_many_there_are_of_each_reason(tmp_path: Path) -> None:
    part = tmp_path / "part-00000.parquet"
    row = {"source_path": "x", "offset": 1, "page_id": 1, "title": "T", "detail": "d"}
    with open(part, "wb") as file:
        writer = TableWriter(file, "rejects")
        reasons = ["deleted_text", "malformed_xml", "deleted_text"]
        columns = {name: [value] * 3 for name, value in row.items()}
        writer.write(columns | {"reason": reasons})
        writer.close()
    shown = show(part, limit=1)
    assert [" ".join(line.split()) for line in shown.splitlines()[:2]] == [
        "rejected: deleted_text 2",
        "rejected: malformed_xml 1",
    ]
