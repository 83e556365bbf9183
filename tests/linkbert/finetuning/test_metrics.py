"""Figures against cases computed by hand from the official scripts' rules."""

import numpy as np
import pytest

from linkbert.finetuning.metrics import (
    are_entity_tags,
    exact_match,
    f1,
    normalise_answer,
    score_answers,
    score_classes,
    score_label_sets,
    score_numbers,
    score_tags,
    spans,
)


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


@pytest.mark.parametrize(
    ("prediction", "gold", "plain", "official"),
    [
        ("yes", "yes", 1.0, 1.0),
        ("Yes.", "yes", 1.0, 1.0),
        ("yes it is", "yes", 0.5, 0.0),
        ("no", "no way", 2 / 3, 0.0),
        ("noanswer", "no", 0.0, 0.0),
        ("the yes men", "yes men", 1.0, 1.0),
    ],
)
def test_hotpots_decisions_are_right_as_a_whole_or_not_at_all(
    prediction: str, gold: str, plain: float, official: float
) -> None:
    assert f1(prediction, gold) == pytest.approx(plain)
    assert f1(prediction, gold, has_decisions=True) == pytest.approx(official)
    found = score_answers({"q": prediction}, {"q": [gold]}, has_decisions=True)
    assert found["f1"] == pytest.approx(100 * official)


def test_classes_by_hand() -> None:
    # class 0: 1 of 2 and of 1 right; class 1: 0 of 1 and of 1; class 2: 1 of 1 and of 2
    found = score_classes(np.array([0, 0, 1, 2]), np.array([0, 1, 2, 2]))
    assert found["accuracy"] == found["micro_f1"] == 50.0
    assert found["macro_f1"] == pytest.approx(100 * (2 / 3 + 0 + 2 / 3) / 3)
    assert found["f1"] == 0.0
    # (2*1 - 1*0) / sqrt(3*2*1*2)
    found = score_classes(np.array([1, 1, 1, 0]), np.array([1, 1, 0, 0]))
    assert found["matthews"] == pytest.approx(100 * 2 / 12**0.5)
    # 2 of 3 found, 2 of 2 right
    assert score_classes(np.array([1, 1, 0, 0]), np.array([1, 1, 1, 0]))["f1"] == 80.0


def test_a_class_that_is_no_finding_is_left_out_of_f1() -> None:
    """ChemProt and DDI: 1 finding right, 2 given, 3 to be found: 2 / (2 + 3)."""
    found = score_classes(np.array([0, 1, 2, 0, 0]), np.array([0, 1, 0, 2, 1]), negative=0)
    assert found["micro_f1"] == pytest.approx(40.0)
    assert found["accuracy"] == 40.0
    assert score_classes(np.array([0]), np.array([0]), negative=0)["micro_f1"] == 0.0


def test_label_sets_by_hand() -> None:
    predicted = np.array([[1, 1], [0, 0], [0, 1]], bool)
    gold = np.array([[1, 0], [0, 0], [0, 1]], bool)
    found = score_label_sets(predicted, gold)
    # 2 right of 3 given and 2 gold; class 0: 1, class 1: 2/3
    assert found["micro_f1"] == pytest.approx(80.0)
    assert found["macro_f1"] == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert found["accuracy"] == pytest.approx(100 * 2 / 3)


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        ([1.0, 2.0, 4.0], {"spearman": 100.0, "pearson": 98.198}),
        ([1.0, 1.0, 1.0], {"spearman": 0.0, "pearson": 0.0}),
        ([float("nan")] * 3, {"spearman": 0.0, "pearson": 0.0}),
    ],
)
def test_correlations_by_hand(predicted: list[float], expected: dict[str, float]) -> None:
    found = score_numbers(np.array(predicted), np.array([0.0, 1.0, 2.0]))
    assert found == pytest.approx(expected, abs=1e-3)


def test_entities_count_whole() -> None:
    gold = [["B-PER", "I-PER", "O"], ["B-LOC", "O", "O"]]
    assert score_tags(gold, gold, has_entities=True) == {"f1": 100.0, "accuracy": 100.0}
    predicted = [["B-PER", "O", "O"], ["B-LOC", "O", "O"]]
    found = score_tags(predicted, gold, has_entities=True)
    assert found["f1"] == pytest.approx(50.0)
    assert found["accuracy"] == pytest.approx(100 * 5 / 6)
    assert score_tags([["NN"]], [["NN"]], has_entities=False) == {"accuracy": 100.0}
    assert score_tags([["O"]], [["O"]], has_entities=True)["f1"] == 0.0


def test_bare_tags_have_an_f1() -> None:
    found = score_tags([["B", "O", "O", "B"]], [["B", "I", "O", "B"]], has_entities=True)
    assert found["f1"] == 50.0


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["B-X", "L-X", "U-X"], {(0, 1, "X"), (2, 2, "X")}),
        (["B", "M", "E", "S"], {(0, 2, ""), (3, 3, "")}),
        (["I", "I", "O", "I"], {(0, 1, ""), (3, 3, "")}),
        (["I-A", "I-B"], {(0, 0, "A"), (1, 1, "B")}),
    ],
)
def test_schemes_of_tags(tags: list[str], expected: set[tuple[int, int, str]]) -> None:
    assert spans(tags) == expected


def test_parts_of_speech_are_no_entities() -> None:
    assert not are_entity_tags({"NN", "O", "IN"})
    assert not are_entity_tags({"O"})
    assert are_entity_tags({"B-Chemical", "I-Chemical", "O"})
