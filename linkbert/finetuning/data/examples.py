"""Labelled sentences or sentence pairs, from GLUE's files or from any table or JSON.

In: CSV, TSV or JSON, whatever the columns are called. Out: examples, and what kind of labels they
have: one class each, any number of labels, or a score.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from linkbert.finetuning.data.files import is_json, json_values, read_table
from linkbert.finetuning.data.labels import CLASS, SCORE, SEVERAL, labels_of
from linkbert.finetuning.options import FinetuneOptions
from schemas.errors import ConfigError, SchemaError

logger = logging.getLogger(__name__)

_MOST_SHORT_ROWS = 0.01
"""Up to this share, rows that lack columns are left out, as in QQP; above it the task is wrong."""

_TEXT_COLUMNS = (
    ("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"),
    ("question", "sentence"), ("text1", "text2"), ("text_a", "text_b"), ("sentence",), ("text",),
    ("content",), ("review",), ("tweet",), ("document",),
)  # fmt: skip
"""Usual names of text columns, in lower case; the first names that a file has are used."""
_LABEL_COLUMNS = (
    "label", "labels", "gold_label", "class", "category", "score", "sentiment", "target",
)  # fmt: skip
_ID_COLUMNS = ("index", "id", "idx", "_id", "pairid")

_NLI_CLASSES = {"entailment", "neutral", "contradiction"}
_NO_GOLD = "-"
"""The label in SNLI and MultiNLI if the annotators did not agree."""
_UNLABELLED = (("",), ("-1",))
"""What every row of a test file has if the labels are kept back."""


@dataclass(frozen=True, slots=True)
class LabelTask:
    """Which columns hold what, and how predictions are scored.

    Attributes:
        name: a task of GLUE, or "classify".
        texts: the columns of the texts: names, or positions from 1 if the file has no header.
        labels: the column of the label; several columns hold a 0 or 1 for one label each.
        metrics: what is reported; the first one chooses among settings.
        kind: the kind of label; "auto" until the training data have shown it.
        submission: GLUE's name for the file of predictions.
    """

    name: str
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    metrics: tuple[str, ...] = ("accuracy",)
    kind: str = CLASS
    submission: str = ""

    @property
    def has_header(self) -> bool:
        """Tell whether columns are given by name."""
        names = (*self.texts, *self.labels)
        return not names or not all(each.isdigit() for each in names)


_PAIR, _LABEL = ("sentence1", "sentence2"), ("label",)
TASKS = {
    task.name: task
    for task in (
        LabelTask("cola", ("4",), ("2",), ("matthews",), submission="CoLA"),
        LabelTask("sst-2", ("sentence",), _LABEL, submission="SST-2"),
        LabelTask(
            "mrpc", ("#1 String", "#2 String"), ("Quality",), ("f1", "accuracy"), CLASS, "MRPC"
        ),
        LabelTask("sts-b", _PAIR, ("score",), ("spearman", "pearson"), SCORE, "STS-B"),
        LabelTask(
            "qqp", ("question1", "question2"), ("is_duplicate",), ("f1", "accuracy"), CLASS, "QQP"
        ),
        LabelTask("mnli", _PAIR, ("gold_label",), submission="MNLI"),
        LabelTask("qnli", ("question", "sentence"), _LABEL, submission="QNLI"),
        LabelTask("rte", _PAIR, _LABEL, submission="RTE"),
        LabelTask("wnli", _PAIR, _LABEL, submission="WNLI"),
    )
}
"""GLUE's tasks with the metrics of its leaderboard."""

_METRICS = {
    CLASS: ("accuracy", "macro_f1", "micro_f1"),
    SEVERAL: ("micro_f1", "macro_f1", "accuracy"),
    SCORE: ("spearman", "pearson"),
}
_FURTHER_METRICS = ("f1", "matthews")
"""Metrics of two classes, reported on request."""


@dataclass(frozen=True, slots=True)
class Example:
    """One or two texts and their label.

    Attributes:
        texts: one or two.
        labels: one class or score, or any number of labels; None if they are kept back.
        row_id: the row's id in the file, else its number from 0.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...] | None
    row_id: str


@dataclass(frozen=True, slots=True)
class ExampleFile:
    """What a file holds.

    Attributes:
        examples: the usable ones.
        num_short: rows left out because they lack columns.
        num_unlabelled: rows left out because they have no label.
        kind: the kind of its labels.
    """

    examples: list[Example]
    num_short: int
    num_unlabelled: int
    kind: str

    @property
    def counts(self) -> dict[str, int]:
        """Return the counts for the table of results."""
        found = {"num_examples": len(self.examples)}
        found |= {"num_short": self.num_short} if self.num_short else {}
        return found | ({"num_unlabelled": self.num_unlabelled} if self.num_unlabelled else {})


def task_of(name: str | None, data: Path, options: FinetuneOptions) -> LabelTask:
    """Return the task of this name, or of the data folder's name, with the columns asked for.

    In a folder whose name is not a task of GLUE, the task is a classification like any other.

    Raises:
        ConfigError: there is no task of this name.
    """
    if name is not None and name.lower() not in TASKS:
        raise ConfigError(f"expected --task to be one of {', '.join(TASKS)}, found {name!r}")
    folder = (data if data.is_dir() else data.parent).name.lower()
    wants_own = bool(options.text_columns or options.label_columns)
    found = TASKS.get((name or ("" if wants_own else folder)).lower())
    task = found or LabelTask("classify", (), (), (), "auto")
    if options.label_kind != "auto":
        task = replace(task, kind=options.label_kind, metrics=())
    if len(options.label_columns) > 1 or options.label_separator:
        task = replace(task, kind=SEVERAL, metrics=())
    return replace(
        task,
        texts=options.text_columns or task.texts,
        labels=options.label_columns or task.labels,
    )


def metrics_of(task: LabelTask, options: FinetuneOptions) -> tuple[str, ...]:
    """Return the metrics to report, the one that chooses among settings first."""
    if task.metrics:
        return task.metrics
    metrics = _METRICS[task.kind]
    if options.negative_label is not None:  # then accuracy says little
        metrics = _METRICS[SEVERAL]
    if task.kind == CLASS and options.metric in _FURTHER_METRICS:
        metrics = (options.metric, *metrics)
    return tuple(sorted(metrics, key=lambda name: name != options.metric))


def read_examples(
    path: Path, task: LabelTask, options: FinetuneOptions, *, is_test: bool = False
) -> ExampleFile:
    """Read a file of labelled texts.

    Rows without a label, as in SNLI and MultiNLI, and a few rows that lack columns, as in QQP, are
    left out, and a warning says how many.

    Args:
        path: a .csv file, a .tsv file or any other table with tabs, or JSON.
        task: which columns hold what.
        options: what separates several labels.
        is_test: whether the file may keep its labels back.

    Raises:
        SchemaError: a column is missing, a score is not a number, or there are no rows.
    """
    header, rows, num_short = _rows_of(path, task)
    texts = _text_columns(task, header, path, is_other=is_test)
    labels = _label_columns(task, header, path, is_test=is_test)
    twice = next((name for name in (*texts, *labels) if header.count(name) > 1), None)
    if twice is not None:
        raise SchemaError(f"expected one column {twice!r} in {path}, found several: rename one")
    _check_rows(rows, texts, labels, path)
    kind, values = labels_of(rows, labels, task.kind, options.label_separator)
    if is_test and all(value == () or value in _UNLABELLED for value in values):
        values = [None] * len(rows)
    row_id = next((name for name in header if name.lower() in _ID_COLUMNS), "")
    examples = [
        Example(tuple(_text(row, name) for name in texts), value, str(row.get(row_id, number)))
        for number, (row, value) in enumerate(zip(rows, values, strict=True))
    ]
    missing = _no_gold(texts, labels, {each for each in values if each})
    kept = [each for each in examples if each.labels not in missing]
    if len(kept) < len(rows):
        logger.warning(
            "%d rows of %s were left out: they have no label", len(rows) - len(kept), path
        )
    if not kept:
        raise SchemaError(f"expected rows, found none in {path}")
    if kind == SCORE:
        _check_scores(kept, path)
    return ExampleFile(kept, num_short, len(rows) - len(kept), kind)


def _rows_of(path: Path, task: LabelTask) -> tuple[list[str], list[dict[str, Any]], int]:
    """Return the columns, the rows that have all of them, and the number of rows that do not."""
    if is_json(path):
        objects = list(json_values(path))
        return list(objects[0]) if objects else [], objects, 0
    # In GLUE's files quotation marks are ordinary characters.
    table = read_table(path, is_quoted=False if task.submission else None)
    table = [[name.strip() for name in row] for row in table[:1]] + table[1:]
    # Of CoLA's files only the test file has a header.
    has_header = task.has_header or bool(table and _known_texts(table[0]))
    if has_header:
        header, table = (table[0] if table else []), table[1:]
        needed = [header.index(name) for name in (*task.texts, *task.labels) if name in header]
    else:
        needed = [int(name) - 1 for name in (*task.texts, *task.labels)]
        header = [str(place) for place in range(1, max(needed) + 2)]
    num_columns = max(needed, default=len(header) - 1) + 1
    whole = [dict(zip(header, row, strict=False)) for row in table if len(row) >= num_columns]
    _check_short(table, num_columns, path)
    return header, whole, len(table) - len(whole)


def _check_short(table: list[list[str]], num_columns: int, path: Path) -> None:
    short = [place for place, row in enumerate(table, 1) if len(row) < num_columns]
    if len(short) > _MOST_SHORT_ROWS * len(table):
        raise SchemaError(
            f"expected at least {num_columns} columns in {path}, found {len(table[short[0] - 1])} "
            f"in row {short[0]}, and too few in {len(short)} of {len(table)}: name the right "
            "--task or columns"
        )
    if short:
        logger.warning("%d rows of %s were left out: they lack columns", len(short), path)


def _check_rows(
    rows: Sequence[dict[str, Any]], texts: tuple[str, ...], labels: tuple[str, ...], path: Path
) -> None:
    for number, row in enumerate(rows, 1):
        missing = [name for name in (*texts, *labels) if name not in row]
        if missing:
            raise SchemaError(
                f"expected {missing[0]!r} in object {number} of {path}, found {', '.join(row)[:80]}"
            )
        other = next((name for name in texts if isinstance(row[name], list | dict)), None)
        if other is not None:
            raise SchemaError(
                f"expected a single text as {other!r} in object {number} of {path}, found "
                f"{str(row[other])[:40]!r}: write one example per line"
            )


def _known_texts(header: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of a header that have the usual names of texts."""
    by_name = {name.lower(): name for name in header}
    for names in _TEXT_COLUMNS:
        if all(name in by_name for name in names):
            return tuple(by_name[name] for name in names)
    return ()


def _text_columns(
    task: LabelTask, header: Sequence[str], path: Path, *, is_other: bool
) -> tuple[str, ...]:
    known = _known_texts(header)
    missing = [name for name in task.texts if name not in header]
    if task.texts and not missing:
        return task.texts
    # Test and diagnostic files of a task may have other names for its texts.
    if known and (not task.texts or (is_other and len(known) == len(task.texts))):
        return known
    wanted = repr(missing[0]) if missing else "of a text, such as 'sentence' or 'text',"
    raise SchemaError(
        f"expected a column {wanted} in {path}, found {', '.join(header)[:80] or 'none'}: name the "
        "right --task, or --text-columns and --label-columns (positions from 1 without a header)"
    )


def _label_columns(
    task: LabelTask, header: Sequence[str], path: Path, *, is_test: bool
) -> tuple[str, ...]:
    """Return the columns of the label; none if a test file keeps it back."""
    if task.labels and all(name in header for name in task.labels):
        return task.labels
    # MNLI's diagnostic set has another name for the label than MNLI.
    names = _LABEL_COLUMNS if not task.labels else _LABEL_COLUMNS[:1] if is_test else ()
    known = next((name for name in header if name.lower() in names), None)
    if known:
        return (known,)
    if is_test:
        return ()
    missing = next((name for name in task.labels if name not in header), "label")
    raise SchemaError(
        f"expected a column {missing!r} in {path}, found {', '.join(header)[:80]}: name the right "
        "--task, or --label-columns"
    )


def _no_gold(
    texts: tuple[str, ...], columns: tuple[str, ...], found: set[tuple[str, ...]]
) -> set[tuple[str, ...]]:
    """Return the labels that mean that there is none."""
    classes = {label for each in found for label in each} - {_NO_GOLD, ""}
    missing: set[tuple[str, ...]] = {("",)}
    if columns == ("gold_label",) or classes <= _NLI_CLASSES:
        missing.add((_NO_GOLD,))
    if tuple(name.lower() for name in texts) == ("premise", "hypothesis"):
        missing.add(("-1",))  # what "-" becomes if classes are numbers
    return missing


def _text(row: dict[str, Any], name: str) -> str:
    value = row[name]
    return "" if value is None else str(value)


def _check_scores(examples: Sequence[Example], path: Path) -> None:
    for number, example in enumerate(examples, 1):
        score = example.labels[0] if example.labels else "0"
        try:
            is_number = math.isfinite(float(score))
        except ValueError:
            is_number = False
        if not is_number:
            raise SchemaError(f"expected a score in row {number} of {path}, found {score!r}")
