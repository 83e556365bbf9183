"""Classification of sentences and pairs of them, into one class, several labels, or a score.

In: a model and files of labelled texts (`classify_data`). Out: a table of the task's metrics, and
the best run's model with what it predicts; for GLUE's test files in the form of its leaderboard.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
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
from linkbert.finetuning.data.files import DEV, TEST, TRAIN, DataFiles, find_files
from linkbert.finetuning.data.labels import CLASS, SCORE, SEVERAL
from linkbert.finetuning.features import PackedFeatures
from linkbert.finetuning.metrics import score_classes, score_label_sets, score_numbers
from linkbert.finetuning.options import FinetuneOptions, Hyper
from linkbert.finetuning.table import TableJob, Trained, run_table
from linkbert.finetuning.training import (
    check_model,
    draw_fraction,
    fit,
    labelled,
    load_tokenizer,
    longest_sequence,
    predict,
)
from schemas.errors import ConfigError, SchemaError

_ENCODED_AT_ONCE = 1000
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
    """Fine-tune a classifier; return the table (see `linkbert.finetuning.table.run_table`).

    Args:
        model: a Hugging Face folder.
        data: a folder with train, dev and whatever else is held out, or these files.
        out: folder to write.
        options: what to try, and which columns hold what.
        task_name: one of GLUE's; the folder's name where None, or any other classification.
        overwrite: whether an earlier fine-tuning in `out` is deleted.

    Raises:
        ConfigError: unknown task, or `out` holds something else.
        SchemaError: the data do not fit the task.
        CheckpointError: the model cannot be loaded.
        StageError: another process writes in `out`.
    """
    check_model(model)
    task = task_of(task_name, data[0], options)
    files = find_files(data)
    train_file = read_examples(files.train, task, options)
    task = replace(task, kind=train_file.kind)
    held_out = {
        name: read_examples(path, task, options, is_test=not name.startswith(DEV))
        for name, path in files.held_out.items()
    }
    metrics = metrics_of(task, options)
    labels = [] if task.kind == SCORE else _labels_of(train_file.examples, task, files.train)
    for name, each in held_out.items():
        _check_labels(each.examples, labels, files, name)
    if options.negative_label is not None and options.negative_label not in labels:
        raise ConfigError(
            f"expected --negative-label out of {', '.join(labels[:10])}, found "
            f"{options.negative_label!r}"
        )
    work = _ClassifyTask(
        model,
        replace(task, metrics=metrics),
        draw_fraction(train_file.examples, options.fraction),
        {name: each.examples for name, each in held_out.items()},
        labels,
        None if options.negative_label is None else labels.index(options.negative_label),
        longest_sequence(model, options.max_length),
        out / "trainer",
    )
    settings = options.settings(model, is_question_answering=False)
    counts = {name: each.counts for name, each in {TRAIN: train_file, **held_out}.items()}
    job = TableJob(task.name, model, files.paths, options.metric_of(metrics), counts)
    return run_table(job, options, settings, work.run, out, overwrite=overwrite)


def _labels_of(examples: Sequence[Example], task: LabelTask, path: Path) -> list[str]:
    """Return the names of the labels in the training data."""
    labels = sorted({label for each in examples for label in each.labels or ()}, key=_place)
    if len(labels) < (1 if task.kind == SEVERAL else 2):
        raise SchemaError(f"expected two labels or more, found {labels} in {path}")
    return labels


def _place(label: str) -> tuple[int, str]:
    """Order numbers by their value, before names."""
    return (int(label), "") if label.isdecimal() else (10**18, label)


def _check_labels(
    examples: Sequence[Example], labels: list[str], files: DataFiles, name: str
) -> None:
    found = {label for each in examples for label in each.labels or ()}
    unknown = sorted(found - set(labels)) if labels else []
    if unknown:
        raise SchemaError(
            f"expected labels out of {', '.join(labels[:10])}, which {files.train} has, found "
            f"{unknown[0]!r} in {files.held_out[name]}: check both files, or name the right --task"
        )


@dataclass(frozen=True)
class _ClassifyTask:
    """What is learned and predicted; `negative` is the number of a class that is no finding."""

    model: Path
    task: LabelTask
    rows: list[Example]
    splits: dict[str, list[Example]]
    labels: list[str]
    negative: int | None
    max_length: int
    scratch: Path

    def run(self, hyper: Hyper, seed: int) -> Trained:
        """Fine-tune with a setting and a seed, and predict every held-out text."""
        from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding

        trainer, found = fit(
            self,
            AutoModelForSequenceClassification,
            DataCollatorWithPadding,
            hyper,
            seed,
            **self._head(),
        )
        for name, examples in self.splits.items():
            logits = np.asarray(predict(trainer, self._encode(examples, has_labels=False)))
            predicted = self._predicted(logits)
            found.predictions[f"{name}.jsonl"] = _as_lines(examples, predicted, self.task.kind)
            found.predictions.update(self._submission(name, examples, predicted))
            if any(each.labels is not None for each in examples):
                found.scores[name] = self._scores(name, predicted, examples)
        return found

    @cached_property
    def tokenizer(self) -> Any:
        return load_tokenizer(self.model)

    @cached_property
    def features(self) -> PackedFeatures:
        return self._encode(self.rows, has_labels=True)

    def _head(self) -> dict[str, Any]:
        if self.task.kind == SCORE:
            return {"num_labels": 1, "problem_type": "regression"}
        kind = "multi" if self.task.kind == SEVERAL else "single"
        return labelled(self.labels) | {"problem_type": f"{kind}_label_classification"}

    def _encode(self, rows: list[Example], *, has_labels: bool) -> PackedFeatures:
        features = PackedFeatures(len(self.tokenizer))
        for start in range(0, len(rows), _ENCODED_AT_ONCE):
            part = rows[start : start + _ENCODED_AT_ONCE]
            texts = [list(column) for column in zip(*(each.texts for each in part), strict=True)]
            encoded = self.tokenizer(*texts, truncation=True, max_length=self.max_length)
            for row, each in enumerate(part):
                labels = {"labels": self._target(each.labels or ())} if has_labels else {}
                features.append({**{key: encoded[key][row] for key in encoded}, **labels})
        return features

    def _target(self, labels: tuple[str, ...]) -> int | float | list[float]:
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
        # A label is given where its probability is above one half.
        return [
            tuple(label for label, logit in zip(self.labels, row, strict=True) if logit > 0)
            for row in logits
        ]

    def _scores(
        self, name: str, predicted: Sequence[tuple[str, ...]], examples: list[Example]
    ) -> dict[str, float]:
        gold = [each.labels or () for each in examples]
        ours, theirs = (
            np.array([self._target(labels) for labels in side]) for side in (predicted, gold)
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
        """Return the file that GLUE's leaderboard takes, under its name; none for other files."""
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

    rows = (
        {"id": each.row_id, "prediction": told(labels), "gold": told(each.labels)}
        for each, labels in zip(examples, predicted, strict=True)
    )
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
