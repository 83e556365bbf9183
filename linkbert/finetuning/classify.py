"""Classification and regression of sentences and pairs of them, as GLUE's tab-separated files."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linkbert.finetuning.data_files import find_files
from linkbert.finetuning.options import FinetuneOptions, Hyper
from linkbert.finetuning.qa_data import read_text
from linkbert.finetuning.training import (
    Features,
    Job,
    Trained,
    draw_fraction,
    labelled,
    load,
    predict,
    run_table,
    train,
)
from schemas.errors import ConfigError, SchemaError

logger = logging.getLogger(__name__)

_MOST_SHORT_ROWS = 0.01
"""Share of rows without all columns that is left out; QQP has some. Above, the task is wrong."""


@dataclass(frozen=True, slots=True)
class Task:
    """Which columns hold what; names where the file has a header, places where it has none."""

    texts: tuple[str | int, ...]
    label: str | int
    metric: str
    is_regression: bool = False


TASKS = {
    "cola": Task((3,), 1, "matthews"),
    "sst-2": Task(("sentence",), "label", "accuracy"),
    "mrpc": Task(("#1 String", "#2 String"), "Quality", "f1"),
    "sts-b": Task(("sentence1", "sentence2"), "score", "spearman", is_regression=True),
    "qqp": Task(("question1", "question2"), "is_duplicate", "f1"),
    "mnli": Task(("sentence1", "sentence2"), "gold_label", "accuracy"),
    "qnli": Task(("question", "sentence"), "label", "accuracy"),
    "rte": Task(("sentence1", "sentence2"), "label", "accuracy"),
    "wnli": Task(("sentence1", "sentence2"), "label", "accuracy"),
}
"""GLUE's tasks with the metric that chooses among settings; all metrics of a task are told."""


@dataclass(frozen=True, slots=True)
class Example:
    """One or two texts and their label."""

    texts: tuple[str, ...]
    label: str


def task_of(name: str | None, data: Path) -> str:
    """Return the task by its name, or by the name of the data's folder.

    Raises:
        ConfigError: it is none of GLUE's.
    """
    wanted = (name or (data if data.is_dir() else data.parent).name).lower()
    if wanted not in TASKS:
        raise ConfigError(f"expected --task out of {', '.join(TASKS)}, found {wanted!r}")
    return wanted


def read_examples(path: Path, task: Task) -> list[Example]:
    """Read a GLUE file; quotation marks in it mean nothing.

    A few rows without all columns, as QQP has them, are left out with a warning of their number.

    Raises:
        SchemaError: a column is missing, a score is no number, or there is no row.
    """
    rows = [line.rstrip("\r").split("\t") for line in read_text(path).split("\n") if line.strip()]
    columns: list[str | int] = [*task.texts, task.label]
    if isinstance(task.label, str) and rows:
        header = rows.pop(0)
        missing = [name for name in columns if name not in header]
        if missing:
            raise SchemaError(
                f"expected a column {missing[0]!r} in {path}, found {', '.join(header)[:80]}: "
                "name the right --task"
            )
        columns = [header.index(str(name)) for name in columns]
    *texts, label = (int(column) for column in columns)
    whole = _whole_rows(rows, max(*texts, label) + 1, path)
    if task.is_regression:
        _check_scores([row[label] for row in whole], path)
    return [Example(tuple(row[text] for text in texts), row[label]) for row in whole]


def _whole_rows(rows: list[list[str]], num_columns: int, path: Path) -> list[list[str]]:
    whole = [row for row in rows if len(row) >= num_columns]
    num_short = len(rows) - len(whole)
    if num_short > _MOST_SHORT_ROWS * len(rows):
        place = next(i for i, row in enumerate(rows, 1) if len(row) < num_columns)
        raise SchemaError(
            f"expected at least {num_columns} columns in {path}, found {len(rows[place - 1])} "
            f"in row {place}, and too few in {num_short} of {len(rows)}: name the right --task"
        )
    if num_short:
        logger.warning("%d rows of %s left out: they lack columns", num_short, path)
    if not whole:
        raise SchemaError(f"expected rows, found none in {path}")
    return whole


def _check_scores(scores: list[str], path: Path) -> None:
    for number, score in enumerate(scores, 1):
        try:
            is_number = math.isfinite(float(score))
        except ValueError:
            is_number = False
        if not is_number:
            raise SchemaError(f"expected a score in row {number} of {path}, found {score!r}")


def score_labels(
    task: str, predicted: npt.NDArray[Any], gold: npt.NDArray[Any]
) -> dict[str, float]:
    """Return GLUE's metrics of a task, in percent.

    >>> score_labels("mrpc", np.array([1, 0, 1]), np.array([1, 1, 1]))["f1"]
    80.0
    """
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

    if TASKS[task].is_regression:
        # A constant has no correlation, nor has what is no number.
        can_vary = np.ptp(predicted) > 0 and np.ptp(gold) > 0
        pearson = float(pearsonr(predicted, gold)[0]) if can_vary else 0.0
        spearman = float(spearmanr(predicted, gold)[0]) if can_vary else 0.0
        return {"pearson": 100 * pearson, "spearman": 100 * spearman}
    if task == "cola":
        return {"matthews": 100 * float(matthews_corrcoef(gold, predicted))}
    found = {"accuracy": 100 * float(accuracy_score(gold, predicted))}
    if TASKS[task].metric == "f1":
        found["f1"] = 100 * float(f1_score(gold, predicted, zero_division=0.0))
    return found


def finetune_classify(
    model: Path, data: Sequence[Path], out: Path, options: FinetuneOptions, task_name: str | None
) -> dict[str, Any]:
    """Fine-tune on a GLUE task; return the table (see `linkbert.finetuning.training.run_table`).

    Args:
        model: a Hugging Face folder.
        data: a folder with train and dev, or the two files.
        out: folder to write.
        options: what to try.
        task_name: of `TASKS`; the folder's name where None.

    Raises:
        ConfigError: unknown task, or `out` holds something else.
        SchemaError: the data do not fit the task.
        CheckpointError: the model cannot be loaded.
    """
    name = task_of(task_name, data[0])
    task = TASKS[name]
    files = find_files(data)
    examples, held_out = (read_examples(path, task) for path in files)
    labels = [] if task.is_regression else _labels_of(examples, held_out, files)
    rows = draw_fraction(examples, options.fraction)

    def run(hyper: Hyper, seed: int) -> Trained:
        return _run(model, name, (rows, held_out), labels, options, (hyper, seed), out)

    settings = options.settings(model, is_question_answering=False)
    return run_table(Job(name, model, files, task.metric), options, settings, run, out)


def _labels_of(
    examples: list[Example], held_out: list[Example], files: tuple[Path, Path]
) -> list[str]:
    """Return the labels of the training data, which must have all that are held out."""
    labels = sorted({each.label for each in examples})
    if len(labels) < 2:
        raise SchemaError(f"expected two labels or more, found {labels} in {files[0]}")
    unknown = sorted({each.label for each in held_out} - set(labels))
    if unknown:
        raise SchemaError(
            f"expected labels out of {', '.join(labels[:10])}, which {files[0]} has, found "
            f"{unknown[0]!r} in {files[1]}: check both files, or name the right --task"
        )
    return labels


def _run(
    model_folder: Path,
    name: str,
    splits: tuple[list[Example], list[Example]],
    labels: list[str],
    options: FinetuneOptions,
    how: tuple[Hyper, int],
    out: Path,
) -> Trained:
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        set_seed,
    )

    hyper, seed = how
    set_seed(seed)
    task = TASKS[name]
    tokenizer = load(AutoTokenizer, model_folder)
    numbers = {label: number for number, label in enumerate(labels)}
    head = {"num_labels": 1} if task.is_regression else labelled(labels)
    model = load(AutoModelForSequenceClassification, model_folder, **head)
    limit = min(options.max_length, model.config.max_position_embeddings)

    def features_of(rows: list[Example]) -> Features:
        texts = [[each.texts[place] for each in rows] for place in range(len(task.texts))]
        encoded = tokenizer(*texts, truncation=True, max_length=limit)
        gold = [float(r.label) if task.is_regression else numbers[r.label] for r in rows]
        return [
            {**{key: encoded[key][row] for key in encoded}, "labels": gold[row]}
            for row in range(len(rows))
        ]

    train_features, dev_features = (features_of(rows) for rows in splits)
    collator = DataCollatorWithPadding(tokenizer)
    trainer = train(model, train_features, collator, hyper, seed, out / "trainer")
    logits = np.asarray(predict(trainer, dev_features))
    predicted = logits[:, 0] if task.is_regression else logits.argmax(-1)
    gold = np.array([each["labels"] for each in dev_features])
    return Trained({"dev": score_labels(name, predicted, gold)}, trainer.model, tokenizer)
