"""Multiple choice: a question and its options, one of which is right (MedQA, MMLU, SWAG).

In: a model and files of questions. Out: a table of accuracy, and the best run's model with its
choices. Each option is read with the question, scored by one output, and the highest one is taken
(Devlin et al., BERT, arXiv:1810.04805, section 4.4).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from linkbert.finetuning.data_files import DEV, TRAIN, find_files, is_json, json_values, read_table
from linkbert.finetuning.features import PackedFeatures
from linkbert.finetuning.options import FinetuneOptions, Hyper
from linkbert.finetuning.table import Job, Trained, run_table
from linkbert.finetuning.training import (
    check_model,
    draw_fraction,
    load,
    load_model,
    longest_sequence,
    predict,
    train,
)
from schemas.errors import SchemaError

_LEAST_COLUMNS = 4
"""Of a table: the question, two options, and the letter of the right one."""
_KEPT_BACK = (None, "", -1, "-1")
_LETTERS = "ABCDEFGHIJ"
_RIGHT_KEYS = ("answer_idx", "answerKey", "answerkey", "answer", "label")
_PASSAGE_KEYS = ("article", "context", "passage")


@dataclass(frozen=True, slots=True)
class Choice:
    """A question with its options.

    Attributes:
        choice_id: what the file calls it, else its number from 0.
        question: text.
        options: what may be chosen.
        right: number of the right option, None where it is kept back.
    """

    choice_id: str
    question: str
    options: tuple[str, ...]
    right: int | None


def read_choices(path: Path) -> list[Choice]:
    """Read questions with options; the form is told by the content.

    Objects, or rows under names of columns, are the released LinkBERT repository's and SWAG's
    (sent1, sent2, ending0 and so on, label), MedQA's (question, options by letter, answer_idx),
    MMLU's (question, choices, answer; or columns A to D), ARC's (choices with text and label,
    answerKey) or RACE's (article, question, options, answer). A table without names is MMLU's:
    question, options, letter of the right one.

    Raises:
        SchemaError: a question has another form, or not as many options as the first.
    """
    found: list[Choice] = []
    for number, row in enumerate(_rows_of(path)):
        try:
            each = _from_table(row, number) if isinstance(row, list) else _from_object(row, number)
            if len(each.options) < 2:
                raise ValueError(f"{len(each.options)} options")
            if each.right is not None and not 0 <= each.right < len(each.options):
                raise ValueError(f"no option number {each.right}")
        except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
            raise SchemaError(
                f"expected a question with options in row {number + 1} of {path}, found {error!r}"
            ) from error
        if found and len(each.options) != len(found[0].options):
            raise SchemaError(
                f"expected {len(found[0].options)} options in row {number + 1} of {path}, found "
                f"{len(each.options)}"
            )
        found.append(each)
    if not found:
        raise SchemaError(f"expected questions with options, found none in {path}")
    return found


def _rows_of(path: Path) -> Iterator[Any]:
    """Yield objects, or rows of a table: by the names of its columns where it has them."""
    if is_json(path):
        yield from json_values(path)
        return
    table = read_table(path)
    names = [name.strip() for name in table[0]] if table else []
    if not {"question", "sent1"} & {name.lower() for name in names}:
        yield from table
        return
    names = [name.lower() if len(name) > 1 else name for name in names]
    for row in table[1:]:
        yield dict(zip(names, row, strict=True))


def _from_object(row: dict[str, Any], number: int) -> Choice:
    name, question = str(row.get("id", number)), row.get("question")
    if "ending0" in row:
        endings = [row[f"ending{n}"] for n in range(len(row)) if f"ending{n}" in row]
        options = tuple(f"{row.get('sent2') or ''} {ending}".strip() for ending in endings)
        return Choice(name, row["sent1"], options, _right(row.get("label"), options, ()))
    if isinstance(question, dict):  # the released files of ARC
        row, question = row | question, question["stem"]
    letters = tuple(letter for letter in _LETTERS if letter in row)
    given = row.get("choices", row.get("options")) or {letter: row[letter] for letter in letters}
    options, labels = _options_of(given)
    told = next((row[key] for key in _RIGHT_KEYS if row.get(key) not in _KEPT_BACK), None)
    right = _right(told, options, labels)
    passage = next((row[key] for key in _PASSAGE_KEYS if row.get(key)), None)
    if passage is None:
        return Choice(name, str(question), options, right)
    asked = tuple(f"{question} {option}" for option in options)
    return Choice(name, str(passage), asked, right)


def _options_of(given: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the texts of options, and what the file calls each; nothing where it does not.

    >>> _options_of({"B": "no", "A": "yes"})
    (('yes', 'no'), ('A', 'B'))
    >>> _options_of({"text": ["yes", "no"], "label": ["1", "2"]})
    (('yes', 'no'), ('1', '2'))
    >>> _options_of([{"label": "A", "text": "yes"}])
    (('yes',), ('A',))
    """
    if isinstance(given, dict) and isinstance(given.get("text"), list):
        return tuple(map(str, given["text"])), tuple(map(str, given["label"]))
    if isinstance(given, dict):
        labels = tuple(sorted(given))
        return tuple(str(given[label]) for label in labels), labels
    if given and isinstance(given[0], dict):
        pairs = [(each.get("text", each.get("value")), each.get("label", each.get("key")))
                 for each in given]  # fmt: skip
        return tuple(str(text) for text, _ in pairs), tuple(str(label) for _, label in pairs)
    return tuple(map(str, given)), ()


def _from_table(row: list[str], number: int) -> Choice:
    if len(row) < _LEAST_COLUMNS:
        raise ValueError(f"{len(row)} columns")
    options = tuple(row[1:-1])
    return Choice(str(number), row[0], options, _right(row[-1], options, ()))


def _right(told: Any, options: Sequence[str], labels: Sequence[str]) -> int | None:
    """Return the number of the right option, None where it is kept back.

    Args:
        told: what the file calls it, its number from 0, its letter, or its text.
        options: texts.
        labels: what the file calls them; none where it does not.

    >>> [_right(told, "wxyz", ()) for told in ("C", 2, "y", -1)]
    [2, 2, 2, None]
    >>> _right("2", "wxyz", "1234")
    1
    """
    if told in _KEPT_BACK:
        return None
    text = str(told).strip()
    if text in labels:
        return list(labels).index(text)
    if text.isdecimal() and not labels:
        return int(text)
    if len(text) == 1 and text.upper() in _LETTERS[: len(options)]:
        return _LETTERS.index(text.upper())
    if text in options:
        return list(options).index(text)
    raise ValueError(f"no option {text[:40]!r}")


def finetune_choice(
    model: Path,
    data: Sequence[Path],
    out: Path,
    options: FinetuneOptions,
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Fine-tune on multiple choice; return the table (see `linkbert.finetuning.table.run_table`).

    Args:
        model: a Hugging Face folder.
        data: a folder with train, dev and perhaps test, or these files.
        out: folder to write.
        options: what to try.
        overwrite: whether an earlier fine-tuning in `out` is deleted.

    Raises:
        ConfigError: `out` holds something else.
        SchemaError: the data have another form.
        CheckpointError: the model cannot be loaded.
        StageError: another process writes in `out`.
    """
    check_model(model)
    files = find_files(data)
    read = {
        name: read_choices(path) for name, path in {TRAIN: files.train, **files.held_out}.items()
    }
    for name in (TRAIN, DEV):
        unanswered = [each.choice_id for each in read[name] if each.right is None]
        if unanswered:
            raise SchemaError(
                f"expected the right option of every question of {name}, found none of "
                f"{unanswered[0]!r} in {files.train if name == TRAIN else files.held_out[DEV]}"
            )
    task = _ChoiceTask(
        model,
        draw_fraction(read[TRAIN], options.fraction),
        {name: read[name] for name in files.held_out},
        longest_sequence(model, options.max_length),
        out / "trainer",
    )
    settings = options.settings(model, is_question_answering=False)
    counts = {name: {"num_questions": len(each)} for name, each in read.items()}
    job = Job("choice", model, files.paths, options.metric_of(("accuracy",)), counts)
    return run_table(job, options, settings, task.run, out, overwrite=overwrite)


@dataclass(frozen=True)
class _Options:
    """The options of each question as one row; packed they lie one after the other."""

    features: PackedFeatures
    right: list[int]

    def __len__(self) -> int:
        return len(self.right)

    def __getitem__(self, row: int) -> dict[str, Any]:
        size = len(self.features) // len(self.right)
        options = [self.features[place] for place in range(row * size, (row + 1) * size)]
        found = {name: [each[name] for each in options] for name in options[0]}
        return {**found, "labels": self.right[row]}


@dataclass(frozen=True)
class _ChoiceTask:
    """What is learned and asked."""

    model: Path
    rows: list[Choice]
    splits: dict[str, list[Choice]]
    max_length: int
    scratch: Path

    def run(self, hyper: Hyper, seed: int) -> Trained:
        """Fine-tune with a setting and a seed, and choose for every held-out question."""
        from transformers import (
            AutoModelForMultipleChoice,
            DataCollatorForMultipleChoice,
            set_seed,
        )

        set_seed(seed)
        model = load_model(AutoModelForMultipleChoice, self.model)
        collator = DataCollatorForMultipleChoice(self._tokenizer)
        trainer = train(model, self._features, collator, hyper, seed, self.scratch)
        found = Trained({}, trainer.model, self._tokenizer, {})
        for name, choices in self.splits.items():
            chosen = np.asarray(predict(trainer, self._encode(choices))).argmax(-1).tolist()
            rows = (
                {"id": each.choice_id, "prediction": number, "gold": each.right}
                for each, number in zip(choices, chosen, strict=True)
            )
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            found.predictions[f"{name}.jsonl"] = lines
            right = [each.right for each in choices]
            if None not in right:
                num_right = sum(a == b for a, b in zip(chosen, right, strict=True))
                found.scores[name] = {"accuracy": 100 * num_right / len(right)}
        return found

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return load(AutoTokenizer, self.model)

    @cached_property
    def _features(self) -> _Options:
        return self._encode(self.rows)

    def _encode(self, choices: list[Choice]) -> _Options:
        features = PackedFeatures(len(self._tokenizer))
        for each in choices:
            questions = [each.question] * len(each.options)
            encoded = self._tokenizer(
                questions, list(each.options), truncation=True, max_length=self.max_length
            )
            for row in range(len(each.options)):
                features.append({key: encoded[key][row] for key in encoded})
        # The Trainer wants a label of every row, also of one whose right option is kept back.
        return _Options(features, [each.right or 0 for each in choices])
