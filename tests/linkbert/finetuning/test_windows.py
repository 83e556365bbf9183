"""Windows over contexts: what they cover, what they take, and the best span over them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from linkbert.finetuning import windows as windows_module
from linkbert.finetuning.data.answers import Question
from linkbert.finetuning.features import PackedFeatures
from linkbert.finetuning.windows import (
    Window,
    answer_questions,
    answer_tokens,
    best_answers,
    cut_windows,
    shorten_questions,
    training_windows,
)
from schemas.errors import CheckpointError

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]

CONTEXT = " ".join(f"w{word}" for word in range(10, 50))


def question_of(context: str, answer: str, starts: tuple[int, ...] | None = None) -> Question:
    found = (context.index(answer),) if starts is None else starts
    return Question("q", "w1 w2", context, (answer,) if found else (), found, "g")


def covered(windows: Sequence[Window]) -> set[tuple[int, int]]:
    return {(int(begin), int(end)) for each in windows for begin, end in each.offsets}


def test_windows_cover_the_context_and_only_those_with_the_answer_point_to_it(
    tokenizer: Any,
) -> None:
    question = question_of(CONTEXT, "w30 w31")
    windows = list(cut_windows([question], tokenizer, 16, 4))
    features = training_windows([question], tokenizer, 16, 4)
    assert len(windows) == len(features) > 3
    assert len(covered(windows)) == 40
    pointed = 0
    for number, window in enumerate(windows):
        first, last = features[number]["start_positions"], features[number]["end_positions"]
        if first == 0:
            assert last == 0
            continue
        begin = window.offsets[first - window.first][0]
        stop = window.offsets[last - window.first][1]
        assert CONTEXT[begin:stop] == "w30 w31"
        pointed += 1
    assert 1 <= pointed < len(windows)
    assert answer_tokens(question_of(CONTEXT, "", ()), windows[0]) is None


def test_questions_are_numbered_through_however_many_are_cut_at_once(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = [question_of(CONTEXT, f"w{word}") for word in range(10, 17)]
    whole = list(cut_windows(questions, tokenizer, 16, 4))
    monkeypatch.setattr(windows_module, "_CUT_AT_ONCE", 2)
    parts = list(cut_windows(questions, tokenizer, 16, 4))
    assert [each.question for each in parts] == [each.question for each in whole]
    assert {each.question for each in parts} == set(range(7))


def test_a_tokenizer_without_a_frame_is_one_line(tokenizer: Any) -> None:
    tokenizer.backend_tokenizer.post_processor = None
    with pytest.raises(CheckpointError, match=r"begins a text with \[CLS\], found \['w1'"):
        training_windows([question_of(CONTEXT, "w30")], tokenizer, 16, 4)


@pytest.mark.parametrize("num_words", [29, 30, 31, 58, 62, 200])
def test_a_long_question_leaves_room_for_the_context(
    num_words: int, tokenizer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    question = Question("q", "w5 " * num_words, CONTEXT, ("w30",), (CONTEXT.index("w30"),), "g")
    shortened = shorten_questions([question], tokenizer, 30)
    assert ("1 of 1 questions were cut after 30 tokens" in caplog.text) == (num_words > 30)
    windows = list(cut_windows(shortened, tokenizer, 64, 21))
    assert all(len(each.feature["input_ids"]) <= 64 for each in windows)
    assert len(covered(windows)) == 40
    features = training_windows(shortened, tokenizer, 64, 21)
    assert any(features[row]["start_positions"] for row in range(len(features)))


def test_the_best_span_over_all_windows_is_the_answer_or_none(tokenizer: Any) -> None:
    question = question_of(CONTEXT, "w30 w31")
    windows = list(cut_windows([question], tokenizer, 16, 4))
    features = training_windows([question], tokenizer, 16, 4)
    starts = np.zeros((len(windows), 16), np.float32)
    ends = np.zeros_like(starts)
    for row in range(len(windows)):
        first, last = features[row]["start_positions"], features[row]["end_positions"]
        if first:
            starts[row, first] = ends[row, last] = 5.0
            # An end before the start, and a place in the question, are no answers.
            ends[row, first - 1] = starts[row, 1] = 9.0
    found = best_answers([question], windows, starts, ends, may_be_empty=True)
    assert found == {"q": "w30 w31"}
    starts[:, 0] = ends[:, 0] = 50.0
    assert best_answers([question], windows, starts, ends, may_be_empty=True) == {"q": ""}
    assert best_answers([question], windows, starts, ends, may_be_empty=False) == found


def test_answers_are_the_same_however_many_questions_are_asked_at_once(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that points to w20 and the word after it, wherever they stand."""
    contexts = [" ".join(CONTEXT.split()[number:]) for number in range(5)]
    questions = [
        Question(str(n), "w1", context, ("w20",), (context.index("w20"),), "g")
        for n, context in enumerate(contexts)
    ]
    wanted = tokenizer.convert_tokens_to_ids("w20")
    asked: list[int] = []

    def predict(features: PackedFeatures) -> tuple[Any, Any]:
        asked.append(len(features))
        starts = np.zeros((len(features), 16), np.float32)
        ends = np.zeros_like(starts)
        for row in range(len(features)):
            ids = features[row]["input_ids"]
            if wanted in ids[:-1]:
                starts[row, ids.index(wanted)] = ends[row, ids.index(wanted) + 1] = 9.0
        return starts, ends

    found = answer_questions(questions, tokenizer, (16, 4), predict, may_be_empty=False)
    assert len(asked) == 1
    assert set(found.values()) == {"w20 w21"}
    monkeypatch.setattr(windows_module, "_ANSWERED_AT_ONCE", 2)
    again = answer_questions(questions, tokenizer, (16, 4), predict, may_be_empty=False)
    assert again == found
    assert len(asked) == 1 + 3
