"""Tagged sentences, from CoNLL columns, CoNLL-U or JSON."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from linkbert.finetuning.data.files import is_json, json_values, read_text
from linkbert.finetuning.metrics import are_entity_tags
from schemas.errors import SchemaError

logger = logging.getLogger(__name__)

_COLUMN = re.compile(r"[^ \t]+")
_WORD_KEYS = ("tokens", "words")
_TAG_KEYS = ("ner_tags", "tags", "labels", "pos_tags", "chunk_tags")

_HEADINGS = {"bio", "iob", "label", "labels", "ner", "ner_tag", "ner_tags", "tag", "tags"}
"""Names of the last column in a first line of headings."""

_CONLLU_COLUMNS = 10
_CONLLU_WORD, _CONLLU_TAG = 1, 3
"""FORM and UPOS (universaldependencies.org/format.html)."""
_CONLLU_ID = re.compile(r"\d+")
_CONLLU_IDS = re.compile(r"\d+([-.]\d+)?")
"""Ids of words alone; ids of words, of contracted words and of empty nodes."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words and as many tags."""

    words: list[str]
    tags: list[str]


def read_sentences(path: Path) -> list[Sentence]:
    """Read tagged sentences, recognising the format by its content.

    CoNLL columns have the word first and its tag last, separated by tabs if every line has one and
    by blanks if not, with an empty line between sentences; a line of headings, -DOCSTART- lines and
    metadata ("# id 7") are left out. CoNLL-U yields words with their universal parts of speech.
    JSON objects have `tokens` and `ner_tags`.

    Raises:
        SchemaError: the file has another format, or no sentences.
    """
    sentences = list(_from_json(path) if is_json(path) else _from_columns(path))
    if not sentences:
        raise SchemaError(f"expected sentences, found none in {path}")
    return sentences


def _from_json(path: Path) -> Iterator[Sentence]:
    for number, row in enumerate(json_values(path), 1):
        words = next((row[key] for key in _WORD_KEYS if key in row), None)
        tags = next((row[key] for key in _TAG_KEYS if key in row), None)
        if not isinstance(words, list) or not isinstance(tags, list) or len(words) != len(tags):
            raise SchemaError(
                f"expected {' or '.join(_WORD_KEYS)} and as many {' or '.join(_TAG_KEYS)} in "
                f"object {number} of {path}, found {', '.join(row) or 'nothing'}"
            )
        if words:
            yield Sentence([str(word) for word in words], [str(tag) for tag in tags])


def _from_columns(path: Path) -> Iterator[Sentence]:
    # Only a line feed ends a line: words may contain other line separators of Unicode.
    lines = [line.rstrip("\r") for line in read_text(path).split("\n")]
    words_of = _conllu_words if _is_conllu(lines) else _conll_words
    tagged: list[tuple[str, str]] = []
    for each in (*words_of(lines, path), None):
        if each is not None:
            tagged.append(each)
        elif tagged:
            yield Sentence([word for word, _ in tagged], [tag for _, tag in tagged])
            tagged = []


def _conll_words(lines: Sequence[str], path: Path) -> Iterator[tuple[str, str] | None]:
    """Yield words with their tags, and None between sentences."""
    rows = _columns(lines)
    plain = [row for row in rows if row and not row[0].startswith("#") and row[0] != "-DOCSTART-"]
    heading = plain[0] if plain and plain[0][-1].lower() in _HEADINGS else None
    plain = plain[heading is not None :]
    _check_columns(rows, plain, path)
    width, tags = len(plain[0]) if plain else 0, {row[-1] for row in plain}
    num_metadata = 0
    for number, row in enumerate(rows, 1):
        if not row or row[0] == "-DOCSTART-":
            yield None
        elif row is heading or _is_metadata(row, width, tags):
            num_metadata += 1
        elif len(row) == 1:
            raise SchemaError(
                f"expected a word and its tag in line {number} of {path}, found {row[0]!r}"
            )
        else:
            yield row[0], row[-1]
    if num_metadata:
        logger.info("%d lines of metadata in %s were left out", num_metadata, path)


def _columns(lines: Sequence[str]) -> list[list[str]]:
    """Return the columns of each line; a blank line has none."""
    told = [line for line in lines if line.strip() and not line.startswith(("#", "-DOCSTART-"))]
    if told and all("\t" in line.strip() for line in told):  # then a word may contain blanks
        known = set(told)
        return [
            [part for each in line.split("\t") if (part := each.strip(" "))]
            if line in known
            else _COLUMN.findall(line)
            for line in lines
        ]
    # Only ASCII blanks separate columns: words may contain other blanks of Unicode.
    return [_COLUMN.findall(line) for line in lines]


def _check_columns(rows: Sequence[list[str]], plain: Sequence[list[str]], path: Path) -> None:
    """Refuse lines that do not have the word first and its tag last.

    Raises:
        SchemaError: they are CoNLL-2012's, begin with word numbers, or hold a sentence each.
    """
    numbers = [row[0] for row in rows if row and not row[0].startswith("#")]
    found = None
    if any(row[:2] == ["#begin", "document"] for row in rows):
        found = "CoNLL-2012"
    elif len(numbers) > 1 and all(number.isdecimal() for number in numbers) and numbers[0] == "1":
        found = "numbers of words"
    elif len({len(row) for row in plain}) > 1 and not are_entity_tags({row[-1] for row in plain}):
        odd = next(row for row in plain if len(row) != len(plain[0]))
        found = f"{len(plain[0])} columns in the first and {len(odd)} in {' '.join(odd)[:40]!r}"
    if found is not None:
        raise SchemaError(
            f"expected the word first and its tag last in each line of {path}, found {found}: "
            "convert it to JSON lines of tokens and ner_tags"
        )


def _is_metadata(row: Sequence[str], width: int, tags: set[str]) -> bool:
    """Tell whether a line begins with # and is not a word: it has other columns, or no tag.

    >>> rows = ["# id 7 en".split(), "# O".split(), "#rome B".split(), "# text = x".split()]
    >>> [_is_metadata(row, 2, {"O"}) for row in rows]
    [True, False, False, True]
    """
    is_other = len(row) != width or (row[0] == "#" and row[-1] not in tags)
    return row[0].startswith("#") and is_other


def _conllu_words(lines: Sequence[str], _path: Path) -> Iterator[tuple[str, str] | None]:
    for line in lines:
        row = line.split("\t")
        if not line.strip():
            yield None
        elif _CONLLU_ID.fullmatch(row[0]):
            yield row[_CONLLU_WORD], row[_CONLLU_TAG]


def _is_conllu(lines: Sequence[str]) -> bool:
    rows = [line.split("\t") for line in lines if line.strip() and not line.startswith("#")]
    return bool(rows) and all(
        len(row) == _CONLLU_COLUMNS and _CONLLU_IDS.fullmatch(row[0]) for row in rows
    )
