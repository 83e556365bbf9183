"""The metrics of every task, in percent.

Questions: exact match and F1 as the official scripts of SQuAD v1.1, v2 and HotpotQA count them.
Answers are lower-cased, punctuation and the articles a, an and the are removed, and runs of white
space collapsed. F1 compares multisets of words, and a question is scored by its best gold answer.
In v2 a question without an answer has the gold answer "", so F1 is 1 only if the prediction is
empty too.

Classes: scikit-learn's metrics. Tags: whole entities, as conlleval counts them.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = frozenset(string.punctuation)
_DECISIONS = frozenset(("yes", "no", "noanswer"))

_ENTITY_TAG = re.compile(r"O|[BIESLUM](-.+)?")
_SAME_PREFIX = {"L": "E", "U": "S", "M": "I"}
"""Prefixes in BILOU and BMES, and what BIOES has for them."""


def normalise_answer(text: str) -> str:
    """Return an answer in the form in which answers are compared.

    >>> normalise_answer("The  Eiffel-Tower, a tower.")
    'eiffeltower tower'
    """
    bare = "".join(char for char in text.lower() if char not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def exact_match(prediction: str, gold: str) -> float:
    """Return 1.0 if both are the same after normalisation.

    >>> exact_match("the Broncos", "Broncos!"), exact_match("Broncos", "Denver Broncos")
    (1.0, 0.0)
    """
    return float(normalise_answer(prediction) == normalise_answer(gold))


def f1(prediction: str, gold: str, *, has_decisions: bool = False) -> float:
    """Return the harmonic mean of the precision and recall of words.

    Args:
        prediction: the answer given.
        gold: a right answer.
        has_decisions: whether "yes", "no" and "noanswer" must match as a whole, as in
            hotpot_evaluate_v1.py.

    >>> f1("Denver Broncos", "the Denver Broncos team"), f1("", "x"), f1("", "")
    (0.8, 0.0, 1.0)
    >>> f1("yes it is", "yes"), f1("yes it is", "yes", has_decisions=True)
    (0.5, 0.0)
    """
    ours, theirs = normalise_answer(prediction).split(), normalise_answer(gold).split()
    if has_decisions and ours != theirs and {" ".join(ours), " ".join(theirs)} & _DECISIONS:
        return 0.0
    if not ours or not theirs:
        return float(ours == theirs)
    shared = sum((Counter(ours) & Counter(theirs)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(ours), shared / len(theirs)
    return 2 * precision * recall / (precision + recall)


def score_answers(
    predictions: Mapping[str, str],
    golds: Mapping[str, Sequence[str]],
    *,
    has_decisions: bool = False,
) -> dict[str, float]:
    """Return the means over all questions, in percent.

    Args:
        predictions: answers by question id; a missing one counts as wrong.
        golds: gold answers by question id; an empty list means that there is no answer.
        has_decisions: whether HotpotQA's rule for "yes" and "no" applies (see `f1`).

    >>> score_answers({"q": "Rome"}, {"q": ["Rome", "the city"], "r": []})
    {'exact_match': 50.0, 'f1': 50.0}
    """
    exact_sum = f1_sum = 0.0
    for question, answers in golds.items():
        if question not in predictions:
            continue
        # Like the official script, ignore answers of which normalisation leaves nothing.
        kept = [answer for answer in answers if normalise_answer(answer)] or [""]
        exact_sum += max(exact_match(predictions[question], answer) for answer in kept)
        f1_sum += max(
            f1(predictions[question], answer, has_decisions=has_decisions) for answer in kept
        )
    size = max(1, len(golds))
    return {"exact_match": 100 * exact_sum / size, "f1": 100 * f1_sum / size}


def score_classes(
    predicted: npt.NDArray[np.int64], gold: npt.NDArray[np.int64], *, negative: int | None = None
) -> dict[str, float]:
    """Return the metrics of a classification.

    Args:
        predicted: int [N], class numbers.
        gold: int [N], the right ones.
        negative: a class that means no finding, as in ChemProt, DDI and GAD: F1 leaves it out.

    Returns:
        accuracy; macro_f1, the mean over classes; micro_f1, over all decisions (equal to accuracy
        if no class is negative); f1, that of class 1; matthews, the correlation.

    >>> found = score_classes(np.array([1, 0, 1]), np.array([1, 1, 1]))
    >>> found["f1"], found["macro_f1"]
    (80.0, 40.0)
    """
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

    classes = np.union1d(predicted, gold).tolist()
    num_classes, labels = len(classes), [each for each in classes if each != negative]
    given: dict[str, Any] = {"labels": labels, "zero_division": 0.0}
    # Without any finding, predicted or gold, F1 is undefined: it counts as 0.
    mean = {
        name: float(f1_score(gold, predicted, average=name, **given)) if labels else 0.0
        for name in ("macro", "micro")
    }
    found = {
        "accuracy": float(accuracy_score(gold, predicted)),
        "macro_f1": mean["macro"],
        "micro_f1": mean["micro"],
        "f1": float(f1_score(gold == 1, predicted == 1, zero_division=0.0)),
        # With a single class there is nothing to correlate.
        "matthews": float(matthews_corrcoef(gold, predicted)) if num_classes > 1 else 0.0,
    }
    return {name: 100 * value for name, value in found.items()}


def score_label_sets(
    predicted: npt.NDArray[np.bool_], gold: npt.NDArray[np.bool_]
) -> dict[str, float]:
    """Return micro and macro F1 over labels, and how often a text's labels are all right.

    Args:
        predicted: bool [N, C], whether each text has each label.
        gold: bool [N, C].
    """
    from sklearn.metrics import accuracy_score, f1_score

    ours, theirs = predicted.astype(int), gold.astype(int)
    found = {
        f"{name}_f1": float(f1_score(theirs, ours, average=name, zero_division=0.0))
        for name in ("micro", "macro")
    }
    found["accuracy"] = float(accuracy_score(theirs, ours))
    return {name: 100 * value for name, value in found.items()}


def score_numbers(
    predicted: npt.NDArray[np.float64], gold: npt.NDArray[np.float64]
) -> dict[str, float]:
    """Return the correlations of scores, float [N] each; 0 if one side is constant or has NaN."""
    from scipy.stats import pearsonr, spearmanr

    can_vary = bool(np.ptp(predicted) > 0 and np.ptp(gold) > 0)
    pearson = float(pearsonr(predicted, gold)[0]) if can_vary else 0.0
    spearman = float(spearmanr(predicted, gold)[0]) if can_vary else 0.0
    return {"spearman": 100 * spearman, "pearson": 100 * pearson}


def are_entity_tags(tags: set[str]) -> bool:
    """Tell whether tags mark entities: BIO, BIOES, BILOU or BMES, with or without a type.

    >>> are_entity_tags({"B", "I", "O"}), are_entity_tags({"B-PER", "O"}), are_entity_tags({"NN"})
    (True, True, False)
    """
    return bool(tags - {"O"}) and all(_ENTITY_TAG.fullmatch(tag) for tag in tags)


def spans(tags: Sequence[str]) -> set[tuple[int, int, str]]:
    """Return the entities of a sentence as conlleval reads BIO: first and last word, and type.

    BIOES is understood too: E ends an entity, S is a whole one. Tags without a type have type "".

    >>> sorted(spans(["B-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-PER"]))
    [(0, 1, 'PER'), (3, 3, 'LOC'), (4, 4, 'LOC'), (5, 5, 'PER')]
    >>> sorted(spans(["B-PER", "E-PER", "I-PER", "S-PER"]))
    [(0, 1, 'PER'), (2, 2, 'PER'), (3, 3, 'PER')]
    >>> sorted(spans(["B", "I", "O", "B"]))
    [(0, 1, ''), (3, 3, '')]
    """
    found = set()
    start, kind = 0, None
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        prefix = _SAME_PREFIX.get(prefix, prefix)
        if kind is not None and (prefix not in ("I", "E") or name != kind):
            found.add((start, place - 1, kind))
            kind = None
        if prefix in ("B", "I", "E", "S") and kind is None:
            start, kind = place, name
        if prefix in ("E", "S") and kind is not None:
            found.add((start, place, kind))
            kind = None
    return found


def score_tags(
    predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]], *, has_entities: bool
) -> dict[str, float]:
    """Return the accuracy of words and, if tags mark entities, the F1 of whole entities.

    >>> score_tags([["B", "O", "O", "B"]], [["B", "I", "O", "B"]], has_entities=True)
    {'f1': 50.0, 'accuracy': 75.0}
    """
    pairs = [
        (p, g)
        for ours, theirs in zip(predicted, gold, strict=True)
        for p, g in zip(ours, theirs, strict=True)
    ]
    accuracy = 100 * sum(p == g for p, g in pairs) / max(1, len(pairs))
    if not has_entities:
        return {"accuracy": accuracy}
    ours = {(row, *span) for row, tags in enumerate(predicted) for span in spans(tags)}
    theirs = {(row, *span) for row, tags in enumerate(gold) for span in spans(tags)}
    num_spans = len(ours) + len(theirs)
    return {"f1": 200 * len(ours & theirs) / num_spans if num_spans else 0.0, "accuracy": accuracy}
