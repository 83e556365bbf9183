"""Exact match and F1 as the official evaluation scripts of SQuAD v1.1 and v2 count them.

Answers are lower-cased, freed of punctuation and of the articles a, an, the, and their blanks
joined; F1 is over words as multisets; a question counts its best gold answer. In v2 a question
without an answer has the gold answer "", and F1 is then 1 only where the prediction is empty too.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = frozenset(string.punctuation)


def normalise_answer(text: str) -> str:
    """Return an answer as it is compared.

    >>> normalise_answer("The  Eiffel-Tower, a tower.")
    'eiffeltower tower'
    """
    bare = "".join(char for char in text.lower() if char not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def exact_match(prediction: str, gold: str) -> float:
    """Return 1.0 where both are the same once normalised.

    >>> exact_match("the Broncos", "Broncos!"), exact_match("Broncos", "Denver Broncos")
    (1.0, 0.0)
    """
    return float(normalise_answer(prediction) == normalise_answer(gold))


def f1(prediction: str, gold: str) -> float:
    """Return the harmonic mean of precision and recall of words.

    >>> f1("Denver Broncos", "the Denver Broncos team"), f1("", "x"), f1("", "")
    (0.8, 0.0, 1.0)
    """
    ours, theirs = normalise_answer(prediction).split(), normalise_answer(gold).split()
    if not ours or not theirs:
        return float(ours == theirs)
    shared = sum((Counter(ours) & Counter(theirs)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(ours), shared / len(theirs)
    return 2 * precision * recall / (precision + recall)


def score_answers(
    predictions: Mapping[str, str], golds: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """Return the means over all questions, in percent.

    Args:
        predictions: answer by question id; a missing one counts as wrong.
        golds: gold answers by question id; none means that there is no answer.

    >>> score_answers({"q": "Rome"}, {"q": ["Rome", "the city"], "r": []})
    {'exact_match': 50.0, 'f1': 50.0}
    """
    exact_sum = f1_sum = 0.0
    for question, answers in golds.items():
        if question not in predictions:
            continue
        # Answers that normalise to nothing cannot be found; the official script drops them.
        kept = [answer for answer in answers if normalise_answer(answer)] or [""]
        exact_sum += max(exact_match(predictions[question], answer) for answer in kept)
        f1_sum += max(f1(predictions[question], answer) for answer in kept)
    size = max(1, len(golds))
    return {"exact_match": 100 * exact_sum / size, "f1": 100 * f1_sum / size}
