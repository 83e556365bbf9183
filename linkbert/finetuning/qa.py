"""Extractive question answering: read questions, cut windows, train, find answers, score.

In: a model and files of questions (`data.questions`). Out: a table of exact match and F1, and the
best run's model with its answers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from linkbert.finetuning.data.answers import Question, add_distractors, findable, halves
from linkbert.finetuning.data.files import DEV, TEST, TRAIN, DataFiles
from linkbert.finetuning.data.questions import HOTPOT, MRQA, QuestionFile, read_questions
from linkbert.finetuning.features import PackedFeatures
from linkbert.finetuning.metrics import score_answers
from linkbert.finetuning.options import FinetuneOptions
from linkbert.finetuning.training import (
    Judged,
    Predict,
    Task,
    check_model,
    draw_fraction,
    load_model,
    load_tokenizer,
    longest_sequence,
    run_task,
)
from linkbert.finetuning.windows import answer_questions, training_windows
from schemas.errors import ConfigError

_LEAST_WINDOW = 16
"""In a smaller window, in tokens, there is no room for both question and context."""
_PAPER_WINDOW = 384


def finetune_qa(
    model: Path,
    data: Sequence[Path],
    out: Path,
    options: FinetuneOptions,
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Fine-tune on questions; return the table (see `linkbert.finetuning.table.run_table`).

    MRQA has no test split: its held-out questions are halved into dev and test, as in LinkBERT
    (arXiv:2203.15827), section 5.2, unless there is a test file. `distractors` are added to
    held-out contexts only.

    Args:
        model: a Hugging Face folder.
        data: a folder with train, dev and whatever else is held out; or these files.
        out: folder to write.
        options: what to try.
        overwrite: whether an earlier fine-tuning in `out` is deleted.

    Raises:
        ConfigError: an option does not fit the data, or `out` holds something else.
        SchemaError: the data do not have the expected form.
        CheckpointError: the model cannot be loaded.
        StageError: another process is writing to `out`, or the model cannot be written.
    """
    return run_task(_prepare, model, data, out, options=options, overwrite=overwrite)


def _prepare(model: Path, files: DataFiles, options: FinetuneOptions) -> Task:
    read = {
        name: read_questions(path, is_strict=options.strict, is_test=name not in (TRAIN, DEV))
        for name, path in files.by_split.items()
    }
    window = _window(model, options)
    tokenizer = load_tokenizer(model)
    rows = draw_fraction(findable(read[TRAIN].questions, files.train), options.fraction)
    splits = _splits(files, read, options.distractors)

    def judge(predict: Predict, name: str) -> Judged:
        answers = answer_questions(
            splits[name], tokenizer, window, predict,
            may_be_empty=any(not each.golds for each in rows),
        )  # fmt: skip
        golds = {each.question_id: each.golds for each in splits[name]}
        # A test file may keep its answers back.
        is_told = name == DEV or any(golds.values())
        has_decisions = read[DEV].form == HOTPOT
        scores = score_answers(answers, golds, has_decisions=has_decisions) if is_told else None
        return {f"{name}.json": json.dumps(answers, ensure_ascii=False, indent=1)}, scores

    return Task(
        name="qa",
        metrics=("f1", "exact_match"),
        counts={name: each.counts for name, each in read.items()},
        head="AutoModelForQuestionAnswering",
        collator="DataCollatorWithPadding",
        tokenizer=tokenizer,
        encode=lambda: training_windows(rows, tokenizer, *window),
        splits=tuple(splits),
        judge=judge,
    )


def _splits(
    files: DataFiles, read: dict[str, QuestionFile], num_distractors: int
) -> dict[str, list[Question]]:
    splits = {
        name: add_distractors(read[name].questions, num_distractors, seed=0)
        for name in files.held_out
    }
    if read[DEV].form == MRQA and TEST not in splits:
        dev, test = halves(splits[DEV])
        splits |= {DEV: dev, TEST: test} if test else {}
    return splits


def _window(model: Path, options: FinetuneOptions) -> tuple[int, int]:
    """Return the length of a window and of the overlap of two windows, in tokens.

    Raises:
        ConfigError: a window would be too short for a question and a context.
    """
    max_length = longest_sequence(model, options.max_length)
    if max_length < _LEAST_WINDOW:
        raise ConfigError(
            f"expected windows of at least {_LEAST_WINDOW} tokens, found {max_length}: raise "
            "--max-length, or take a model with more positions"
        )
    # Windows must advance however long the question is: half a window is always context.
    return max_length, min(options.stride, max_length // 3)


def answer(model_folder: Path, question: str, context: str) -> str:
    """Return the span of a context that a fine-tuned model takes for the answer.

    Raises:
        CheckpointError: there is no model in the folder.
    """
    import torch
    from transformers import AutoModelForQuestionAnswering

    check_model(model_folder)
    tokenizer = load_tokenizer(model_folder)
    model = load_model(AutoModelForQuestionAnswering, model_folder)
    max_length = longest_sequence(model_folder, _PAPER_WINDOW)
    asked = [Question("", question, context, (), (), "")]

    def predict(features: PackedFeatures) -> tuple[Any, Any]:
        batch = tokenizer.pad([features[row] for row in range(len(features))], return_tensors="pt")
        with torch.no_grad():
            found = model(**batch)
        return found.start_logits.numpy(), found.end_logits.numpy()

    window = max_length, max_length // 3
    return answer_questions(asked, tokenizer, window, predict, may_be_empty=False)[""]
