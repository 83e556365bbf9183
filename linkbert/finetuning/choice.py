"""Multiple choice: a question and its options, one of them right (MedQA, MMLU, SWAG).

In: a model and files of questions. Out: a table of accuracies, and the best run's model with its
choices. The model reads each option together with the question and gives it one score; the option
with the highest score is chosen (Devlin et al., BERT, arXiv:1810.04805, section 4.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from linkbert.finetuning.data.choices import Choice, read_choices
from linkbert.finetuning.data.files import DEV, TRAIN, DataFiles
from linkbert.finetuning.features import PackedFeatures
from linkbert.finetuning.options import FinetuneOptions
from linkbert.finetuning.training import (
    Judged,
    Predict,
    Task,
    draw_fraction,
    load_tokenizer,
    longest_sequence,
    prediction_lines,
    run_task,
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
    """Fine-tune on multiple choice; arguments, result and errors are those of `finetune_qa`."""
    return run_task(_prepare, model, data, out, options=options, overwrite=overwrite)


def _prepare(model: Path, files: DataFiles, options: FinetuneOptions) -> Task:
    read = {name: read_choices(path) for name, path in files.by_split.items()}
    for name in (TRAIN, DEV):
        unanswered = [each.choice_id for each in read[name] if each.right is None]
        if unanswered:
            raise SchemaError(
                f"expected the right option of every question of {name}, found none for "
                f"{unanswered[0]!r} in {files.by_split[name]}"
            )
    tokenizer, max_length = load_tokenizer(model), longest_sequence(model, options.max_length)

    def encode(choices: Sequence[Choice]) -> _Options:
        texts = [(each.question, option) for each in choices for option in each.options]
        # The Trainer wants a label for every row, even if the right option is kept back.
        right = [each.right or 0 for each in choices]
        return _Options(PackedFeatures.of_texts(texts, tokenizer, max_length), right)

    def judge(predict: Predict, name: str) -> Judged:
        choices = read[name]
        chosen = np.asarray(predict(encode(choices))).argmax(-1).tolist()
        rows = [
            (each.choice_id, number, each.right)
            for each, number in zip(choices, chosen, strict=True)
        ]
        num_right = sum(number == right for _, number, right in rows)
        is_told = all(right is not None for _, _, right in rows)
        scores = {"accuracy": 100 * num_right / len(rows)} if is_told else None
        return {f"{name}.jsonl": prediction_lines(rows)}, scores

    return Task(
        name="choice",
        metrics=("accuracy",),
        counts={name: {"num_questions": len(each)} for name, each in read.items()},
        head="AutoModelForMultipleChoice",
        collator="DataCollatorForMultipleChoice",
        tokenizer=tokenizer,
        encode=lambda: encode(draw_fraction(read[TRAIN], options.fraction)),
        splits=tuple(files.held_out),
        judge=judge,
    )


@dataclass(frozen=True)
class _Options:
    """One row per question with all its options, which are packed one after the other."""

    features: PackedFeatures
    right: list[int]

    def __len__(self) -> int:
        return len(self.right)

    def __getitem__(self, row: int) -> dict[str, Any]:
        size = len(self.features) // len(self.right)
        options = [self.features[place] for place in range(row * size, (row + 1) * size)]
        found = {name: [each[name] for each in options] for name in options[0]}
        return {**found, "labels": self.right[row]}
