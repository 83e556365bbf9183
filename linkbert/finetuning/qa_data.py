"""Questions with contexts, from SQuAD JSON, MRQA jsonl(.gz) or HotpotQA with distractors.

A context may hold several documents: MRQA writes them one after the other with [DOC] between, and
HotpotQA's are put together here as title and text. Any file may be plain, .gz or .xz.
"""

from __future__ import annotations

import gzip
import itertools
import json
import logging
import lzma
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from schemas.counter_rng import UInt64Array, counter_bits, counter_key
from schemas.errors import SchemaError

logger = logging.getLogger(__name__)

_WORDS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a context.

    Attributes:
        question_id: of the data set.
        question: text.
        context: text, of one or several documents.
        answers: as they stand in the context; none where there is none, or it stands nowhere.
        starts: where each begins in the context, in characters.
        group: the document or article; distractors come from other groups.
        golds: answers that count as right; none where there is no answer.
    """

    question_id: str
    question: str
    context: str
    answers: tuple[str, ...]
    starts: tuple[int, ...]
    group: str
    golds: tuple[str, ...] = ()


def read_text(path: Path) -> str:
    """Return the text of a plain, .gz or .xz file.

    Raises:
        SchemaError: it cannot be read as such.
    """
    openers: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}
    try:
        with openers.get(path.suffix, open)(path, "rt", encoding="utf-8-sig", newline="") as file:
            return str(file.read())
    except (OSError, EOFError, UnicodeDecodeError, lzma.LZMAError) as error:
        raise SchemaError(f"expected text in {path}, found {error}") from error


def read_questions(path: Path) -> list[Question]:
    """Read a file of questions; its form is told by its content.

    An id that stands there again gets a number, so that every question is answered on its own.

    Raises:
        SchemaError: it is of no known form, or an answer does not stand where it should.
    """
    try:
        questions = list(_questions_of(_values_of(read_text(path))))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise SchemaError(
            f"expected SQuAD JSON, MRQA or HotpotQA lines in {path}, found {error!r}"
        ) from error
    for each in questions:
        for answer, start in zip(each.answers, each.starts, strict=True):
            if each.context[start : start + len(answer)] != answer:
                raise SchemaError(
                    f"expected {answer!r} at character {start} of the context of question "
                    f"{each.question_id} in {path}, found another text"
                )
    if not questions:
        raise SchemaError(f"expected questions, found none in {path}")
    seen: Counter[str] = Counter()
    for place, each in enumerate(questions):
        seen[each.question_id] += 1
        if seen[each.question_id] > 1:
            new_id = f"{each.question_id}#{seen[each.question_id]}"
            questions[place] = replace(each, question_id=new_id)
    return questions


def _values_of(text: str) -> list[dict[str, Any]]:
    """Return the one JSON value of a text, those of its list, or those of its lines."""
    try:
        whole = json.loads(text)
    except ValueError:
        # JSON may hold line separators of Unicode: a line ends at a line feed alone.
        lines = enumerate(text.split("\n"), 1)
        return [_line_value(line, number) for number, line in lines if line.strip()]
    return whole if isinstance(whole, list) else [whole]


def _line_value(line: str, number: int) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except ValueError as error:
        raise ValueError(f"in line {number}: {error}") from error


def _questions_of(values: list[dict[str, Any]]) -> Iterator[Question]:
    rows = [row for row in values if "header" not in row]
    if rows and "data" in rows[0]:
        return _from_squad(rows[0])
    return _from_hotpot(rows) if rows and "_id" in rows[0] else _from_mrqa(rows)


def _from_squad(values: dict[str, Any]) -> Iterator[Question]:
    for article_number, article in enumerate(values["data"]):
        group = str(article.get("title", article_number))
        for paragraph in article["paragraphs"]:
            for qa in paragraph["qas"]:
                answers = [] if qa.get("is_impossible") else qa["answers"]
                texts = tuple(answer["text"] for answer in answers)
                yield Question(
                    str(qa["id"]), qa["question"], paragraph["context"], texts,
                    tuple(answer["answer_start"] for answer in answers), group, texts,
                )  # fmt: skip


def _from_mrqa(rows: list[dict[str, Any]]) -> Iterator[Question]:
    for number, row in enumerate(rows):
        context = row["context"]
        for qa in row["qas"]:
            # Both ends of a span are inside it. Its text in the context is what can be found.
            spans = [span for found in qa["detected_answers"] for span in found["char_spans"]]
            answers = tuple(context[start : last + 1] for start, last in spans)
            yield Question(
                str(qa["qid"]), qa["question"], context, answers,
                tuple(start for start, _ in spans), str(number), tuple(qa.get("answers", answers)),
            )  # fmt: skip


def _from_hotpot(rows: list[dict[str, Any]]) -> Iterator[Question]:
    for row in rows:
        documents = [f"{title}: {''.join(sentences)}" for title, sentences, *_ in row["context"]]
        context = " ".join(["yes no", *documents])
        start = context.find(row["answer"])
        answers, starts = ((), ()) if start < 0 else ((row["answer"],), (start,))
        yield Question(
            str(row["_id"]), row["question"], context, answers, starts, str(row["_id"]),
            (row["answer"],),
        )  # fmt: skip


def findable(questions: list[Question], path: Path) -> list[Question]:
    """Leave out questions whose answer stands nowhere in the context: nothing points to it.

    Raises:
        SchemaError: none is left.
    """
    found = [each for each in questions if each.starts or not each.golds]
    if not found:
        raise SchemaError(
            f"expected answers that stand in their contexts, found none in {path}: "
            "choose another training file"
        )
    if len(found) < len(questions):
        logger.warning(
            "%d of %d training questions left out: their answer is not in the context",
            len(questions) - len(found), len(questions),
        )  # fmt: skip
    return found


def add_distractors(questions: Sequence[Question], number: int, seed: int) -> list[Question]:
    """Put contexts of other articles before and after each context, in a drawn order.

    LinkBERT (arXiv:2203.15827), section 5.3, adds one or two documents to SQuAD's contexts.

    Raises:
        SchemaError: there are not so many contexts of other articles.
    """
    contexts = list(dict.fromkeys((each.context, each.group) for each in questions))
    by_text: dict[str, set[str]] = {}
    for context, group in contexts:
        by_text.setdefault(context, set()).add(group)
    # A text that several articles have can serve any of them.
    owned = Counter(next(iter(groups)) for groups in by_text.values() if len(groups) == 1)
    most = max(owned.values(), default=0)
    if len(by_text) - most < number:
        raise SchemaError(
            f"expected {number} contexts of other articles to take distractors from, found "
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
    """Split held-out questions into dev and test by a draw on the group (MRQA has no test)."""
    groups = sorted({each.group for each in questions})
    words = counter_bits(counter_key(0, "halves"), np.arange(len(groups)))
    order = np.argsort(words)
    first = {groups[place] for place in order[: max(1, len(groups) // 2)]}
    dev = [each for each in questions if each.group in first]
    test = [each for each in questions if each.group not in first]
    return dev, test
