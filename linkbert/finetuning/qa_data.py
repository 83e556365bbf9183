"""Questions with contexts, from SQuAD JSON, MRQA jsonl(.gz) or HotpotQA with distractors.

A context may hold several documents: MRQA writes them one after the other with [DOC] between, and
HotpotQA's are put together here as title and text. Any file may be plain, .gz or .xz.
"""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from schemas.counter_rng import counter_bits, counter_key
from schemas.errors import SchemaError


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a context.

    Attributes:
        question_id: of the data set.
        question: text.
        context: text, of one or several documents.
        answers: gold answers; none where there is no answer.
        starts: where each answer begins in the context, in characters; may be fewer than answers.
        group: the document or article; distractors come from other groups.
    """

    question_id: str
    question: str
    context: str
    answers: tuple[str, ...]
    starts: tuple[int, ...]
    group: str


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

    Raises:
        SchemaError: it is of no known form, or an answer does not stand where it should.
    """
    text = read_text(path)
    try:
        first = json.loads(text.split("\n", 1)[0]) if "\n" in text.strip() else None
    except ValueError:
        first = None  # JSON over several lines
    try:
        if isinstance(first, dict) and "data" not in first:
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
            is_hotpot = "supporting_facts" in rows[0]
            questions = list(_from_hotpot(rows) if is_hotpot else _from_mrqa(rows))
        else:
            questions = list(_from_squad(json.loads(text)))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise SchemaError(
            f"expected SQuAD JSON, MRQA or HotpotQA lines in {path}, found {error!r}"
        ) from error
    for each in questions:
        for answer, start in zip(each.answers, each.starts, strict=False):
            if each.context[start : start + len(answer)] != answer:
                raise SchemaError(
                    f"expected {answer!r} at character {start} of the context of question "
                    f"{each.question_id} in {path}, found another text"
                )
    if not questions:
        raise SchemaError(f"expected questions, found none in {path}")
    return questions


def _from_squad(values: dict[str, Any]) -> Iterator[Question]:
    for article_number, article in enumerate(values["data"]):
        group = str(article.get("title", article_number))
        for paragraph in article["paragraphs"]:
            for qa in paragraph["qas"]:
                answers = [] if qa.get("is_impossible") else qa["answers"]
                yield Question(
                    str(qa["id"]), qa["question"], paragraph["context"],
                    tuple(answer["text"] for answer in answers),
                    tuple(answer["answer_start"] for answer in answers), group,
                )  # fmt: skip


def _from_mrqa(rows: list[dict[str, Any]]) -> Iterator[Question]:
    for number, row in enumerate(rows):
        if "header" in row:
            continue
        for qa in row["qas"]:
            context = row["context"]
            # Both ends of a span are inside it. Its text in the context is what can be found.
            starts = [span[0] for found in qa["detected_answers"] for span in found["char_spans"]]
            stops = [
                span[1] + 1 for found in qa["detected_answers"] for span in found["char_spans"]
            ]
            spans = [context[start:stop] for start, stop in zip(starts, stops, strict=True)]
            others = [answer for answer in qa.get("answers", ()) if answer not in spans]
            yield Question(
                str(qa["qid"]), qa["question"], context, (*spans, *others), tuple(starts),
                str(number),
            )  # fmt: skip


def _from_hotpot(rows: list[dict[str, Any]]) -> Iterator[Question]:
    for row in rows:
        documents = [f"{title}: {''.join(sentences)}" for title, sentences, *_ in row["context"]]
        context = " ".join(["yes no", *documents])
        start = context.find(row["answer"])
        starts = () if start < 0 else (start,)
        yield Question(
            str(row["_id"]), row["question"], context, (row["answer"],), starts, str(row["_id"])
        )


def add_distractors(questions: Sequence[Question], number: int, seed: int) -> list[Question]:
    """Put contexts of other articles before and after each context, in a drawn order.

    LinkBERT (arXiv:2203.15827), section 5.3, adds one or two documents to SQuAD's contexts.

    Raises:
        SchemaError: there is one article only.
    """
    contexts = list(dict.fromkeys((each.context, each.group) for each in questions))
    if number and len({group for _, group in contexts}) < 2:
        raise SchemaError("expected several articles to take distractors from, found one")
    key = counter_key(seed, "distractors")
    found = []
    for row, each in enumerate(questions):
        words = iter(counter_bits(counter_bits(key, row), np.arange(1000 * (number + 1))).tolist())
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


def halves(questions: Sequence[Question]) -> tuple[list[Question], list[Question]]:
    """Split held-out questions into dev and test by a draw on the group (MRQA has no test)."""
    groups = sorted({each.group for each in questions})
    words = counter_bits(counter_key(0, "halves"), np.arange(len(groups)))
    order = np.argsort(words)
    first = {groups[place] for place in order[: max(1, len(groups) // 2)]}
    dev = [each for each in questions if each.group in first]
    test = [each for each in questions if each.group not in first]
    return dev, test
