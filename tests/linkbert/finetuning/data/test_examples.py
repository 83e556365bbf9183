"""Columns and labels of any table and of GLUE's own."""

import json
from pathlib import Path
from typing import Any

import pytest

from linkbert.finetuning.data.examples import (
    CLASS,
    SEVERAL,
    TASKS,
    ExampleFile,
    metrics_of,
    read_examples,
    task_of,
)
from linkbert.finetuning.options import FinetuneOptions
from schemas.errors import ConfigError, SchemaError

DEFAULT = FinetuneOptions()


def read(
    path: Path, text: str, *, is_test: bool = False, task: str | None = None, **options: Any
) -> ExampleFile:
    path.write_text(text, encoding="utf-8")
    given = FinetuneOptions(**options)
    return read_examples(path, task_of(task, path, given), given, is_test=is_test)


def lines(*rows: dict[str, Any]) -> str:
    return "\n".join(json.dumps(row) for row in rows)


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("x.csv", "Review,Rating\ngood,5\nbad,1\n",
         {"text_columns": ("Review",), "label_columns": ("Rating",)}),
        ("x.csv", "text,label\ngood,5\nbad,1\n", {}),
        ("x.csv", " text , target \ngood,5.0\nbad,1.0\n", {}),
        ("x.json", '{"data": [{"text": "good", "label": 5.0}, {"text": "bad", "label": 1}]}', {}),
        ("x.tsv", "id\tSentence\tLABEL\n0\tgood\t5\n1\tbad\t1\n", {}),
        ("x.csv", "5,good\n1,bad\n", {"text_columns": ("2",), "label_columns": ("1",)}),
        ("x.jsonl", lines({"text": "good", "label": 5}, {"text": "bad", "label": 1}), {}),
        ("x.json", json.dumps([{"t": "good", "y": "5"}, {"t": "bad", "y": "1"}]),
         {"text_columns": ("t",), "label_columns": ("y",)}),
    ],
)  # fmt: skip
def test_columns_of_any_name_and_form(
    name: str, text: str, options: dict[str, Any], tmp_path: Path
) -> None:
    found = read(tmp_path / name, text, **options)
    assert [(each.texts, each.labels) for each in found.examples] == [
        (("good",), ("5",)), (("bad",), ("1",)),
    ]  # fmt: skip
    assert found.kind == CLASS
    assert [each.row_id for each in found.examples] == ["0", "1"]


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        (lines({"text": "a", "label": [0, 1, 1]}, {"text": "b", "label": [0, 0, 0]}), {},
         [("1", "2"), ()]),
        (lines({"text": "a", "labels": ["x", "y"]}, {"text": "b", "labels": []}), {},
         [("x", "y"), ()]),
        (lines({"text": "a", "labels": [27]}, {"text": "b", "labels": [0, 1]}), {},
         [("27",), ("0", "1")]),
        ("text,labels\na,\"['x', 'y']\"\nb,[]\n", {}, [("x", "y"), ()]),
        ("text,label\na,x|y\nb,\n", {"label_separator": "|"}, [("x", "y"), ()]),
        ("text,toxic,rude\na,1,0\nb,0,0\nc,1.0,True\n", {"label_columns": ("toxic", "rude")},
         [("toxic",), (), ("toxic", "rude")]),
    ],
)  # fmt: skip
def test_several_labels_in_every_form(
    text: str, options: dict[str, Any], expected: list[tuple[str, ...]], tmp_path: Path
) -> None:
    found = read(tmp_path / ("x.jsonl" if text[0] == "{" else "x.csv"), text, **options)
    assert found.kind == SEVERAL
    assert [each.labels for each in found.examples] == expected


@pytest.mark.parametrize(
    ("header", "labels", "kept"),
    [
        # SNLI's and MultiNLI's own files, GLUE's form and numbers.
        ("gold_label\tsentence1\tsentence2", ["-\ta\tb", "neutral\ta\tb"], 1),
        ("premise\thypothesis\tlabel", ["a\tb\t-", "a\tb\tneutral"], 1),
        ("premise\thypothesis\tlabel", ["a\tb\t-1", "a\tb\t0"], 1),
        # A sentiment may well be called minus, or -1.
        ("text\tlabel", ["a\t-", "b\t+"], 2),
        ("text\tlabel", ["a\t-1", "b\t1"], 2),
        ("text\tlabel", ["a\t", "b\t1"], 1),
        ("text\tlabel", ["a\t", "b\t1.0"], 1),
    ],
)
def test_rows_without_a_gold_label_are_left_out_and_counted(
    header: str, labels: list[str], kept: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = read(tmp_path / "x.tsv", "\n".join([header, *labels]))
    assert len(found.examples) == kept
    assert found.num_unlabelled == len(labels) - kept
    assert ("they have no label" in caplog.text) == (kept < len(labels))
    assert ("num_unlabelled" in found.counts) == (kept < len(labels))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.csv", "index,text\n7,a\n"),
        ("x.csv", "index,text,label\n7,a,-1\n"),
        ("x.jsonl", lines({"idx": 7, "text": "a", "label": -1})),
        ("x.jsonl", lines({"id": 7, "text": "a"})),
    ],
)
def test_a_test_file_may_keep_its_labels_back(name: str, text: str, tmp_path: Path) -> None:
    found = read(tmp_path / name, text, is_test=True)
    assert [(each.labels, each.row_id) for each in found.examples] == [(None, "7")]


def test_colas_test_file_alone_has_a_header(tmp_path: Path) -> None:
    trained = read(tmp_path / "train.tsv", "gj04\t1\t\tThe sailors rode.\n", task="cola")
    assert trained.examples[0].texts == ("The sailors rode.",)
    assert trained.examples[0].labels == ("1",)
    tested = read(tmp_path / "t.tsv", "index\tsentence\n3\tBill fell.\n", task="cola", is_test=True)
    assert [(each.texts, each.row_id) for each in tested.examples] == [(("Bill fell.",), "3")]


@pytest.mark.parametrize(
    ("name", "text", "task", "said"),
    [
        ("x.tsv", "sentence\twrong\nx\t1\n", "sst-2", "'label'"),
        ("x.tsv", "a\tb\n", "cola", "at least 4 columns"),
        ("x.tsv", "sentence1\tsentence2\tscore\na\tb\t1.0\na\tb\tx\n", "sts-b", "score in row 2"),
        ("x.tsv", "sentence1\tsentence2\tscore\na\tb\t1.0\na\tb\tnan\n", "sts-b", "score in row 2"),
        ("x.csv", "a,b\n1,2\n", None, "of a text, such as 'sentence'"),
        ("x.csv", "text,b\n1,2\n", None, "'label' in .* found text, b: name the right --task"),
        ("x.jsonl", lines({"text": "a", "label": 1}, {"text": "b"}), None, "'label' in object 2"),
        ("x.tsv", "sentence\tlabel\n", "sst-2", "expected rows, found none"),
        ("x.csv", "text,text,label\na,b,c\n", None, "one column 'text'"),
        ("x.json", json.dumps({"text": ["a", "b"], "label": [0, 1]}), None, "single text as 'te"),
        ("x.tsv", "", None, "of a text"),
    ],
)  # fmt: skip
def test_bad_data_is_told_with_its_place(
    name: str, text: str, task: str | None, said: str, tmp_path: Path
) -> None:
    with pytest.raises(SchemaError, match=said):
        read(tmp_path / name, text, task=task)


def test_a_few_rows_without_all_columns_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = ["id\tquestion1\tquestion2\tis_duplicate", *["1\ta\tb\t0"] * 199, "2\ta"]
    (tmp_path / "train.tsv").write_text("\n".join(rows))
    found = read_examples(tmp_path / "train.tsv", TASKS["qqp"], DEFAULT)
    assert found.counts == {"num_examples": 199, "num_short": 1}
    assert len(found.examples) == 199
    assert "1 rows" in caplog.text
    (tmp_path / "train.tsv").write_text("\n".join([*rows[:90], "2\ta"]))
    with pytest.raises(SchemaError, match="found 2 in row 90"):
        read_examples(tmp_path / "train.tsv", TASKS["qqp"], DEFAULT)


def test_a_folder_names_its_task_unless_columns_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "RTE"
    folder.mkdir()
    assert task_of(None, folder, DEFAULT).name == "rte"
    assert task_of(None, folder / "train.tsv", DEFAULT).name == "rte"
    assert task_of("QNLI", folder, DEFAULT).name == "qnli"
    own = task_of(None, folder, FinetuneOptions(text_columns=("a",)))
    assert (own.name, own.texts) == ("classify", ("a",))
    assert task_of(None, tmp_path, DEFAULT).name == "classify"
    with pytest.raises(ConfigError, match="expected --task to be one of"):
        task_of("x", tmp_path, DEFAULT)


def test_what_is_told_first_chooses() -> None:
    classify = task_of(None, Path("x"), FinetuneOptions(label_kind="class"))
    assert metrics_of(classify, DEFAULT) == ("accuracy", "macro_f1", "micro_f1")
    assert metrics_of(classify, FinetuneOptions(metric="f1"))[0] == "f1"
    assert metrics_of(classify, FinetuneOptions(negative_label="0"))[0] == "micro_f1"
    assert metrics_of(TASKS["mrpc"], DEFAULT) == ("f1", "accuracy")


@pytest.mark.parametrize("task", ["SST-2", "CoLA", "MRPC", "STS-B"])
def test_the_real_files_are_read_whole(task: str, shared_data: Path) -> None:
    sizes = {"SST-2": 872, "CoLA": 1043, "MRPC": 408, "STS-B": 1500}
    path = shared_data / "glue" / task / "dev.tsv.xz"
    assert len(read_examples(path, TASKS[task.lower()], DEFAULT).examples) == sizes[task]
