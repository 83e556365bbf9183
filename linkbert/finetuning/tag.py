"""Tagging of words: entities or parts of speech.

In: a model and files of tagged sentences, in CoNLL columns, CoNLL-U or JSON. Out: a table of F1 of
whole entities and accuracy of words, and the best run's model with its tags.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from linkbert.finetuning.data_files import DEV, TRAIN, find_files, is_json, json_values, read_text
from linkbert.finetuning.features import PackedFeatures
from linkbert.finetuning.metrics import are_entity_tags, score_tags
from linkbert.finetuning.options import FinetuneOptions, Hyper
from linkbert.finetuning.table import Job, Trained, run_table
from linkbert.finetuning.training import (
    check_model,
    draw_fraction,
    labelled,
    load,
    load_model,
    longest_sequence,
    predict,
    train,
)
from schemas.errors import SchemaError

logger = logging.getLogger(__name__)

_COLUMN = re.compile(r"[^ \t]+")
_OUTSIDE = "O"
_IGNORED = -100
"""Label that the loss leaves out: the pieces after a word's first, and special tokens."""

_BYTE_LEVEL = "ByteLevel"
"""Tokenizers of RoBERTa's kind take the blank before a word as part of it."""

_WORD_KEYS = ("tokens", "words")
_TAG_KEYS = ("ner_tags", "tags", "labels", "pos_tags", "chunk_tags")

_HEADINGS = {"bio", "iob", "label", "labels", "ner", "ner_tag", "ner_tags", "tag", "tags"}
"""What a first line calls the last column, where it names columns."""

_CONLLU_COLUMNS = 10
_CONLLU_WORD, _CONLLU_TAG = 1, 3
"""FORM and UPOS (universaldependencies.org/format.html)."""
_CONLLU_ID = re.compile(r"\d+")
_CONLLU_IDS = re.compile(r"\d+([-.]\d+)?")
"""Of a word; of a word, a range of words written together, or an empty node."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words and their tags, equally many."""

    words: list[str]
    tags: list[str]


def read_sentences(path: Path) -> list[Sentence]:
    """Read tagged sentences; the form is told by the content.

    CoNLL columns have the word first and its tag last, parted by tabs where every line has one,
    else by blanks, with an empty line between sentences; a line of headings, lines of -DOCSTART-
    and of metadata ("# id 7") are left out. CoNLL-U gives words with their universal parts of
    speech. JSON objects have `tokens` and `ner_tags`.

    Raises:
        SchemaError: the file has another form, or holds no sentence.
    """
    sentences = list(_from_json(path) if is_json(path) else _from_columns(path))
    if not sentences:
        raise SchemaError(f"expected sentences, found none in {path}")
    return sentences


def _from_json(path: Path) -> Iterator[Sentence]:
    for number, row in enumerate(json_values(path), 1):
        words = next((row[key] for key in _WORD_KEYS if key in row), None)
        tags = next((row[key] for key in _TAG_KEYS if key in row), None)
        if not isinstance(words, list) or not isinstance(tags, list) or len(words) != len(tags):
            raise SchemaError(
                f"expected equally many {' or '.join(_WORD_KEYS)} and {' or '.join(_TAG_KEYS)} in "
                f"object {number} of {path}, found {', '.join(row) or 'nothing'}"
            )
        if words:
            yield Sentence([str(word) for word in words], [str(tag) for tag in tags])


def _from_columns(path: Path) -> Iterator[Sentence]:
    # Words may hold line separators of Unicode: only a line feed ends a line.
    lines = [line.rstrip("\r") for line in read_text(path).split("\n")]
    words_of = _conllu_words if _is_conllu(lines) else _conll_words
    tagged: list[tuple[str, str]] = []
    for each in (*words_of(lines, path), None):
        if each is not None:
            tagged.append(each)
        elif tagged:
            yield Sentence([word for word, _ in tagged], [tag for _, tag in tagged])
            tagged = []


def _conll_words(lines: Sequence[str], path: Path) -> Iterator[tuple[str, str] | None]:
    """Yield words with their tags, and None between sentences."""
    rows = _columns(lines)
    plain = [row for row in rows if row and not row[0].startswith("#") and row[0] != "-DOCSTART-"]
    heading = plain[0] if plain and plain[0][-1].lower() in _HEADINGS else None
    plain = plain[heading is not None :]
    _check_columns(rows, plain, path)
    width, tags = len(plain[0]) if plain else 0, {row[-1] for row in plain}
    num_metadata = 0
    for number, row in enumerate(rows, 1):
        if not row or row[0] == "-DOCSTART-":
            yield None
        elif row is heading or _is_metadata(row, width, tags):
            num_metadata += 1
        elif len(row) == 1:
            raise SchemaError(
                f"expected a word and its tag in line {number} of {path}, found {row[0]!r}"
            )
        else:
            yield row[0], row[-1]
    if num_metadata:
        logger.info("%d lines of metadata left out of %s", num_metadata, path)


def _columns(lines: Sequence[str]) -> list[list[str]]:
    """Return the columns of each line, none of a blank one."""
    told = [line for line in lines if line.strip() and not line.startswith(("#", "-DOCSTART-"))]
    if told and all("\t" in line.strip() for line in told):  # then a word may hold blanks
        known = set(told)
        return [
            [part for each in line.split("\t") if (part := each.strip(" "))]
            if line in known
            else _COLUMN.findall(line)
            for line in lines
        ]
    # Words may hold blanks of Unicode: only ASCII ones part columns.
    return [_COLUMN.findall(line) for line in lines]


def _check_columns(rows: Sequence[list[str]], plain: Sequence[list[str]], path: Path) -> None:
    """Refuse lines that do not have the word first and its tag last.

    Raises:
        SchemaError: they are CoNLL-2012's, number their words, or hold a sentence each.
    """
    numbers = [row[0] for row in rows if row and not row[0].startswith("#")]
    found = None
    if any(row[:2] == ["#begin", "document"] for row in rows):
        found = "CoNLL-2012"
    elif len(numbers) > 1 and all(number.isdecimal() for number in numbers) and numbers[0] == "1":
        found = "numbers of words"
    elif len({len(row) for row in plain}) > 1 and not are_entity_tags({row[-1] for row in plain}):
        odd = next(row for row in plain if len(row) != len(plain[0]))
        found = f"{len(plain[0])} columns in the first and {len(odd)} in {' '.join(odd)[:40]!r}"
    if found is not None:
        raise SchemaError(
            f"expected the word first and its tag last in each line of {path}, found {found}: "
            "convert it to JSON lines of tokens and ner_tags"
        )


def _is_metadata(row: Sequence[str], width: int, tags: set[str]) -> bool:
    """Tell whether a line that begins with # is no word: it has other columns, or no tag.

    >>> rows = ["# id 7 en".split(), "# O".split(), "#rome B".split(), "# text = x".split()]
    >>> [_is_metadata(row, 2, {"O"}) for row in rows]
    [True, False, False, True]
    """
    is_other = len(row) != width or (row[0] == "#" and row[-1] not in tags)
    return row[0].startswith("#") and is_other


def _conllu_words(lines: Sequence[str], _path: Path) -> Iterator[tuple[str, str] | None]:
    for line in lines:
        row = line.split("\t")
        if not line.strip():
            yield None
        elif _CONLLU_ID.fullmatch(row[0]):
            yield row[_CONLLU_WORD], row[_CONLLU_TAG]


def _is_conllu(lines: Sequence[str]) -> bool:
    rows = [line.split("\t") for line in lines if line.strip() and not line.startswith("#")]
    return bool(rows) and all(
        len(row) == _CONLLU_COLUMNS and _CONLLU_IDS.fullmatch(row[0]) for row in rows
    )


def finetune_tag(
    model: Path,
    data: Sequence[Path],
    out: Path,
    options: FinetuneOptions,
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Fine-tune a tagger; return the table (see `linkbert.finetuning.table.run_table`).

    A word is tagged by its first piece. Words beyond the longest sequence count as "O". A tag that
    training never showed cannot be learned; it counts as wrong.

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
        name: read_sentences(path) for name, path in {TRAIN: files.train, **files.held_out}.items()
    }
    tags = {tag for each in read[TRAIN] for tag in each.tags}
    if len(tags) < 2:
        raise SchemaError(f"expected two tags or more in {files.train}, found {min(tags)!r} only")
    has_entities = are_entity_tags(tags | {tag for each in read[DEV] for tag in each.tags})
    if not has_entities and all(tag.isdigit() for tag in tags):
        logger.warning("tags are numbers, so F1 of entities is not told: give their names instead")
    task = _TagTask(
        model,
        draw_fraction(read[TRAIN], options.fraction),
        {name: read[name] for name in files.held_out},
        sorted(tags | {_OUTSIDE}),
        has_entities,
        longest_sequence(model, options.max_length),
        out / "trainer",
    )
    settings = options.settings(model, is_question_answering=False)
    metric = options.metric_of(("f1", "accuracy") if has_entities else ("accuracy",))
    counts = {name: {"num_sentences": len(each)} for name, each in read.items()}
    job = Job("tag", model, files.paths, metric, counts)
    return run_table(job, options, settings, task.run, out, overwrite=overwrite)


@dataclass(frozen=True)
class _TagTask:
    """What is learned and tagged."""

    model: Path
    rows: list[Sentence]
    splits: dict[str, list[Sentence]]
    tags: list[str]
    has_entities: bool
    max_length: int
    scratch: Path

    def run(self, hyper: Hyper, seed: int) -> Trained:
        """Fine-tune with a setting and a seed, and tag every held-out sentence."""
        from transformers import (
            AutoModelForTokenClassification,
            DataCollatorForTokenClassification,
            set_seed,
        )

        set_seed(seed)
        model = load_model(AutoModelForTokenClassification, self.model, **labelled(self.tags))
        collator = DataCollatorForTokenClassification(self._tokenizer)
        trainer = train(model, self._features, collator, hyper, seed, self.scratch)
        found = Trained({}, trainer.model, self._tokenizer, {})
        for name, sentences in self.splits.items():
            predicted = self._predicted(trainer, sentences, name)
            gold = [each.tags for each in sentences]
            found.scores[name] = score_tags(predicted, gold, has_entities=self.has_entities)
            found.predictions[f"{name}.conll"] = _as_conll(sentences, predicted)
        return found

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        tokenizer = load(AutoTokenizer, self.model)
        if _BYTE_LEVEL not in repr(tokenizer.backend_tokenizer.pre_tokenizer):
            return tokenizer
        # Words come one by one: each must begin as it does after a blank.
        return load(AutoTokenizer, self.model, add_prefix_space=True)

    @cached_property
    def _features(self) -> PackedFeatures:
        return self._encode(self.rows)[0]

    def _predicted(self, trainer: Any, sentences: list[Sentence], name: str) -> list[list[str]]:
        features, places = self._encode(sentences)
        best = np.asarray(predict(trainer, features)).argmax(-1)
        num_beyond = sum(place < 0 for own in places for place in own)
        if num_beyond:
            logger.warning(
                "%d words of %s lie beyond %d tokens, or have none, and count as O: "
                "raise --max-length",
                num_beyond, name, self.max_length,
            )  # fmt: skip
        return [
            [self.tags[best[row, place]] if place >= 0 else _OUTSIDE for place in own]
            for row, own in enumerate(places)
        ]

    def _encode(self, sentences: list[Sentence]) -> tuple[PackedFeatures, list[list[int]]]:
        """Return features, and the place of each word's first piece, -1 where it was cut off."""
        numbers = {tag: number for number, tag in enumerate(self.tags)}
        features = PackedFeatures(len(self._tokenizer))
        places = []
        for each in sentences:
            encoded = self._tokenizer(
                each.words, is_split_into_words=True, truncation=True, max_length=self.max_length
            )
            first: dict[int, int] = {}
            for place, word in enumerate(encoded.word_ids()):
                if word is not None:
                    first.setdefault(word, place)
            labels = [_IGNORED] * len(encoded["input_ids"])
            for word, place in first.items():
                labels[place] = numbers.get(each.tags[word], _IGNORED)
            features.append({**encoded, "labels": labels})
            places.append([first.get(word, -1) for word in range(len(each.words))])
        return features, places


def _as_conll(sentences: Sequence[Sentence], predicted: Sequence[Sequence[str]]) -> str:
    """Return words with gold and predicted tag, as conlleval reads them."""
    blocks = (
        "".join(f"{' '.join(row)}\n" for row in zip(each.words, each.tags, tags, strict=True))
        for each, tags in zip(sentences, predicted, strict=True)
    )
    return "\n".join(blocks)
