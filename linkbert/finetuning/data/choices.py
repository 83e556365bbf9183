"""Questions with options, one of them right, in the formats of SWAG, MedQA, MMLU, ARC and RACE."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linkbert.finetuning.data.files import is_json, json_values, read_table
from schemas.errors import SchemaError

_LEAST_COLUMNS = 4
"""A table has at least the question, two options, and the letter of the right one."""
_KEPT_BACK = (None, "", -1, "-1")
_LETTERS = "ABCDEFGHIJ"
_RIGHT_KEYS = ("answer_idx", "answerKey", "answerkey", "answer", "label")
_PASSAGE_KEYS = ("article", "context", "passage")


@dataclass(frozen=True, slots=True)
class Choice:
    """A question with its options.

    Attributes:
        choice_id: its id in the file, else its number from 0.
        question: its text.
        options: the texts to choose from.
        right: the number of the right option, None if it is kept back.
    """

    choice_id: str
    question: str
    options: tuple[str, ...]
    right: int | None


def read_choices(path: Path) -> list[Choice]:
    """Read questions with options, recognising the format by its content.

    Objects, or rows below a header, have the keys of the released LinkBERT repository and SWAG
    (sent1, sent2, ending0 and so on, label), of MedQA (question, options by letter, answer_idx), of
    MMLU (question, choices, answer; or columns A to D), of ARC (choices with text and label,
    answerKey) or of RACE (article, question, options, answer). A table without a header is MMLU's:
    question, options, and the letter of the right one.

    Raises:
        SchemaError: a question has another format, or not as many options as the first.
    """
    found: list[Choice] = []
    for number, row in enumerate(_rows_of(path)):
        try:
            each = _from_table(row, number) if isinstance(row, list) else _from_object(row, number)
            if len(each.options) < 2:
                raise ValueError(f"{len(each.options)} options")
            if each.right is not None and not 0 <= each.right < len(each.options):
                raise ValueError(f"no option number {each.right}")
        except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
            raise SchemaError(
                f"expected a question with options in row {number + 1} of {path}, found {error!r}"
            ) from error
        if found and len(each.options) != len(found[0].options):
            raise SchemaError(
                f"expected {len(found[0].options)} options in row {number + 1} of {path}, found "
                f"{len(each.options)}"
            )
        found.append(each)
    if not found:
        raise SchemaError(f"expected questions with options, found none in {path}")
    return found


def _rows_of(path: Path) -> Iterator[Any]:
    """Yield objects, or the rows of a table: as objects too if it has a header."""
    if is_json(path):
        yield from json_values(path)
        return
    table = read_table(path)
    names = [name.strip() for name in table[0]] if table else []
    if not {"question", "sent1"} & {name.lower() for name in names}:
        yield from table
        return
    names = [name.lower() if len(name) > 1 else name for name in names]
    for row in table[1:]:
        yield dict(zip(names, row, strict=True))


def _from_object(row: dict[str, Any], number: int) -> Choice:
    name, question = str(row.get("id", number)), row.get("question")
    if "ending0" in row:
        endings = [row[f"ending{n}"] for n in range(len(row)) if f"ending{n}" in row]
        options = tuple(f"{row.get('sent2') or ''} {ending}".strip() for ending in endings)
        return Choice(name, row["sent1"], options, _right(row.get("label"), options, ()))
    if isinstance(question, dict):  # the released files of ARC
        row, question = row | question, question["stem"]
    letters = tuple(letter for letter in _LETTERS if letter in row)
    given = row.get("choices", row.get("options")) or {letter: row[letter] for letter in letters}
    options, labels = _options_of(given)
    told = next((row[key] for key in _RIGHT_KEYS if row.get(key) not in _KEPT_BACK), None)
    right = _right(told, options, labels)
    passage = next((row[key] for key in _PASSAGE_KEYS if row.get(key)), None)
    if passage is None:
        return Choice(name, str(question), options, right)
    asked = tuple(f"{question} {option}" for option in options)
    return Choice(name, str(passage), asked, right)


def _options_of(given: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the texts of options and their labels in the file, if it has labels.

    >>> _options_of({"B": "no", "A": "yes"})
    (('yes', 'no'), ('A', 'B'))
    >>> _options_of({"text": ["yes", "no"], "label": ["1", "2"]})
    (('yes', 'no'), ('1', '2'))
    >>> _options_of([{"label": "A", "text": "yes"}])
    (('yes',), ('A',))
    """
    if isinstance(given, dict) and isinstance(given.get("text"), list):
        return tuple(map(str, given["text"])), tuple(map(str, given["label"]))
    if isinstance(given, dict):
        labels = tuple(sorted(given))
        return tuple(str(given[label]) for label in labels), labels
    if given and isinstance(given[0], dict):
        pairs = [(each.get("text", each.get("value")), each.get("label", each.get("key")))
                 for each in given]  # fmt: skip
        return tuple(str(text) for text, _ in pairs), tuple(str(label) for _, label in pairs)
    return tuple(map(str, given)), ()


def _from_table(row: list[str], number: int) -> Choice:
    if len(row) < _LEAST_COLUMNS:
        raise ValueError(f"{len(row)} columns")
    options = tuple(row[1:-1])
    return Choice(str(number), row[0], options, _right(row[-1], options, ()))


def _right(told: Any, options: Sequence[str], labels: Sequence[str]) -> int | None:
    """Return the number of the right option, None if it is kept back.

    Args:
        told: its label in the file, its number from 0, its letter, or its text.
        options: their texts.
        labels: their labels in the file, if it has labels.

    >>> [_right(told, "wxyz", ()) for told in ("C", 2, "y", -1)]
    [2, 2, 2, None]
    >>> _right("2", "wxyz", "1234")
    1
    """
    if told in _KEPT_BACK:
        return None
    text = str(told).strip()
    if text in labels:
        return list(labels).index(text)
    if text.isdecimal() and not labels:
        return int(text)
    if len(text) == 1 and text.upper() in _LETTERS[: len(options)]:
        return _LETTERS.index(text.upper())
    if text in options:
        return list(options).index(text)
    raise ValueError(f"no option {text[:40]!r}")
