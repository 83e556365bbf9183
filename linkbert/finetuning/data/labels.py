"""The labels of rows, however a file spells them: one class, any number of labels, or a score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from linkbert.finetuning.data.files import plain_value, spelled_lists

CLASS, SEVERAL, SCORE = "class", "several", "score"


def labels_of(
    rows: Sequence[dict[str, Any]], columns: tuple[str, ...], kind: str, separator: str | None
) -> tuple[str, list[tuple[str, ...] | None]]:
    """Return the kind of the labels, and the labels of each row."""
    if len(columns) > 1:
        return SEVERAL, [tuple(name for name in columns if _is_set(row[name])) for row in rows]
    if not columns:
        return kind, [None] * len(rows)
    values = [plain_value(row[columns[0]]) for row in rows]
    if separator:
        return SEVERAL, [_parted(str(value), separator) for value in values]
    if kind in ("auto", SEVERAL):
        values = spelled_lists(values)
    if any(isinstance(value, list) for value in values):
        return SEVERAL, _listed(values)
    labels = ["" if value is None else str(value).strip() for value in values]
    if kind == "auto":
        kind = SCORE if _are_scores(labels) else CLASS
    return kind, [(label,) for label in labels]


def _is_set(value: Any) -> bool:
    return str(value).strip().lower() in ("1", "1.0", "true", "yes")


def _parted(value: str, separator: str) -> tuple[str, ...]:
    return tuple(label for each in value.split(separator) if (label := each.strip()))


def _listed(values: Sequence[Any]) -> list[tuple[str, ...] | None]:
    """Return the labels of lists: their names, or the positions of the ones among zeros."""
    lists = [value if isinstance(value, list) else [value] for value in values]
    has_places = len({len(each) for each in lists}) == 1 and len(lists[0]) > 1
    if has_places and all(label in (0, 1) for each in lists for label in each):
        return [tuple(str(n) for n, is_set in enumerate(each) if is_set) for each in lists]
    return [tuple(str(label) for label in each) for each in lists]


def _are_scores(labels: Sequence[str]) -> bool:
    """Tell whether all labels are numbers, some of them with a fraction.

    >>> _are_scores(["0.5", "2"]), _are_scores(["0", "1.0"]), _are_scores(["0.5", "x"])
    (True, False, False)
    """
    try:
        numbers = [float(label) for label in labels if label]
    except ValueError:
        return False
    return any(number % 1 for number in numbers)
