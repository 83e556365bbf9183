"""Exact match and F1 against cases computed by hand from the official scripts' rules."""

import pytest

from linkbert.finetuning.squad_metrics import exact_match, f1, normalise_answer, score_answers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Cat.", "cat"),
        ("a an the", ""),
        ("U.S. Navy", "us navy"),
        ("  two\twords\n", "two words"),
        # Articles go as whole words only, after the punctuation.
        ("Theatre of the Absurd", "theatre of absurd"),
        ("state-of-the-art", "stateoftheart"),
        ("5,000", "5000"),
        # Only ASCII punctuation: the dash stays, as in the official script.
        ("1914–1918", "1914–1918"),
    ],
)
def test_normalisation(text: str, expected: str) -> None:
    assert normalise_answer(text) == expected


@pytest.mark.parametrize(
    ("prediction", "gold", "exact", "expected"),
    [
        ("Denver Broncos", "Denver Broncos", 1.0, 1.0),
        ("the Denver Broncos", "Denver Broncos!", 1.0, 1.0),
        # 2 shared of 3 and of 2: precision 2/3, recall 1, F1 0.8
        ("Denver Broncos team", "Denver Broncos", 0.0, 0.8),
        # words count as multisets: 1 shared "x" of 3 and of 1: 2 * (1/3 * 1) / (4/3) = 0.5
        ("x x x", "x", 0.0, 0.5),
        ("x y", "y z x x", 0.0, 2 / 3),
        ("cat", "dog", 0.0, 0.0),
        ("", "dog", 0.0, 0.0),
        ("", "", 1.0, 1.0),
        # An answer of articles alone normalises to nothing.
        ("the", "", 1.0, 1.0),
    ],
)
def test_exact_match_and_f1(prediction: str, gold: str, exact: float, expected: float) -> None:
    assert exact_match(prediction, gold) == exact
    assert f1(prediction, gold) == pytest.approx(expected)


def test_the_best_gold_answer_counts_and_all_questions_are_averaged() -> None:
    golds = {
        "one": ["Broncos", "Denver Broncos"],  # exact on the second
        "two": ["the big red dog", "cat"],  # F1 of "red dog" to "big red dog": 0.8
        "none": [],  # no answer, and none given
        "wrongly": [],  # no answer, but one given
        "missing": ["x"],  # not predicted
    }
    predictions = {"one": "Denver Broncos", "two": "red dog", "none": "", "wrongly": "something"}
    found = score_answers(predictions, golds)
    assert found["exact_match"] == pytest.approx(100 * (1 + 0 + 1 + 0 + 0) / 5)
    assert found["f1"] == pytest.approx(100 * (1 + 0.8 + 1 + 0 + 0) / 5)


def test_a_gold_answer_of_articles_alone_is_dropped_where_another_stands() -> None:
    assert score_answers({"q": ""}, {"q": ["the", "dog"]})["exact_match"] == 0.0
