"""Classification of sentences and sentence pairs: one class, several labels, or a score.

In: a model and files of labelled texts (`data.examples`). Out: a table of the task's metrics, and
the best run's model with its predictions; for GLUE's test files in the format of its leaderboard.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linkbert.finetuning.data.examples import (
    Example,
    LabelTask,
    metrics_of,
    read_examples,
    task_of,
)
from linkbert.finetuning.data.files import DEV, TEST, TRAIN, DataFiles
from linkbert.finetuning.data.labels import CLASS, SCORE, SEVERAL
from linkbert.finetuning.features import PackedFeatures
from linkbert.finetuning.metrics import score_classes, score_label_sets, score_numbers
from linkbert.finetuning.options import FinetuneOptions
from linkbert.finetuning.training import (
    Judged,
    Predict,
    Task,
    draw_fraction,
    labelled,
    load_tokenizer,
    longest_sequence,
    prediction_lines,
    run_task,
)
from schemas.errors import ConfigError, SchemaError

_DIAGNOSTIC = "diagnostic"
_DIAGNOSTIC_METRICS = ("matthews", "accuracy")
_SUBMISSIONS = {TEST: "", "test_mismatched": "-mm"}
_MOST_STS_SCORE = 5.0


def finetune_classify(
    model: Path,
    data: Sequence[Path],
    out: Path,
    options: FinetuneOptions,
    task_name: str | None = None,
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Fine-tune a classifier; arguments, result and errors are those of `finetune_qa`.

    `task_name` is one of GLUE's tasks. Without it the task is GLUE's if the data folder has the
    name of one, and any other classification if not.
    """
    prepare = functools.partial(_prepare, task_of(task_name, data[0], options))
    return run_task(prepare, model, data, out, options=options, overwrite=overwrite)


def _prepare(task: LabelTask, model: Path, files: DataFiles, options: FinetuneOptions) -> Task:
    train_file = read_examples(files.train, task, options)
    task = replace(task, kind=train_file.kind)
    held_out = {
        name: read_examples(path, task, options, is_test=not name.startswith(DEV))
        for name, path in files.held_out.items()
    }
    labels = [] if task.kind == SCORE else _labels_of(train_file.examples, task, files.train)
    for name, each in held_out.items():
        _check_labels(each.examples, labels, files, name)
    if options.negative_label is not None and options.negative_label not in labels:
        raise ConfigError(
            f"expected --negative-label to be one of {', '.join(labels[:10])}, found "
            f"{options.negative_label!r}"
        )
    task = replace(task, metrics=metrics_of(task, options))
    negative = None if options.negative_label is None else labels.index(options.negative_label)
    classes = _Classes(task, labels, negative)
    tokenizer, max_length = load_tokenizer(model), longest_sequence(model, options.max_length)

    def encode(examples: list[Example], targets: list[Any] | None = None) -> PackedFeatures:
        texts = [each.texts for each in examples]
        return PackedFeatures.of_texts(texts, tokenizer, max_length, targets)

    def encode_training() -> PackedFeatures:
        rows = draw_fraction(train_file.examples, options.fraction)
        return encode(rows, [classes.target(each.labels or ()) for each in rows])

    def judge(predict: Predict, name: str) -> Judged:
        examples = held_out[name].examples
        return classes.judge(np.asarray(predict(encode(examples))), name, examples)

    return Task(
        name=task.name,
        metrics=task.metrics,
        counts={name: each.counts for name, each in {TRAIN: train_file, **held_out}.items()},
        head="AutoModelForSequenceClassification",
        collator="DataCollatorWithPadding",
        tokenizer=tokenizer,
        encode=encode_training,
        splits=tuple(held_out),
        judge=judge,
        config=classes.head(),
    )


def _labels_of(examples: Sequence[Example], task: LabelTask, path: Path) -> list[str]:
    """Return the names of the labels in the training data."""
    labels = sorted({label for each in examples for label in each.labels or ()}, key=_place)
    if len(labels) < (1 if task.kind == SEVERAL else 2):
        raise SchemaError(f"expected at least two labels, found {labels} in {path}")
    return labels


def _place(label: str) -> tuple[int, str]:
    """Return the sort key of a label: numbers by their value, before names."""
    return (int(label), "") if label.isdecimal() else (10**18, label)


def _check_labels(
    examples: Sequence[Example], labels: list[str], files: DataFiles, name: str
) -> None:
    found = {label for each in examples for label in each.labels or ()}
    unknown = sorted(found - set(labels)) if labels else []
    if unknown:
        raise SchemaError(
            f"expected the labels of {files.train}, {', '.join(labels[:10])}, found "
            f"{unknown[0]!r} in {files.held_out[name]}: check both files, or name the right --task"
        )


@dataclass(frozen=True, slots=True)
class _Classes:
    """The labels that a text can have; `negative` is the number of a class without a finding."""

    task: LabelTask
    labels: list[str]
    negative: int | None

    def head(self) -> dict[str, Any]:
        """Return the entries of a model's configuration."""
        if self.task.kind == SCORE:
            return {"num_labels": 1, "problem_type": "regression"}
        kind = "multi" if self.task.kind == SEVERAL else "single"
        return labelled(self.labels) | {"problem_type": f"{kind}_label_classification"}

    def judge(self, logits: npt.NDArray[Any], name: str, examples: list[Example]) -> Judged:
        """Return the files of predictions, and the scores where the file has labels."""
        predicted = self._predicted(logits)
        files = {f"{name}.jsonl": _as_lines(examples, predicted, self.task.kind)}
        files |= self._submission(name, examples, predicted)
        is_told = any(each.labels is not None for each in examples)
        return files, self._scores(name, predicted, examples) if is_told else None

    def target(self, labels: tuple[str, ...]) -> int | float | list[float]:
        """Return what is learned for a text with these labels."""
        if self.task.kind == SCORE:
            return float(labels[0])
        if self.task.kind == SEVERAL:
            return [float(label in labels) for label in self.labels]
        return self.labels.index(labels[0])

    def _predicted(self, logits: npt.NDArray[Any]) -> list[tuple[str, ...]]:
        """Return the labels of each text, or its score as text."""
        if self.task.kind == SCORE:
            return [(repr(float(score)),) for score in logits.reshape(-1)]
        if self.task.kind == CLASS:
            return [(self.labels[number],) for number in logits.argmax(-1)]
        # A logit above 0 is a probability above one half.
        return [
            tuple(label for label, logit in zip(self.labels, row, strict=True) if logit > 0)
            for row in logits
        ]

    def _scores(
        self, name: str, predicted: Sequence[tuple[str, ...]], examples: list[Example]
    ) -> dict[str, float]:
        gold = [each.labels or () for each in examples]
        ours, theirs = (
            np.array([self.target(labels) for labels in side]) for side in (predicted, gold)
        )
        if self.task.kind == SCORE:
            found = score_numbers(ours, theirs)
        elif self.task.kind == SEVERAL:
            found = score_label_sets(ours > 0, theirs > 0)
        else:
            found = score_classes(ours, theirs, negative=self.negative)
        metrics = _DIAGNOSTIC_METRICS if name.startswith(_DIAGNOSTIC) else self.task.metrics
        return {metric: found[metric] for metric in metrics}

    def _submission(
        self, name: str, examples: list[Example], predicted: Sequence[tuple[str, ...]]
    ) -> dict[str, str]:
        """Return the file for GLUE's leaderboard by its name, if the split belongs to it."""
        if name.startswith(_DIAGNOSTIC) and self.task.submission == "MNLI":
            title = "AX"
        elif self.task.submission and name in _SUBMISSIONS:
            matched = "-m" if self.task.submission == "MNLI" else ""
            title = self.task.submission + (_SUBMISSIONS[name] or matched)
        else:
            return {}
        values = [labels[0] for labels in predicted]
        if self.task.kind == SCORE:
            values = [f"{min(max(float(score), 0.0), _MOST_STS_SCORE):.3f}" for score in values]
        rows = [f"{each.row_id}\t{value}" for each, value in zip(examples, values, strict=True)]
        return {f"{title}.tsv": "\n".join(["index\tprediction", *rows]) + "\n"}


def _as_lines(examples: Sequence[Example], predicted: Sequence[tuple[str, ...]], kind: str) -> str:
    def told(labels: tuple[str, ...] | None) -> Any:
        if labels is None or kind == SEVERAL:
            return labels
        return float(labels[0]) if kind == SCORE else labels[0]

    return prediction_lines(
        (each.row_id, told(labels), told(each.labels))
        for each, labels in zip(examples, predicted, strict=True)
    )
