"""Where answers occur in their contexts, and what held-out contexts are made of.

In: questions as they were read. Out: questions whose answers a model can point to, contexts with
distracting documents, and the two halves of a held-out file.
"""

from __future__ import annotations

import itertools
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from schemas.counter_rng import UInt64Array, counter_bits, counter_key
from schemas.errors import SchemaError

logger = logging.getLogger(__name__)

_WORDS_AT_ONCE = 64
_INSIDE_WORD_CHARS = 100
"""Penalty, in characters of distance, for an occurrence inside a word ("he" in "the")."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a context.

    Attributes:
        question_id: its id in the data set.
        question: its text.
        context: the text of one or several documents.
        answers: the answers as the context spells them; empty if none occurs in it.
        starts: where each of them begins in the context, in characters.
        group: the document or article; distractors come from other groups.
        golds: the answers that count as right; empty if the question has no answer.
    """

    question_id: str
    question: str
    context: str
    answers: tuple[str, ...]
    starts: tuple[int, ...]
    group: str
    golds: tuple[str, ...] = ()


def place_answers(
    question: Question, path: Path, *, is_strict: bool
) -> tuple[Question, dict[str, int]]:
    """Move each answer to its occurrence nearest to its start; leave out those found nowhere.

    Returns:
        The question, and its `num_answers`, `num_moved` and `num_lost`.

    Raises:
        SchemaError: `is_strict`, and an answer is not where it should be.
    """
    answers, starts = [], []
    num_moved = 0
    for answer, start in zip(question.answers, question.starts, strict=True):
        is_right = bool(answer) and start >= 0 and question.context.startswith(answer, start)
        if not is_right and is_strict:
            raise SchemaError(
                f"expected {answer!r} at character {start} of the context of question "
                f"{question.question_id} in {path}, found other text: correct the file, or "
                "leave out --strict"
            )
        found = (
            (start, start + len(answer)) if is_right else nearest(question.context, answer, start)
        )
        if found is not None:
            num_moved += not is_right
            answers.append(question.context[found[0] : found[1]])
            starts.append(found[0])
    placed = replace(question, answers=tuple(answers), starts=tuple(starts))
    # An answer of HotpotQA's that occurs nowhere never had a place.
    num_answers = max(len(question.answers), bool(question.golds))
    num_lost = num_answers - len(answers)
    return placed, {"num_answers": num_answers, "num_moved": num_moved, "num_lost": num_lost}


def nearest(text: str, answer: str, start: int) -> tuple[int, int] | None:
    """Return begin and end of the occurrence of an answer nearest to a position, None without one.

    Any white space matches any other. Case is ignored only if the answer does not occur as it is
    spelled. Whole words are preferred.

    >>> nearest("the man said he would", "he", 9), nearest("a  b", "a b", 0), nearest("x", "y", 0)
    ((13, 15), (0, 4), None)
    >>> nearest("in Rome", "rome", 0)
    (3, 7)
    """
    form = r"\s+".join(re.escape(word) for word in answer.split())
    found: list[tuple[int, int]] = []
    for rule in (re.NOFLAG, re.IGNORECASE) if form else ():
        # A lookahead consumes nothing, so occurrences may overlap.
        found = found or [m.span(1) for m in re.finditer(f"(?=({form}))", text, rule)]
    return min(found, key=lambda span: _distance(text, span, start), default=None)


def _distance(text: str, span: tuple[int, int], start: int) -> int:
    return abs(span[0] - max(start, 0)) + _INSIDE_WORD_CHARS * (not is_whole(text, *span))


def is_whole(text: str, begin: int, end: int) -> bool:
    """Tell whether a span begins and ends at word boundaries.

    >>> is_whole("Annapolis", 0, 4), is_whole("Anna, 4", 0, 4)
    (False, True)
    """
    cuts_first = begin > 0 and text[begin - 1].isalnum() and text[begin].isalnum()
    cuts_last = end < len(text) and text[end - 1].isalnum() and text[end].isalnum()
    return not (cuts_first or cuts_last)


def supported_span(
    answer: str, paragraphs: Iterable[Sequence[Any]], facts: Iterable[Sequence[Any]], prefix: str
) -> tuple[str, int | None]:
    """Join HotpotQA's paragraphs into a context; return it and the start of the answer, or None.

    The answer is looked for in the supporting sentences, then in the rest of their paragraphs, then
    in the titles of those: an equal string in a distracting paragraph is not the answer. If no
    supporting facts are given, any paragraph will do.

    Args:
        answer: its text, matched as whole words.
        paragraphs: title and sentences of each.
        facts: title and sentence number (or numbers) of each supporting sentence.
        prefix: the beginning of the context, where the decisions ("yes", "no") are.
    """
    sentences_of: dict[str, set[int]] = {}
    for title, numbers, *_ in facts:
        own = sentences_of.setdefault(title, set())
        own.update(numbers if isinstance(numbers, list) else [numbers])
    parts, length = [prefix], len(prefix)
    ranked: tuple[list[tuple[int, int]], ...] = ([], [], [])
    for title, sentences, *_ in paragraphs:
        parts.append(f" {title}: {''.join(sentences)}")
        begin, length = length + 1, length + len(parts[-1])
        is_support = not sentences_of or title in sentences_of
        place = begin + len(title) + 2
        if is_support:
            ranked[1].append((place, length))
            ranked[2].append((begin, place))
        for number, sentence in enumerate(sentences):
            if number in sentences_of.get(title, ()):
                ranked[0].append((place, place + len(sentence)))
            place += len(sentence)
    context = "".join(parts)
    places = [(0, len(prefix))] if answer in prefix.split() else itertools.chain(*ranked)
    found = (_first_whole(context, answer, *place) for place in places)
    return context, next((start for start in found if start is not None), None)


def _first_whole(text: str, answer: str, begin: int, end: int) -> int | None:
    start = text.find(answer, begin, end) if answer else -1
    while start >= 0 and not is_whole(text, start, start + len(answer)):
        start = text.find(answer, start + 1, end)
    return start if start >= 0 else None


def findable(questions: list[Question], path: Path) -> list[Question]:
    """Leave out questions whose answer is not in the context: there is nothing to point to.

    Raises:
        SchemaError: none is left.
    """
    found = [each for each in questions if each.starts or not each.golds]
    if not found:
        raise SchemaError(
            f"expected answers that occur in their contexts, found none in {path}: "
            "choose another training file"
        )
    if len(found) < len(questions):
        logger.warning(
            "%d of %d training questions were left out: their answer is not in the context",
            len(questions) - len(found), len(questions),
        )  # fmt: skip
    return found


def add_distractors(questions: Sequence[Question], number: int, seed: int) -> list[Question]:
    """Put contexts of other articles before and after each context, in random order.

    LinkBERT (arXiv:2203.15827), section 5.3, adds one or two documents to SQuAD's contexts.

    Raises:
        SchemaError: the other articles do not have that many contexts.
    """
    contexts = list(dict.fromkeys((each.context, each.group) for each in questions))
    by_text: dict[str, set[str]] = {}
    for context, group in contexts:
        by_text.setdefault(context, set()).add(group)
    # A text that occurs in several articles can distract in any of them.
    owned = Counter(next(iter(groups)) for groups in by_text.values() if len(groups) == 1)
    most = max(owned.values(), default=0)
    if len(by_text) - most < number:
        raise SchemaError(
            f"expected {number} contexts of other articles as distractors, found "
            f"{len(by_text) - most}: ask for fewer --distractors"
        )
    key = counter_key(seed, "distractors")
    found = []
    for row, each in enumerate(questions):
        words = _endless(counter_bits(key, row))
        chosen: list[str] = []
        while len(chosen) < number:
            context, group = contexts[next(words) % len(contexts)]
            if group != each.group and context not in chosen:
                chosen.append(context)
        place = next(words) % (number + 1)
        before = "".join(f"{context} " for context in chosen[:place])
        after = "".join(f" {context}" for context in chosen[place:])
        starts = tuple(start + len(before) for start in each.starts)
        found.append(replace(each, context=f"{before}{each.context}{after}", starts=starts))
    return found


def _endless(key: UInt64Array) -> Iterator[int]:
    for start in itertools.count(0, _WORDS_AT_ONCE):
        yield from counter_bits(key, np.arange(start, start + _WORDS_AT_ONCE)).tolist()


def halves(questions: Sequence[Question]) -> tuple[list[Question], list[Question]]:
    """Split held-out questions into dev and test, whole groups at a time (MRQA has no test)."""
    groups = sorted({each.group for each in questions})
    words = counter_bits(counter_key(0, "halves"), np.arange(len(groups)))
    order = np.argsort(words)
    first = {groups[place] for place in order[: max(1, len(groups) // 2)]}
    dev = [each for each in questions if each.group in first]
    test = [each for each in questions if each.group not in first]
    return dev, test
