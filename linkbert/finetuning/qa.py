"""Extractive question answering: windows over long contexts, and the best span over all of them.

In: questions (`qa_data`). Out: a table of exact match and F1, and the best run's model. A context
longer than a window is cut into windows that share `stride` tokens; where a window does not hold
the answer, [CLS] is the answer (Devlin et al., BERT, arXiv:1810.04805, section 4.3).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linkbert.finetuning.data_files import find_files
from linkbert.finetuning.options import FinetuneOptions, Hyper
from linkbert.finetuning.qa_data import (
    Question,
    add_distractors,
    findable,
    halves,
    read_questions,
)
from linkbert.finetuning.squad_metrics import score_answers
from linkbert.finetuning.training import (
    Features,
    Job,
    Trained,
    draw_fraction,
    load,
    predict,
    run_table,
    train,
)
from schemas.errors import ConfigError

logger = logging.getLogger(__name__)

_MAX_ANSWER_TOKENS = 30
_NUM_CANDIDATES = 20
_LEAST_WINDOW = 16
"""Tokens of a window below which question and context leave each other no room."""

MODEL_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of contexts, one row each.

    Attributes:
        features: inputs of the model; with start_positions and end_positions for training.
        question: number of the question of each.
        offsets: characters of each token in the context, None outside it.
    """

    features: Features
    question: list[int]
    offsets: list[list[tuple[int, int] | None]]


def cut_windows(
    questions: Sequence[Question], tokenizer: Any, max_length: int, stride: int, is_training: bool
) -> Windows:
    """Encode questions with their contexts, in as many windows as it takes.

    A question keeps its first tokens, up to half a window; BERT cuts questions too.
    """
    encoded = tokenizer(
        _shortened([each.question.strip() for each in questions], tokenizer, max_length // 2 - 2),
        [each.context for each in questions],
        truncation="only_second",
        max_length=max_length,
        stride=stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        padding=False,
    )
    windows = Windows([], [], [])
    cls = tokenizer.cls_token_id
    for row, number in enumerate(encoded["overflow_to_sample_mapping"]):
        parts = encoded.sequence_ids(row)
        offsets = [
            tuple(span) if part == 1 else None
            for span, part in zip(encoded["offset_mapping"][row], parts, strict=True)
        ]
        feature = {key: encoded[key][row] for key in MODEL_INPUTS if key in encoded}
        if is_training:
            place = feature["input_ids"].index(cls)
            span = answer_tokens(questions[number], offsets) or (place, place)
            feature |= {"start_positions": span[0], "end_positions": span[1]}
        windows.features.append(feature)
        windows.question.append(number)
        windows.offsets.append(offsets)
    return windows


def _shortened(texts: list[str], tokenizer: Any, limit: int) -> list[str]:
    """Cut texts after so many tokens."""
    encoded = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
    found = [
        text if len(offsets) <= limit else text[: offsets[limit - 1][1]]
        for text, offsets in zip(texts, encoded["offset_mapping"], strict=True)
    ]
    num_cut = sum(len(new) < len(old) for new, old in zip(found, texts, strict=True))
    if num_cut:
        logger.warning("%d of %d questions cut after %d tokens", num_cut, len(texts), limit)
    return found


def answer_tokens(
    question: Question, offsets: Sequence[tuple[int, int] | None]
) -> tuple[int, int] | None:
    """Return the first and last token of the first answer, None where the window lacks it."""
    if not question.starts:
        return None
    start = question.starts[0]
    stop = start + len(question.answers[0])
    first = next((i for i, o in enumerate(offsets) if o and o[0] <= start < o[1]), None)
    last = next((i for i, o in enumerate(offsets) if o and o[0] < stop <= o[1]), None)
    return None if first is None or last is None else (first, last)


def best_answers(
    questions: Sequence[Question],
    windows: Windows,
    starts: npt.NDArray[np.float32],
    ends: npt.NDArray[np.float32],
    *,
    may_be_empty: bool,
) -> dict[str, str]:
    """Return the best span of each question over its windows, "" where none is better than [CLS].

    Args:
        questions: what was asked.
        windows: as they were cut.
        starts: float [W, T], logits of each token to begin the answer; padding may follow.
        ends: the same for its end.
        may_be_empty: whether a question may have no answer (SQuAD v2).
    """
    best: dict[int, tuple[float, str]] = {}
    empty: dict[int, float] = {}
    for row, number in enumerate(windows.question):
        found = _best_span(windows.offsets[row], starts[row], ends[row])
        # The window that is surest of an answer speaks for the question.
        none = float(starts[row][0] + ends[row][0])
        empty[number] = min(empty.get(number, none), none)
        if found is None:
            continue
        score, (first, last) = found
        if number not in best or score > best[number][0]:
            best[number] = score, questions[number].context[first:last]
    answers = {}
    for number, question in enumerate(questions):
        score, text = best.get(number, (-np.inf, ""))
        is_empty = may_be_empty and empty.get(number, -np.inf) > score
        answers[question.question_id] = "" if is_empty else text
    return answers


def _best_span(
    offsets: Sequence[tuple[int, int] | None],
    starts: npt.NDArray[np.float32],
    ends: npt.NDArray[np.float32],
) -> tuple[float, tuple[int, int]] | None:
    inside = np.array([place for place, offset in enumerate(offsets) if offset is not None])
    if not len(inside):
        return None
    firsts = inside[np.argsort(-starts[inside], kind="stable")[:_NUM_CANDIDATES]]
    lasts = inside[np.argsort(-ends[inside], kind="stable")[:_NUM_CANDIDATES]]
    length = lasts[None, :] - firsts[:, None]
    scores = starts[firsts][:, None] + ends[lasts][None, :]
    scores = np.where((length >= 0) & (length < _MAX_ANSWER_TOKENS), scores, -np.inf)
    first, last = np.unravel_index(int(scores.argmax()), scores.shape)
    if not np.isfinite(scores[first, last]):
        return None
    begins, stops = offsets[int(firsts[first])], offsets[int(lasts[last])]
    assert begins is not None
    assert stops is not None
    return float(scores[first, last]), (begins[0], stops[1])


def finetune_qa(
    model: Path, data: Sequence[Path], out: Path, options: FinetuneOptions
) -> dict[str, Any]:
    """Fine-tune on questions; return the table (see `linkbert.finetuning.training.run_table`).

    MRQA has no test split: its held-out questions are halved into dev and test, as in LinkBERT
    (arXiv:2203.15827), section 5.2. `distractors` are added to held-out contexts only.

    Raises:
        ConfigError: `out` holds something else.
        SchemaError: the data are of no known form.
        CheckpointError: the model cannot be loaded.
    """
    files = find_files(data)
    rows = draw_fraction(findable(read_questions(files[0]), files[0]), options.fraction)
    held_out = add_distractors(read_questions(files[1]), options.distractors, seed=0)
    splits = {"dev": held_out}
    if ".jsonl" in files[1].suffixes:
        dev, test = halves(held_out)
        splits = {"dev": dev, "test": test} if test else {"dev": held_out}

    def run(hyper: Hyper, seed: int) -> Trained:
        return _run(model, rows, splits, options, (hyper, seed), out)

    settings = options.settings(model, is_question_answering=True)
    return run_table(Job("qa", model, files, "f1"), options, settings, run, out)


def answer(model_folder: Path, question: str, context: str) -> str:
    """Return the span of a context that a fine-tuned model holds for the answer.

    Raises:
        CheckpointError: the folder is no model's.
    """
    import torch
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    tokenizer = load(AutoTokenizer, model_folder)
    model = load(AutoModelForQuestionAnswering, model_folder)
    max_length = min(384, model.config.max_position_embeddings)
    asked = [Question("", question, context, (), (), "")]
    windows = cut_windows(asked, tokenizer, max_length, max_length // 3, is_training=False)
    batch = tokenizer.pad(windows.features, return_tensors="pt")
    with torch.no_grad():
        found = model(**batch)
    starts, ends = found.start_logits.numpy(), found.end_logits.numpy()
    return best_answers(asked, windows, starts, ends, may_be_empty=False)[""]


def _run(
    model_folder: Path,
    rows: list[Question],
    splits: dict[str, list[Question]],
    options: FinetuneOptions,
    how: tuple[Hyper, int],
    out: Path,
) -> Trained:
    from transformers import (
        AutoModelForQuestionAnswering,
        AutoTokenizer,
        DataCollatorWithPadding,
        set_seed,
    )

    hyper, seed = how
    set_seed(seed)
    tokenizer = load(AutoTokenizer, model_folder)
    model = load(AutoModelForQuestionAnswering, model_folder)
    max_length = min(options.max_length, model.config.max_position_embeddings)
    if max_length < _LEAST_WINDOW:
        raise ConfigError(
            f"expected windows of at least {_LEAST_WINDOW} tokens, found {max_length}: raise "
            "--max-length, or take a model with more positions"
        )
    # A window must move on, whatever the question's length: half of it is the context's.
    stride = min(options.stride, max_length // 3)
    train_windows = cut_windows(rows, tokenizer, max_length, stride, is_training=True)
    collator = DataCollatorWithPadding(tokenizer)
    trainer = train(model, train_windows.features, collator, hyper, seed, out / "trainer")
    may_be_empty = any(not each.golds for each in rows)
    scores = {}
    for name, questions in splits.items():
        windows = cut_windows(questions, tokenizer, max_length, stride, is_training=False)
        starts, ends = predict(trainer, windows.features)[:2]
        answers = best_answers(questions, windows, starts, ends, may_be_empty=may_be_empty)
        golds = {each.question_id: each.golds for each in questions}
        scores[name] = score_answers(answers, golds)
    return Trained(scores, trainer.model, tokenizer)
