"""Where answers stand, distractors and halves."""

from dataclasses import replace
from pathlib import Path

import pytest

from linkbert.finetuning.data.answers import (
    Question,
    add_distractors,
    findable,
    halves,
    nearest,
    place_answers,
    supported_span,
)
from schemas.errors import SchemaError

HERE = Path("train.json")


def question_of(title: str, context: str, answer: str, start: int) -> Question:
    return Question(title, "Where?", context, (answer,), (start,), title, (answer,))


QUESTIONS = [
    question_of("Rome", "Rome lies in Italy.", "Italy", 13),
    question_of("Oslo", "Oslo lies in Norway.", "Norway", 13),
    question_of("Bern", "Bern lies on the Aare.", "the Aare", 13),
]


@pytest.mark.parametrize(
    ("text", "answer", "start", "expected"),
    [
        ("one two one two", "two", 6, (4, 7)),
        ("one two one two", "two", 11, (12, 15)),
        # A whole word near by goes before a part of one that is nearer.
        ("he said that the 15 mg of 5", "5", 18, (26, 27)),
        # A part of a word is better than the same word elsewhere.
        ("5 " + "x " * 100 + "15mg", "5", 202, (203, 204)),
        # Nothing but blanks may differ.
        ("a\n b\u00a0c", "a b c", 3, (0, 6)),
        ("naïve", "naive", 0, None),
        ("aaa", "aa", 1, (1, 3)),
        ("x (a+b)* y", "(a+b)*", 9, (2, 8)),
        ("text", "", 0, None),
        ("text", " ", 0, None),
        ("text", "text", -1, (0, 4)),
    ],
)
def test_the_nearest_occurrence(
    text: str, answer: str, start: int, expected: tuple[int, int] | None
) -> None:
    assert nearest(text, answer, start) == expected


def test_an_answer_that_stands_where_it_should_stays_even_inside_a_word() -> None:
    right = question_of("q", "15 or 5", "5", 1)
    placed, counts = place_answers(right, HERE, is_strict=True)
    assert (placed, counts["num_moved"], counts["num_lost"]) == (right, 0, 0)


def test_each_of_several_answers_has_its_own_place() -> None:
    several = Question("q", "?", "x Ann y Bob", ("Ann", "Eve", "Bob"), (0, 2, 8), "g", ("Ann",))
    placed, counts = place_answers(several, HERE, is_strict=False)
    assert placed.answers == ("Ann", "Bob")
    assert placed.starts == (2, 8)
    assert counts == {"num_answers": 3, "num_moved": 1, "num_lost": 1}


PARAGRAPHS = [
    ["Annapolis", ["Ann was here. "]],
    ["Other", ["Annapolis is far. ", "It was Ann. "]],
    ["Ann", ["Nobody else. "]],
]


@pytest.mark.parametrize(
    ("answer", "facts", "around"),
    [
        ("Ann", [["Other", 1]], "It was |Ann."),
        ("Ann", [["Other", [0, 1], ["x"]]], "It was |Ann."),
        # The sentence lacks it, its paragraph has it.
        ("Ann", [["Other", 0]], "It was |Ann."),
        ("Ann", [["Ann", 0]], " |Ann: Nobody"),
        # No fact is told: any place.
        ("Ann", [], "Annapolis: |Ann was"),
        ("no", [["Other", 1]], "yes |no Annapolis"),
    ],
)
def test_a_hotpot_answer_stands_in_what_supports_it(
    answer: str, facts: list[list[object]], around: str
) -> None:
    context, start = supported_span(answer, PARAGRAPHS, facts, "yes no")
    assert start is not None
    before, after = around.split("|")
    assert context[:start].endswith(before)
    assert context[start:].startswith(after)


@pytest.mark.parametrize(
    ("answer", "facts"),
    [("Ann", [["Annapoli", 0]]), ("polis", []), ("", []), ("far", [["Ann", 0]])],
)
def test_a_hotpot_answer_in_distracting_paragraphs_or_words_is_none(
    answer: str, facts: list[list[object]]
) -> None:
    assert supported_span(answer, PARAGRAPHS, facts, "yes no")[1] is None


def test_a_question_without_a_place_is_not_learned_from(caplog: pytest.LogCaptureFixture) -> None:
    answered = QUESTIONS[0]
    lost = replace(answered, answers=(), starts=())
    unanswerable = replace(lost, golds=())
    assert findable([lost, unanswerable, answered], HERE) == [unanswerable, answered]
    assert "1 of 3 training questions were left out" in caplog.text
    with pytest.raises(SchemaError, match="occur in their contexts"):
        findable([lost], HERE)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_distractors_come_from_other_articles_and_answers_move_along(number: int) -> None:
    plain = QUESTIONS
    places = set()
    for seed in range(5):
        for before, after in zip(plain, add_distractors(plain, number, seed), strict=True):
            start = after.starts[0]
            assert after.context[start : start + len(after.answers[0])] == after.answers[0]
            added = [each for each in plain if each.context in after.context]
            assert len(added) == number + 1
            assert before.context in after.context
            places.add(after.context.index(before.context) > 0)
    assert places == ({False} if number == 0 else {True, False})


def test_more_distractors_than_there_are_contexts_are_refused() -> None:
    with pytest.raises(SchemaError, match=r"3 contexts of other articles .* found 2"):
        add_distractors(QUESTIONS, 3, 0)


def test_one_article_has_no_distractors() -> None:
    with pytest.raises(SchemaError, match=r"1 contexts of other articles .* found 0"):
        add_distractors(QUESTIONS[:1], 1, 0)


def test_halves_share_no_group_and_lose_nothing() -> None:
    plain = QUESTIONS
    dev, test = halves(plain)
    assert dev
    assert test
    assert not {each.group for each in dev} & {each.group for each in test}
    assert {each.question_id for each in [*dev, *test]} == {each.question_id for each in plain}
