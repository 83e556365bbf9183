"""Multiple choice: a question and its options, one of which is right (MedQA, MMLU, SWAG).

In: a model and files of questions. Out: a table of accuracy, and the best run's model with its
choices. Each option is read with the question, scored by one output, and the highest one is taken
(Devlin et al., BERT, arXiv:1810.04805, section 4.4).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from linkbert.finetuning.data.choices import Choice, read_choices
from linkbert.finetuning.data.files import DEV, TRAIN, find_files
from linkbert.finetuning.features import PackedFeatures
from linkbert.finetuning.options import FinetuneOptions, Hyper
from linkbert.finetuning.table import TableJob, Trained, run_table
from linkbert.finetuning.training import (
    check_model,
    draw_fraction,
    fit,
    load_tokenizer,
    longest_sequence,
    predict,
)
from schemas.errors import SchemaError


def finetune_choice(
    model: Path,
    data: Sequence[Path],
    out: Path,
    options: FinetuneOptions,
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Fine-tune on multiple choice; return the table (see `linkbert.finetuning.table.run_table`).

    Args:
        model: a Hugging Face folder.
        data: a folder with train, dev and perhaps test, or these files.
        out: folder to write.
        options: what to try.
        overwrite: whether an earlier fine-tuning in `out` is deleted.

    Raises:
        ConfigError: `out` holds something else.
        SchemaError: the data have another form.
        CheckpointError: the model cannot be loaded.
        StageError: another process writes in `out`.
    """
    check_model(model)
    files = find_files(data)
    read = {
        name: read_choices(path) for name, path in {TRAIN: files.train, **files.held_out}.items()
    }
    for name in (TRAIN, DEV):
        unanswered = [each.choice_id for each in read[name] if each.right is None]
        if unanswered:
            raise SchemaError(
                f"expected the right option of every question of {name}, found none of "
                f"{unanswered[0]!r} in {files.train if name == TRAIN else files.held_out[DEV]}"
            )
    task = _ChoiceTask(
        model,
        draw_fraction(read[TRAIN], options.fraction),
        {name: read[name] for name in files.held_out},
        longest_sequence(model, options.max_length),
        out / "trainer",
    )
    settings = options.settings(model, is_question_answering=False)
    counts = {name: {"num_questions": len(each)} for name, each in read.items()}
    job = TableJob("choice", model, files.paths, options.metric_of(("accuracy",)), counts)
    return run_table(job, options, settings, task.run, out, overwrite=overwrite)


@dataclass(frozen=True)
class _Options:
    """The options of each question as one row; packed they lie one after the other."""

    features: PackedFeatures
    right: list[int]

    def __len__(self) -> int:
        return len(self.right)

    def __getitem__(self, row: int) -> dict[str, Any]:
        size = len(self.features) // len(self.right)
        options = [self.features[place] for place in range(row * size, (row + 1) * size)]
        found = {name: [each[name] for each in options] for name in options[0]}
        return {**found, "labels": self.right[row]}


@dataclass(frozen=True)
class _ChoiceTask:
    """What is learned and asked."""

    model: Path
    rows: list[Choice]
    splits: dict[str, list[Choice]]
    max_length: int
    scratch: Path

    def run(self, hyper: Hyper, seed: int) -> Trained:
        """Fine-tune with a setting and a seed, and choose for every held-out question."""
        from transformers import AutoModelForMultipleChoice, DataCollatorForMultipleChoice

        trainer, found = fit(
            self, AutoModelForMultipleChoice, DataCollatorForMultipleChoice, hyper, seed
        )
        for name, choices in self.splits.items():
            chosen = np.asarray(predict(trainer, self._encode(choices))).argmax(-1).tolist()
            rows = (
                {"id": each.choice_id, "prediction": number, "gold": each.right}
                for each, number in zip(choices, chosen, strict=True)
            )
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            found.predictions[f"{name}.jsonl"] = lines
            right = [each.right for each in choices]
            if None not in right:
                num_right = sum(a == b for a, b in zip(chosen, right, strict=True))
                found.scores[name] = {"accuracy": 100 * num_right / len(right)}
        return found

    @cached_property
    def tokenizer(self) -> Any:
        return load_tokenizer(self.model)

    @cached_property
    def features(self) -> _Options:
        return self._encode(self.rows)

    def _encode(self, choices: list[Choice]) -> _Options:
        features = PackedFeatures(len(self.tokenizer))
        for each in choices:
            questions = [each.question] * len(each.options)
            encoded = self.tokenizer(
                questions, list(each.options), truncation=True, max_length=self.max_length
            )
            for row in range(len(each.options)):
                features.append({key: encoded[key][row] for key in encoded})
        # The Trainer wants a label of every row, also of one whose right option is kept back.
        return _Options(features, [each.right or 0 for each in choices])
