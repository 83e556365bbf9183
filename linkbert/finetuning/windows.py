"""Windows over long contexts, and the best span over all windows of a question.

In: questions (`data.questions`). Out: packed windows to train on, or each question's answer. A
context that is longer than a window is cut into windows that overlap by `stride` tokens; in a
window without the answer, [CLS] is the answer (Devlin et al., BERT, arXiv:1810.04805, section 4.3).

Windows are cut a few questions at a time, and the offsets of their tokens are kept only until the
answers have been read from a model's scores.
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
Predict = Callable[[PackedFeatures], tuple[FloatArray, ...]]
"""Return each token's logits to begin and to end the answer, float [W, T]; padding may follow."""

_MODEL_INPUTS = ("input_ids", "token_type_ids")
_MAX_ANSWER_TOKENS = 30
_NUM_CANDIDATES = 20
_CUT_AT_ONCE = 32
"""Questions encoded at one time: as lists, a window of 384 tokens takes 171 kB."""
_ANSWERED_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Window:
    """A question and a part of its context.

    Attributes:
        question: the number of the question.
        feature: the inputs of the model.
        first: the position of the first token of the context.
        offsets: int32 [C, 2], where each token of the context begins and ends, in characters.
    """

    question: int
    feature: dict[str, list[int]]
    first: int
    offsets: npt.NDArray[np.int32]


def shorten_questions(questions: Sequence[Question], tokenizer: Any, limit: int) -> list[Question]:
    """Cut each question after its first tokens, as BERT does, and log how many were longer."""
    found, num_cut = [], 0
    for start in range(0, len(questions), _ANSWERED_AT_ONCE):
        part = questions[start : start + _ANSWERED_AT_ONCE]
        texts = [each.question.strip() for each in part]
        encoded = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
        for each, text, offsets in zip(part, texts, encoded["offset_mapping"], strict=True):
            is_long = len(offsets) > limit
            num_cut += is_long
            found.append(replace(each, question=text[: offsets[limit - 1][1]] if is_long else text))
    if num_cut:
        logger.warning("%d of %d questions were cut after %d tokens", num_cut, len(found), limit)
    return found


def _question_limit(max_length: int) -> int:
    """Return the tokens that a question may take: half a window, less the special ones."""
    return max_length // 2 - 2


def cut_windows(
    questions: Sequence[Question], tokenizer: Any, max_length: int, stride: int
) -> Iterator[Window]:
    """Encode questions with their contexts, in as many windows as needed."""
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
    """Return a copy of a text, to be freed as soon as the tokenizer is done with it.

    A string that is not ASCII caches its UTF-8 once it was asked for, as long as it lives: the
    contexts themselves would take half as much memory again.
    """
    return "".join((text[:1], text[1:]))


def training_windows(
    questions: Sequence[Question], tokenizer: Any, max_length: int, stride: int
) -> PackedFeatures:
    """Return all windows with the first and the last token of the answer.

    Raises:
        CheckpointError: the tokenizer puts no [CLS] before its texts.
    """
    questions = shorten_questions(questions, tokenizer, _question_limit(max_length))
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
    """Return the first and last token of the first answer, None if the window lacks it."""
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
    """Return the answers by question id, working on a few hundred questions at a time.

    Args:
        questions: the questions to answer.
        tokenizer: the model's.
        window: the length of a window and of the overlap of two windows, in tokens.
        predict: the model.
        may_be_empty: whether a question may have no answer (SQuAD v2).
    """
    answers: dict[str, str] = {}
    questions = shorten_questions(questions, tokenizer, _question_limit(window[0]))
    for start in range(0, len(questions), _ANSWERED_AT_ONCE):
        part = questions[start : start + _ANSWERED_AT_ONCE]
        windows = list(cut_windows(part, tokenizer, *window))
        features = PackedFeatures(len(tokenizer))
        for each in windows:
            features.append(each.feature)
        # Some models return more than the scores of both ends.
        starts, ends, *_ = predict(features)
        answers |= best_answers(part, windows, starts, ends, may_be_empty=may_be_empty)
    return answers


def best_answers(
    questions: Sequence[Question],
    windows: Sequence[Window],
    starts: FloatArray,
    ends: FloatArray,
    *,
    may_be_empty: bool,
) -> dict[str, str]:
    """Return the best span of each question over its windows, "" if [CLS] scores higher.

    Args:
        questions: the questions asked.
        windows: those of these questions.
        starts: float [W, T], logits of each token to begin the answer; padding may follow.
        ends: the same for its end.
        may_be_empty: whether a question may have no answer (SQuAD v2).
    """
    best: dict[int, tuple[float, str]] = {}
    empty: dict[int, float] = {}
    for row, window in enumerate(windows):
        number = window.question
        # [CLS] must score higher than the best span in every window, so its lowest score counts.
        none = float(starts[row][0] + ends[row][0])
        empty[number] = min(empty.get(number, none), none)
        found = _best_span(window, starts[row], ends[row])
        if found is None:
            continue
        score, (first, last) = found
        if number not in best or score > best[number][0]:
            # For a byte-level tokenizer the blank before a word is part of the word.
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
