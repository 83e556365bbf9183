"""Questions with contexts, in the formats in which question files are distributed.

    SQuAD v1.1, v2    articles with paragraphs with questions
    flat              one question per object: {id, question, context, answers: {answer_start,
                      text}}, as the released LinkBERT repository and Hugging Face write them
    MRQA              one context per line, with its questions
    HotpotQA          one question per object, with paragraphs and supporting facts

A context may hold several documents: MRQA separates them by [DOC]; HotpotQA's are joined here, each
as title and text.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from linkbert.finetuning.data.answers import Question, place_answers, supported_span
from linkbert.finetuning.data.files import json_values
from schemas.errors import SchemaError

logger = logging.getLogger(__name__)

SQUAD, FLAT, MRQA, HOTPOT = "squad", "flat", "mrqa", "hotpot"

_DECISIONS = "yes no"
"""Put before each of HotpotQA's contexts, so that a model can point to these answers as well."""


@dataclass(frozen=True, slots=True)
class QuestionFile:
    """What a file of questions holds.

    Attributes:
        form: the format of the file.
        questions: all of its questions.
        counts: `num_questions`; `num_answers` that have a place in their context, or should have;
            `num_moved`, those found elsewhere than the file says; `num_lost`, those found nowhere.
    """

    form: str
    questions: list[Question]
    counts: dict[str, int]


def read_questions(path: Path, *, is_strict: bool = False, is_test: bool = False) -> QuestionFile:
    """Read a file of questions, recognising its format by its content.

    An answer that is not where the file says is moved to its nearest occurrence; one that does not
    occur still counts as right, but a model cannot point to it. A repeated question id gets a
    number, so that every question is answered separately.

    Args:
        path: plain, .gz or .xz.
        is_strict: whether to refuse an answer that is not where the file says.
        is_test: whether the file may keep its answers back.

    Raises:
        SchemaError: the format is unknown, there are no questions, or `is_strict` refuses one.
    """
    form = ""
    questions: list[Question] = []
    # Many questions share a context: it is kept once.
    contexts: dict[str, str] = {}
    try:
        for row in json_values(path):
            if "header" in row:  # MRQA's first line
                continue
            form = form or _form_of(row)
            for each in _READERS[form](row, len(questions), is_test):
                _check_texts(each)
                context = contexts.setdefault(each.context, each.context)
                questions.append(replace(each, context=context))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise SchemaError(
            f"expected questions in the format of SQuAD, MRQA, HotpotQA or flat lines in {path}, "
            f"found {_told(error)}"
        ) from error
    if not questions:
        raise SchemaError(f"expected questions, found none in {path}")
    counts = Counter({"num_questions": len(questions)})
    for number, question in enumerate(questions):
        questions[number], own = place_answers(question, path, is_strict=is_strict)
        counts.update(own)
    if counts["num_moved"] or counts["num_lost"]:
        logger.warning(
            "%s: of %d answers %d were moved to their nearest occurrence, %d were found nowhere",
            path, counts["num_answers"], counts["num_moved"], counts["num_lost"],
        )  # fmt: skip
    return QuestionFile(form, _told_apart(questions), dict(counts))


def _told(error: Exception) -> str:
    """Say in words what is wrong with a question.

    >>> _told(KeyError("context")), _told(ValueError("no answers of question 7"))
    ("one without 'context'", 'no answers of question 7')
    """
    if isinstance(error, KeyError):
        return f"one without {error.args[0]!r}"
    return str(error) if isinstance(error, ValueError) else repr(error)


def _check_texts(question: Question) -> None:
    for each in (question.question, question.context, *question.golds):
        if not isinstance(each, str):
            raise ValueError(f"{each!r} in place of a text")


def _form_of(row: dict[str, Any]) -> str:
    if "paragraphs" in row:
        return SQUAD
    if "qas" in row:
        return MRQA
    return FLAT if isinstance(row["context"], str) else HOTPOT


def _from_squad(article: dict[str, Any], number: int, is_test: bool) -> Iterator[Question]:
    group = str(article.get("title", number))
    for paragraph in article["paragraphs"]:
        for qa in paragraph["qas"]:
            yield _question(qa, str(qa["id"]), paragraph["context"], group, is_test)


def _from_flat(row: dict[str, Any], number: int, is_test: bool) -> Iterator[Question]:
    group = str(row.get("title") or row["context"])
    yield _question(row, str(row.get("id", number)), row["context"], group, is_test)


def _question(qa: dict[str, Any], name: str, context: str, group: str, is_test: bool) -> Question:
    told = qa.get("answers", qa.get("answer"))
    if told is None and not is_test and not qa.get("is_impossible"):
        raise ValueError(f"no answers of question {name}")
    texts, starts = _answers_of([] if qa.get("is_impossible") else told or [])
    return Question(name, qa["question"], context, texts, starts, group, texts)


def _answers_of(answers: Any) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return answers and where each begins, -1 if the file does not say."""
    if isinstance(answers, dict):
        texts, starts = answers.get("text", []), answers.get("answer_start", [])
        if isinstance(texts, str):
            texts, starts = [texts], [starts]
        if starts and len(starts) != len(texts):
            raise ValueError(f"{len(texts)} answers with {len(starts)} places")
        answers = [
            {"text": text, "answer_start": start}
            for text, start in zip(texts, starts or [-1] * len(texts), strict=True)
        ]
    answers = [answers] if isinstance(answers, str) else answers
    rows = [{"text": each} if isinstance(each, str) else each for each in answers]
    # Some files write a start as a string or as a float.
    return tuple(row["text"] for row in rows), tuple(
        int(row.get("answer_start", -1)) for row in rows
    )


def _from_mrqa(row: dict[str, Any], number: int, is_test: bool) -> Iterator[Question]:
    context = row["context"]
    for qa in row["qas"]:
        spans = [
            (start, _spelled(context[start : last + 1], found.get("text")))
            for found in qa.get("detected_answers", [] if is_test else None)
            for start, last in found["char_spans"]  # both ends are inside
        ]
        answers = tuple(answer for _, answer in spans)
        yield Question(
            str(qa["qid"] if "qid" in qa else qa["id"]), qa["question"], context, answers,
            tuple(start for start, _ in spans), str(number), tuple(qa.get("answers", answers)),
        )  # fmt: skip


def _spelled(found: str, told: str | None) -> str:
    """Return an answer as the context spells it, or as given if something else is in its place.

    >>> _spelled("U. S.", "u.s."), _spelled("n Rom", "Rome")
    ('U. S.', 'Rome')
    """
    is_same = told is None or "".join(found.lower().split()) == "".join(told.lower().split())
    return found if is_same else str(told)


def _from_hotpot(row: dict[str, Any], _number: int, is_test: bool) -> Iterator[Question]:
    paragraphs, facts = row["context"], row.get("supporting_facts", [])
    if isinstance(paragraphs, dict):  # Hugging Face's version has columns
        paragraphs = list(zip(paragraphs["title"], paragraphs["sentences"], strict=True))
        facts = list(zip(facts["title"], facts["sent_id"], strict=True)) if facts else []
    name = str(row["_id"] if "_id" in row else row["id"])
    answer = row.get("answer", "") if is_test else row["answer"]
    context, span = supported_span(answer, paragraphs, facts, _DECISIONS)
    answers, starts = ((answer,), (span,)) if span is not None else ((), ())
    golds = (answer,) if answer else ()
    yield Question(name, row["question"], context, answers, starts, name, golds)


_READERS = {SQUAD: _from_squad, FLAT: _from_flat, MRQA: _from_mrqa, HOTPOT: _from_hotpot}


def _told_apart(questions: list[Question]) -> list[Question]:
    seen: Counter[str] = Counter()
    found = []
    for each in questions:
        seen[each.question_id] += 1
        number = seen[each.question_id]
        again = replace(each, question_id=f"{each.question_id}#{number}")
        found.append(each if number == 1 else again)
    return found
