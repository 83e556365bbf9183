"""Extractive question answering: read questions, cut windows, train, find answers, count.

In: a model and files of questions (`qa_data`). Out: a table of exact match and F1, and the best
run's model with its answers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from linkbert.finetuning.data.answers import Question, add_distractors, findable, halves
from linkbert.finetuning.data.files import DEV, TEST, TRAIN, DataFiles, find_files
from linkbert.finetuning.data.questions import HOTPOT, MRQA, QuestionFile, read_questions
from linkbert.finetuning.features import PackedFeatures
from linkbert.finetuning.metrics import score_answers
from linkbert.finetuning.options import FinetuneOptions, Hyper
from linkbert.finetuning.table import TableJob, Trained, run_table
from linkbert.finetuning.training import (
    check_model,
    draw_fraction,
    fit,
    load_model,
    load_tokenizer,
    longest_sequence,
    predict,
)
from linkbert.finetuning.windows import (
    FloatArray,
    answer_questions,
    best_answers,
    cut_windows,
    shorten_questions,
    training_windows,
)
from schemas.errors import ConfigError

_LEAST_WINDOW = 16
"""Tokens of a window below which question and context leave each other no room."""
_PAPER_WINDOW = 384
_METRICS = ("f1", "exact_match")


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
    (arXiv:2203.15827), section 5.2, unless a test file is there. `distractors` are added to
    held-out contexts only.

    Args:
        model: a Hugging Face folder.
        data: a folder with train, dev and perhaps test, or these files.
        out: folder to write.
        options: what to try.
        overwrite: whether an earlier fine-tuning in `out` is deleted.

    Raises:
        ConfigError: `out` holds something else.
        SchemaError: the data are of no known form.
        CheckpointError: the model cannot be loaded.
        StageError: another process writes in `out`.
    """
    check_model(model)
    files = find_files(data)
    read = {
        name: read_questions(path, is_strict=options.strict, is_test=name not in (TRAIN, DEV))
        for name, path in {TRAIN: files.train, **files.held_out}.items()
    }
    task = _QuestionTask(
        model,
        draw_fraction(findable(read[TRAIN].questions, files.train), options.fraction),
        _splits(files, read, options.distractors),
        _window(model, options),
        out / "trainer",
        has_decisions=read[DEV].form == HOTPOT,
    )
    settings = options.settings(model, is_question_answering=True)
    counts = {name: each.counts for name, each in read.items()}
    job = TableJob("qa", model, files.paths, options.metric_of(_METRICS), counts)
    return run_table(job, options, settings, task.run, out, overwrite=overwrite)


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
    """Return the tokens of a window, and those that two of them share.

    Raises:
        ConfigError: a window would be too short for a question and a context.
    """
    max_length = longest_sequence(model, options.max_length)
    if max_length < _LEAST_WINDOW:
        raise ConfigError(
            f"expected windows of at least {_LEAST_WINDOW} tokens, found {max_length}: raise "
            "--max-length, or take a model with more positions"
        )
    # A window must move on, whatever the question's length: half of it is the context's.
    return max_length, min(options.stride, max_length // 3)


@dataclass(frozen=True)
class _QuestionTask:
    """What is learned and asked; `window` is its tokens and those that two share."""

    model: Path
    rows: list[Question]
    splits: dict[str, list[Question]]
    window: tuple[int, int]
    scratch: Path
    has_decisions: bool

    def run(self, hyper: Hyper, seed: int) -> Trained:
        """Fine-tune with a setting and a seed, and answer every held-out question."""
        from transformers import AutoModelForQuestionAnswering, DataCollatorWithPadding

        trainer, found = fit(
            self, AutoModelForQuestionAnswering, DataCollatorWithPadding, hyper, seed
        )
        for name, questions in self.splits.items():
            answers = self._answers(trainer, questions)
            found.predictions[f"{name}.json"] = json.dumps(answers, ensure_ascii=False, indent=1)
            golds = {each.question_id: each.golds for each in questions}
            # The answers of a test file may be kept from those who are tested.
            if name == DEV or any(golds.values()):
                found.scores[name] = score_answers(answers, golds, has_decisions=self.has_decisions)
        return found

    @cached_property
    def tokenizer(self) -> Any:
        return load_tokenizer(self.model)

    @cached_property
    def features(self) -> PackedFeatures:
        return training_windows(self._shortened(self.rows), self.tokenizer, *self.window)

    def _shortened(self, questions: list[Question]) -> list[Question]:
        return shorten_questions(questions, self.tokenizer, _question_limit(self.window[0]))

    def _answers(self, trainer: Any, questions: list[Question]) -> dict[str, str]:
        def scores(features: PackedFeatures) -> tuple[FloatArray, FloatArray]:
            starts, ends, *_ = predict(trainer, features)
            return np.asarray(starts), np.asarray(ends)

        return answer_questions(
            self._shortened(questions),
            self.tokenizer,
            self.window,
            scores,
            may_be_empty=any(not each.golds for each in self.rows),
        )


def _question_limit(max_length: int) -> int:
    """Return the tokens a question may take: half a window, less the special ones."""
    return max_length // 2 - 2


def answer(model_folder: Path, question: str, context: str) -> str:
    """Return the span of a context that a fine-tuned model holds for the answer.

    Raises:
        CheckpointError: the folder is not a model's.
    """
    import torch
    from transformers import AutoModelForQuestionAnswering

    check_model(model_folder)
    tokenizer = load_tokenizer(model_folder)
    model = load_model(AutoModelForQuestionAnswering, model_folder)
    max_length = longest_sequence(model_folder, _PAPER_WINDOW)
    asked = [Question("", question, context, (), (), "")]
    shortened = shorten_questions(asked, tokenizer, _question_limit(max_length))
    windows = list(cut_windows(shortened, tokenizer, max_length, max_length // 3))
    batch = tokenizer.pad([each.feature for each in windows], return_tensors="pt")
    with torch.no_grad():
        found = model(**batch)
    starts, ends = found.start_logits.numpy(), found.end_logits.numpy()
    return best_answers(shortened, windows, starts, ends, may_be_empty=False)[""]
