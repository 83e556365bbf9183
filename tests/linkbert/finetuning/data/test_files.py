"""Which file is which split, and what text, JSON and tables are read from one."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linkbert.finetuning.data.files import (
    find_files,
    is_json,
    json_values,
    read_table,
    read_text,
    split_of,
)
from schemas.errors import SchemaError


def folder_of(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).write_text("")
    return root


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("train.tsv", "dev.tsv"), {"dev": "dev.tsv"}),
        (("train-v1.1.json", "dev-v1.1.json", "README.md"), {"dev": "dev-v1.1.json"}),
        (("eng.train", "eng.testa", "eng.testb"), {"dev": "eng.testa", "test": "eng.testb"}),
        (
            ("train.tsv", "dev_matched.tsv", "dev_mismatched.tsv", "diagnostic.tsv",
             "diagnostic-full.tsv", "test_matched.tsv", "test_mismatched.tsv"),
            {"dev": "dev_matched.tsv", "dev_mismatched": "dev_mismatched.tsv",
             "diagnostic": "diagnostic.tsv", "diagnostic_full": "diagnostic-full.tsv",
             "test": "test_matched.tsv", "test_mismatched": "test_mismatched.tsv"},
        ),
        # MRPC and BioBERT's folders hold more than the splits.
        (("train.tsv", "dev.tsv", "dev_ids.tsv", "train_dev.tsv"), {"dev": "dev.tsv"}),
        (("training.csv", "validation.csv.gz"), {"dev": "validation.csv.gz"}),
        (("train.tsv", "train.tsv~", ".dev.tsv.swp", "dev.tsv", "dev.tsv.md5"), {"dev": "dev.tsv"}),
        # Universal Dependencies'.
        (("x-train.conllu", "x-train.txt", "x-dev.conllu", "x-dev.txt"), {"dev": "x-dev.conllu"}),
    ],
)  # fmt: skip
def test_a_folder_tells_its_splits_by_names(
    names: tuple[str, ...], expected: dict[str, str], tmp_path: Path
) -> None:
    found = find_files([folder_of(tmp_path, *names)])
    assert found.train.name == names[0] or found.train.name == "train.tsv"
    assert {split: path.name for split, path in found.held_out.items()} == expected
    assert next(iter(found.held_out)) == "dev"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("train.tsv",), "one file named dev... .* found none"),
        (("train.tsv", "snli_train.txt", "dev.tsv", "x_dev.tsv", "y-dev.tsv"), None),
        (("a_train.tsv", "b_train.tsv", "dev.tsv"), "found a_train.tsv, b_train.tsv"),
        (("train.tsv", "dev.tsv", "test_1.tsv", "test_2.tsv"), "one file named test"),
    ],
)
def test_a_folder_that_leaves_it_open_is_refused(
    names: tuple[str, ...], said: str | None, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, *names)
    if said is None:
        assert find_files([folder]).train.name == "train.tsv"
        return
    with pytest.raises(SchemaError, match=said):
        find_files([folder])


def test_files_are_taken_in_the_order_they_are_named(tmp_path: Path) -> None:
    names = ("a.json", "b.json", "c.json", "dev_mismatched.json")
    folder = folder_of(tmp_path, *names)
    found = find_files([folder / name for name in names])
    assert found.train.name == "a.json"
    assert [(split, path.name) for split, path in found.held_out.items()] == [
        ("dev", "b.json"), ("test", "c.json"), ("dev_mismatched", "dev_mismatched.json"),
    ]  # fmt: skip
    with pytest.raises(SchemaError, match="found none at"):
        find_files([folder / "a.json", folder / "absent.json"])
    with pytest.raises(SchemaError, match="one file per split"):
        find_files([folder / name for name in (*names, "dev_mismatched.json")])
    with pytest.raises(SchemaError, match="expected a folder, or the files"):
        find_files([folder / "a.json"])


def test_text_is_read_from_plain_and_compressed_files(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress("\ufeffone\r\ntwo".encode()))
    assert read_text(tmp_path / "a.gz") == "one\r\ntwo"
    (tmp_path / "b").write_bytes("zwölf".encode("latin-1"))
    with pytest.raises(SchemaError, match=r"UTF-8 in .*b, found"):
        read_text(tmp_path / "b")
    (tmp_path / "c.gz").write_bytes(b"plain")
    with pytest.raises(SchemaError, match=r"c\.gz"):
        read_text(tmp_path / "c.gz")


ROWS = [{"a": 1, "text": "U+2028 \u2028 and U+0085 \x85 end no line"}, {"a": 2, "text": ""}]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS),
        "\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\n\n",
        json.dumps(ROWS),
        json.dumps(ROWS, indent=1) + "\n",
        json.dumps({"version": "1", "data": ROWS}),
    ],
)
def test_every_form_of_json_gives_the_same_objects(text: str, tmp_path: Path) -> None:
    (tmp_path / "rows").write_text(text, encoding="utf-8")
    assert is_json(tmp_path / "rows")
    assert list(json_values(tmp_path / "rows")) == ROWS


def test_parquet_gives_the_same_objects(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "train-00000-of-00001.parquet")
    [path] = tmp_path.iterdir()
    assert split_of(path) == "train"
    assert is_json(path)
    assert list(json_values(path)) == ROWS
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(SchemaError, match=r"expected a Parquet file in .*train-00000"):
        list(json_values(path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1}\n{"a": \n', "in line 2 of .*x.jsonl, found"),
        ('{"a": 1}\n7\n', "object in line 2"),
        ("[1, 2]", "value 1, found '1'"),
        ("", "expected JSON in .*x.jsonl"),
        ("[" * 100_000, "expected JSON in"),
    ],
)
def test_damaged_json_is_told_by_its_place(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(text)
    with pytest.raises(SchemaError, match=said):
        list(json_values(tmp_path / "x.jsonl"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[ O\nrome B\n", False),
        ("{ O\nrome B\n", False),
        ('{"tokens": []}\n', True),
        ("[\n 1]", True),
        ("word tag", False),
    ],
)
def test_a_table_that_begins_with_a_bracket_is_no_json(
    text: str, expected: bool, tmp_path: Path
) -> None:
    (tmp_path / "x.txt").write_text(text)
    assert is_json(tmp_path / "x.txt") == expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", 't,l\n"one, ""two""\nthree",x\n', [["t", "l"], ['one, "two"\nthree', "x"]]),
        ("a.csv", "text;label\r\na, b;x\r\n", [["text", "label"], ["a, b", "x"]]),
        ("a.csv", "text\tlabel\na, b\tx\n", [["text", "label"], ["a, b", "x"]]),
        # A lone mark is a character; GLUE's files are full of them.
        ("a.tsv", 'text\tlabel\n" he said\tx\n', [["text", "label"], ['" he said', "x"]]),
        ("a.tsv", 'text\tlabel\n"a\tb"\tx\n', [["text", "label"], ["a\tb", "x"]]),
        ("a.tsv", 't\tl\n"one\t1\ntwo"\t0\n', [["t", "l"], ['"one', "1"], ['two"', "0"]]),
        ("a.csv", "t,l\n" + "x" * 200_000 + ",1\n", [["t", "l"], ["x" * 200_000, "1"]]),
    ],
)  # fmt: skip
def test_tables_are_read_with_and_without_quotation_marks(
    name: str, text: str, expected: list[list[str]], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text, newline="")
    assert read_table(tmp_path / name) == expected


def test_quotation_marks_of_glue_stay(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('text\tlabel\n"whole"\tx\n')
    assert read_table(tmp_path / "a.tsv", is_quoted=False)[1] == ['"whole"', "x"]
    assert read_table(tmp_path / "a.tsv")[1] == ["whole", "x"]
