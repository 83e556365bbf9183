"""Windows over long contexts, and the best span over all windows of a question.

In: questions (`qa_data`). Out: packed windows to train on, or each question's answer. A context
longer than a window is cut into windows that share `stride` tokens; where a window does not hold
the answer, [CLS] is the answer (Devlin et al., BERT, arXiv:1810.04805, section 4.3).

Windows are cut a few questions at a time. Where tokens lie in the context is kept only while
answers are read from a model's scores.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from linkbert.finetuning.data.answers import Question
from linkbert.finetuning.features import PackedFeatures
from schemas.errors import CheckpointError

logger = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float32]
Predict = Callable[[PackedFeatures], tuple[FloatArray, FloatArray]]
"""Scores of each token to begin and to end the answer, float [W, T]; padding may follow."""

_MODEL_INPUTS = ("input_ids", "token_type_ids")
_MAX_ANSWER_TOKENS = 30
_NUM_CANDIDATES = 20
_CUT_AT_ONCE = 32
"""Questions whose windows a tokenizer holds as lists at one time, 171 kB per window of 384."""
_ANSWERED_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a context after its question.

    Attributes:
        question: number of the question.
        feature: inputs of the model.
        first: place of the first token of the context.
        offsets: int32 [C, 2], begin and end in the context of each of its tokens, in characters.
    """

    question: int
    feature: dict[str, list[int]]
    first: int
    offsets: npt.NDArray[np.int32]


def shorten_questions(questions: Sequence[Question], tokenizer: Any, limit: int) -> list[Question]:
    """Keep the first tokens of each question, as BERT does, and say how many were longer."""
    found = []
    for start in range(0, len(questions), _ANSWERED_AT_ONCE):
        part = questions[start : start + _ANSWERED_AT_ONCE]
        texts = [each.question.strip() for each in part]
        encoded = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
        for each, text, offsets in zip(part, texts, encoded["offset_mapping"], strict=True):
            is_long = len(offsets) > limit
            found.append(replace(each, question=text[: offsets[limit - 1][1]] if is_long else text))
    num_cut = sum(
        len(new.question) < len(old.question.strip())
        for new, old in zip(found, questions, strict=True)
    )
    if num_cut:
        logger.warning("%d of %d questions cut after %d tokens", num_cut, len(found), limit)
    return found


def cut_windows(
    questions: Sequence[Question], tokenizer: Any, max_length: int, stride: int
) -> Iterator[Window]:
    """Encode questions with their contexts, in as many windows as it takes."""
    for start in range(0, len(questions), _CUT_AT_ONCE):
        part = questions[start : start + _CUT_AT_ONCE]
        encoded = tokenizer(
            [each.question for each in part],
            [_copied(each.context) for each in part],
            truncation="only_second",
            max_length=max_length,
            stride=stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            padding=False,
        )
        for row, number in enumerate(encoded["overflow_to_sample_mapping"]):
            inside = [place for place, of in enumerate(encoded.sequence_ids(row)) if of == 1]
            first, stop = (inside[0], inside[-1] + 1) if inside else (0, 0)
            offsets = np.array(encoded["offset_mapping"][row][first:stop], np.int32).reshape(-1, 2)
            feature = {name: encoded[name][row] for name in _MODEL_INPUTS if name in encoded}
            yield Window(start + number, feature, first, offsets)


def _copied(text: str) -> str:
    """Return an equal text that is freed when the tokenizer is done with it.

    A text that is not ASCII keeps the UTF-8 it was once asked for as long as it lives: the contexts
    themselves would take half as much again.
    """
    return "".join((text[:1], text[1:]))


def training_windows(
    questions: Sequence[Question], tokenizer: Any, max_length: int, stride: int
) -> PackedFeatures:
    """Return all windows with the tokens that begin and end the answer.

    Raises:
        CheckpointError: the tokenizer puts no [CLS] before its texts.
    """
    found = PackedFeatures(len(tokenizer))
    for window in cut_windows(questions, tokenizer, max_length, stride):
        if tokenizer.cls_token_id not in window.feature["input_ids"]:
            raise CheckpointError(
                f"expected a tokenizer that begins a text with {tokenizer.cls_token}, found "
                f"{tokenizer.convert_ids_to_tokens(window.feature['input_ids'][:3])}: its "
                "tokenizer.json lacks a post_processor"
            )
        cls = window.feature["input_ids"].index(tokenizer.cls_token_id)
        first, last = answer_tokens(questions[window.question], window) or (cls, cls)
        found.append({**window.feature, "start_positions": first, "end_positions": last})
    return found


def answer_tokens(question: Question, window: Window) -> tuple[int, int] | None:
    """Return the first and last token of the first answer, None where the window lacks it."""
    if not question.starts:
        return None
    start = question.starts[0]
    stop = start + len(question.answers[0])
    begins, ends = window.offsets[:, 0], window.offsets[:, 1]
    first = np.flatnonzero((begins <= start) & (start < ends))
    last = np.flatnonzero((begins < stop) & (stop <= ends))
    if not len(first) or not len(last):
        return None
    return window.first + int(first[0]), window.first + int(last[0])


def answer_questions(
    questions: Sequence[Question],
    tokenizer: Any,
    window: tuple[int, int],
    predict: Predict,
    *,
    may_be_empty: bool,
) -> dict[str, str]:
    """Return each question's answer by its id, some hundred questions at a time.

    Args:
        questions: what is asked.
        tokenizer: of the model.
        window: tokens of a window, and those that two share.
        predict: the model.
        may_be_empty: whether a question may have no answer (SQuAD v2).
    """
    answers: dict[str, str] = {}
    for start in range(0, len(questions), _ANSWERED_AT_ONCE):
        part = questions[start : start + _ANSWERED_AT_ONCE]
        windows = list(cut_windows(part, tokenizer, *window))
        features = PackedFeatures(len(tokenizer))
        for each in windows:
            features.append(each.feature)
        answers |= best_answers(part, windows, *predict(features), may_be_empty=may_be_empty)
    return answers


def best_answers(
    questions: Sequence[Question],
    windows: Sequence[Window],
    starts: FloatArray,
    ends: FloatArray,
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
    for row, window in enumerate(windows):
        number = window.question
        # The window that is surest of an answer speaks for the question.
        none = float(starts[row][0] + ends[row][0])
        empty[number] = min(empty.get(number, none), none)
        found = _best_span(window, starts[row], ends[row])
        if found is None:
            continue
        score, (first, last) = found
        if number not in best or score > best[number][0]:
            # A byte-level tokenizer counts the blank before a word as part of it.
            best[number] = score, questions[number].context[first:last].strip()
    answers = {}
    for number, question in enumerate(questions):
        score, text = best.get(number, (-np.inf, ""))
        is_empty = may_be_empty and empty.get(number, -np.inf) > score
        answers[question.question_id] = "" if is_empty else text
    return answers


def _best_span(
    window: Window, starts: FloatArray, ends: FloatArray
) -> tuple[float, tuple[int, int]] | None:
    inside = slice(window.first, window.first + len(window.offsets))
    starts, ends = starts[inside], ends[inside]
    if not len(starts):
        return None
    firsts = np.argsort(-starts, kind="stable")[:_NUM_CANDIDATES]
    lasts = np.argsort(-ends, kind="stable")[:_NUM_CANDIDATES]
    length = lasts[None, :] - firsts[:, None]
    scores = starts[firsts][:, None] + ends[lasts][None, :]
    scores = np.where((length >= 0) & (length < _MAX_ANSWER_TOKENS), scores, -np.inf)
    first, last = np.unravel_index(int(scores.argmax()), scores.shape)
    if not np.isfinite(scores[first, last]):
        return None
    begin, end = window.offsets[firsts[first], 0], window.offsets[lasts[last], 1]
    return float(scores[first, last]), (int(begin), int(end))
