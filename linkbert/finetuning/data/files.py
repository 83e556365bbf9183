"""The files of a fine-tuning: which one is which split, and how text, JSON and tables are read.

In: a folder as it was distributed, or files named one by one. Out: one file per split, and their
rows. A text file may be plain, .gz or .xz; objects may also be rows of a Parquet file.
"""

from __future__ import annotations

import ast
import csv
import gzip
import io
import json
import lzma
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import SchemaError

TRAIN, DEV, TEST = "train", "dev", "test"

_MISMATCHED = "_mismatched"
_WORDS = {
    TRAIN: re.compile(r"train(ing)?\d*"),
    DEV: re.compile(r"(dev|devel|development|valid|validation|val|testa)\d*"),
    TEST: re.compile(r"(test|testb|testing)\d*"),
    "diagnostic": re.compile(r"diagnostics?"),
}
"""Words in a file's name that identify its split; CoNLL-2003 has testa and testb."""

_NO_DATA = (".bak", ".lock", ".md5", ".orig", ".rej", ".sha1", ".sha256", ".swp", ".tmp", "~")
"""Endings of files that editors, downloads and archives leave beside the data."""

_PARQUET = ".parquet"
_COMPRESSED = {".gz": gzip.open, ".xz": lzma.open}
_JSON_BEGINNINGS = ("{", "[")
_MAX_FIELD_CHARS = 2**31 - 1
"""The csv module's own limit is 131,072 characters per field."""


@dataclass(frozen=True, slots=True)
class DataFiles:
    """One file per split; `dev` chooses among settings, the others are only reported.

    Attributes:
        train: the training file.
        held_out: the other files by split: `dev` first, then whatever else there is
            (`dev_mismatched`, `test`, `test_mismatched`, `diagnostic`).
    """

    train: Path
    held_out: dict[str, Path]

    @property
    def by_split(self) -> dict[str, Path]:
        """Return all files by split, the training file first."""
        return {TRAIN: self.train, **self.held_out}

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return all files, the training file first."""
        return tuple(self.by_split.values())


def find_files(data: Sequence[Path]) -> DataFiles:
    """Find the file of each split.

    Args:
        data: a folder whose files have their split in their names (train, dev or valid, test,
            dev_matched and dev_mismatched, diagnostic); or the files TRAIN and DEV, in this
            order, and any further held-out files.

    Raises:
        SchemaError: a file is missing, or several files of the folder could be meant.
    """
    if len(data) > 1:
        return _named_files(data)
    if not data or not data[0].is_dir():
        raise SchemaError(
            "expected a folder, or the files TRAIN DEV and perhaps TEST, found "
            f"{', '.join(map(str, data)) or 'nothing'}"
        )
    found: dict[str, list[Path]] = {}
    for path in sorted(data[0].iterdir()):
        is_data = path.is_file() and path.name[0] != "." and not path.name.endswith(_NO_DATA)
        split = split_of(path) if is_data else None
        if split is not None:
            found.setdefault(split, []).append(path)
    for split, paths in found.items():
        found[split] = _preferred(paths, split)
    for split in (TRAIN, DEV, *found):
        if len(found.get(split, ())) != 1:
            names = ", ".join(path.name for path in found.get(split, ())) or "none"
            raise SchemaError(
                f"expected one file named {split}... in {data[0]}, found {names}: name the files "
                "TRAIN DEV (and TEST) instead of the folder"
            )
    held_out = {split: paths[0] for split, paths in sorted(found.items()) if split != TRAIN}
    return DataFiles(found[TRAIN][0], held_out)


def _preferred(paths: list[Path], split: str) -> list[Path]:
    """Return the files that are meant if a folder has several of a split."""
    # A name that is the split and nothing more (dev.tsv) wins over a longer one (dev_ids.tsv).
    found = [path for path in paths if path.name.lower().split(".")[0] == split] or paths
    # Universal Dependencies have each split twice: as a treebank and as bare text.
    treebanks = [path for path in found if path.suffix == ".conllu"]
    return treebanks if treebanks and len({path.stem for path in found}) == 1 else found


def _named_files(data: Sequence[Path]) -> DataFiles:
    for path in data:
        if not path.is_file():
            raise SchemaError(f"expected a file, found none at {path}")
    held_out = {DEV: data[1]}
    for path in data[2:]:
        split = split_of(path)
        if split in (None, TRAIN, DEV):
            split = TEST if TEST not in held_out else path.name.split(".")[0]
        if split in held_out:
            raise SchemaError(f"expected one file per split, found another {split} file at {path}")
        held_out[str(split)] = path
    return DataFiles(data[0], held_out)


def split_of(path: Path) -> str | None:
    """Return the split that a file's name indicates, None if it indicates none.

    >>> [split_of(Path(name)) for name in ("dev_mismatched.tsv", "eng.testb", "README.md")]
    ['dev_mismatched', 'test', None]
    """
    words = re.split(r"[._-]", path.name.lower())
    split = next(
        (split for word in words for split, form in _WORDS.items() if form.fullmatch(word)), None
    )
    if split == "diagnostic":
        return "diagnostic_full" if "full" in words else split
    return f"{split}{_MISMATCHED}" if split and "mismatched" in words else split


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    """Open a file as text. Only a line feed ends a line: JSON may contain other line separators."""
    opener: Any = _COMPRESSED.get(path.suffix, open)
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="\n") as file:
            yield file
    except (OSError, EOFError, UnicodeDecodeError, lzma.LZMAError) as error:
        raise SchemaError(f"expected text in UTF-8 in {path}, found {error}") from error


def read_text(path: Path) -> str:
    """Return the text of a plain, .gz or .xz file.

    Raises:
        SchemaError: it cannot be read, or is not UTF-8.
    """
    with _opened(path) as file:
        return str(file.read())


def is_json(path: Path) -> bool:
    """Tell whether a file holds JSON objects, by its name or by its first line."""
    if set(path.suffixes) & {".json", ".jsonl", _PARQUET}:
        return True
    with _opened(path) as file:
        first = next((line.strip() for line in file if line.strip()), "")
    if first in _JSON_BEGINNINGS:
        return True
    try:
        # The first cell of a table may begin with a bracket, too.
        return first.startswith(_JSON_BEGINNINGS) and isinstance(json.loads(first), dict | list)
    except (ValueError, RecursionError):
        return False


def json_values(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file: one per line, those of a list, or a single one.

    Lines are read one at a time, because the largest files are JSON lines. If an object has a list
    of objects as `data`, these are yielded instead. Rows of a Parquet file count as objects.

    Raises:
        SchemaError: it is not JSON, or holds something other than objects.
    """
    for value in _parquet_rows(path) if path.suffix == _PARQUET else _json_rows(path):
        inner = value.get("data")
        if isinstance(inner, list) and all(isinstance(each, dict) for each in inner):
            yield from inner
        else:
            yield value


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        told = str(error).splitlines()[0]
        raise SchemaError(f"expected a Parquet file in {path}, found {told}") from error


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    with _opened(path) as file:
        lines = enumerate(file, 1)
        number, first = next(((n, line) for n, line in lines if line.strip()), (1, ""))
        try:
            values = json.loads(first)
        except (ValueError, RecursionError):
            values = _parsed(first + file.read(), f"JSON in {path}")
        if isinstance(values, list):
            yield from (_object(value, f"{path}, value {n}") for n, value in enumerate(values, 1))
        else:
            yield _object(values, f"line {number} of {path}")
        for number, line in lines:
            if line.strip():
                where = f"line {number} of {path}"
                yield _object(_parsed(line, f"JSON in {where}"), where)


def _parsed(text: str, expected: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"expected {expected}, found {error}") from error


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SchemaError(f"expected a JSON object in {where}, found {str(value)[:40]!r}")
    return value


def read_table(path: Path, *, is_quoted: bool | None = None) -> list[list[str]]:
    """Read the rows of a CSV or TSV file, including a header if there is one.

    Args:
        path: the fields of a .csv file are separated by commas, semicolons or tabs, those of any
            other file by tabs.
        is_quoted: whether quotation marks enclose fields. None means always in .csv files, and in
            other files if every row then has as many columns as the first. GLUE's files have none.

    Raises:
        SchemaError: a quoted field has no end.
    """
    text = read_text(path)
    plain = [line.rstrip("\r").split("\t") for line in text.split("\n") if line.strip()]
    is_csv = ".csv" in path.suffixes
    if is_quoted is False or (not is_csv and '"' not in text):
        return plain
    delimiter = max(",;\t", key=text.partition("\n")[0].count) if is_csv else "\t"
    csv.field_size_limit(_MAX_FIELD_CHARS)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=not is_csv)
        quoted = [row for row in reader if row]
    except csv.Error as error:
        if is_csv:
            raise SchemaError(f"expected rows of a CSV file in {path}, found {error}") from error
        return plain
    return quoted if is_csv or _are_fields_quoted(quoted, plain) else plain


def _are_fields_quoted(quoted: list[list[str]], plain: list[list[str]]) -> bool:
    if len({len(row) for row in quoted}) != 1:
        return False
    # Two stray marks would join all rows between them: no row may vanish that way.
    return len(quoted) == len(plain) or len({len(row) for row in plain}) != 1


def plain_value(value: Any) -> Any:
    """Return a label without what tables of numbers add to it: 1.0 is 1, and NaN is no label.

    >>> [plain_value(value) for value in (1.0, "1.0", float("nan"), "4.5", "x")]
    [1, '1', None, '4.5', 'x']
    """
    if isinstance(value, float):
        return None if math.isnan(value) else int(value) if value.is_integer() else value
    is_whole = isinstance(value, str) and re.fullmatch(r"\s*-?\d+\.0+\s*", value)
    return value.strip().partition(".")[0] if is_whole else value


def spelled_lists(values: list[Any]) -> list[Any]:
    """Return lists of labels if every row of a table spells one out: "['x', 'y']".

    >>> spelled_lists(["['x', 'y']", "[]"]), spelled_lists(["[x]", "y"])
    ([['x', 'y'], []], ['[x]', 'y'])
    """
    try:
        found = [ast.literal_eval(value) for value in values]
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return values
    return found if all(isinstance(each, list) for each in found) else values
