"""Tagging of words, from CoNLL columns: the word first, its tag last, a blank line between."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from linkbert.finetuning.data_files import find_files
from linkbert.finetuning.options import FinetuneOptions, Hyper
from linkbert.finetuning.qa_data import read_text
from linkbert.finetuning.training import (
    Features,
    Job,
    Score,
    Trained,
    draw_fraction,
    labelled,
    load,
    predict,
    run_table,
    train,
)
from schemas.errors import SchemaError

_COLUMN = re.compile(r"[^ \t]+")
_IGNORED = -100
"""Label that the loss leaves out: the pieces after a word's first, and special tokens."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words and their tags, equally many."""

    words: list[str]
    tags: list[str]


def read_sentences(path: Path) -> list[Sentence]:
    """Read CoNLL columns parted by blanks or tabs; lines of -DOCSTART- are left out.

    Raises:
        SchemaError: a line has one column only, or there is no sentence.
    """
    sentences: list[Sentence] = []
    words: list[str] = []
    tags: list[str] = []
    # Words may hold blanks and line separators of Unicode: only ASCII ones part columns and lines.
    for number, line in enumerate([*read_text(path).split("\n"), ""], 1):
        columns = _COLUMN.findall(line.rstrip("\r"))
        if not columns or columns[0] == "-DOCSTART-":
            if words:
                sentences.append(Sentence(words, tags))
                words, tags = [], []
        elif len(columns) == 1:
            raise SchemaError(
                f"expected a word and its tag in line {number} of {path}, found {columns[0]!r}"
            )
        else:
            words.append(columns[0])
            tags.append(columns[-1])
    if not sentences:
        raise SchemaError(f"expected sentences, found none in {path}")
    return sentences


def spans(tags: Sequence[str]) -> set[tuple[int, int, str]]:
    """Return the entities of a sentence as conlleval reads BIO: first and last word, and kind.

    BIOES is read too: E ends an entity, S is one by itself.

    >>> sorted(spans(["B-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-PER"]))
    [(0, 1, 'PER'), (3, 3, 'LOC'), (4, 4, 'LOC'), (5, 5, 'PER')]
    >>> sorted(spans(["B-PER", "E-PER", "I-PER", "S-PER"]))
    [(0, 1, 'PER'), (2, 2, 'PER'), (3, 3, 'PER')]
    """
    found = set()
    start, kind = 0, ""
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        if kind and (prefix not in ("I", "E") or name != kind):
            found.add((start, place - 1, kind))
            kind = ""
        if prefix in ("B", "I", "E", "S") and not kind:
            start, kind = place, name
        if prefix in ("E", "S") and kind:
            found.add((start, place, kind))
            kind = ""
    return found


def score_tags(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> Score:
    """Return accuracy of words and, for BIO tags, F1 of whole entities, in percent.

    >>> score_tags([["B-PER", "O"]], [["B-PER", "B-LOC"]])["f1"]  # one of one, one of two
    66.66666666666667
    """
    pairs = [
        (p, g)
        for ours, theirs in zip(predicted, gold, strict=True)
        for p, g in zip(ours, theirs, strict=True)
    ]
    accuracy = 100 * sum(p == g for p, g in pairs) / max(1, len(pairs))
    ours = {(row, *span) for row, tags in enumerate(predicted) for span in spans(tags)}
    theirs = {(row, *span) for row, tags in enumerate(gold) for span in spans(tags)}
    if not theirs:
        return {"accuracy": accuracy}
    return {"f1": 100 * 2 * len(ours & theirs) / (len(ours) + len(theirs)), "accuracy": accuracy}


def finetune_tag(
    model: Path, data: Sequence[Path], out: Path, options: FinetuneOptions
) -> dict[str, Any]:
    """Fine-tune a tagger; return the table (see `linkbert.finetuning.training.run_table`).

    A word is tagged by its first piece. Words beyond the longest sequence count as "O".

    Raises:
        ConfigError: `out` holds something else.
        SchemaError: the data are not as they should be.
        CheckpointError: the model cannot be loaded.
    """
    files = find_files(data)
    rows = draw_fraction(read_sentences(files[0]), options.fraction)
    held_out = read_sentences(files[1])
    tags = sorted({tag for each in rows for tag in each.tags} | {"O"})
    has_entities = any(spans(each.tags) for each in held_out)

    def run(hyper: Hyper, seed: int) -> Trained:
        return _run(model, (rows, held_out), tags, options, (hyper, seed), out)

    settings = options.settings(model, is_question_answering=False)
    job = Job("tag", model, files, "f1" if has_entities else "accuracy")
    return run_table(job, options, settings, run, out)


def _run(
    model_folder: Path,
    splits: tuple[list[Sentence], list[Sentence]],
    tags: list[str],
    options: FinetuneOptions,
    how: tuple[Hyper, int],
    out: Path,
) -> Trained:
    from transformers import (
        AutoModelForTokenClassification,
        AutoTokenizer,
        DataCollatorForTokenClassification,
        set_seed,
    )

    hyper, seed = how
    set_seed(seed)
    tokenizer = load(AutoTokenizer, model_folder)
    model = load(AutoModelForTokenClassification, model_folder, **labelled(tags))
    limit = min(options.max_length, model.config.max_position_embeddings)
    numbers = {tag: number for number, tag in enumerate(tags)}

    def features_of(rows: list[Sentence]) -> tuple[Features, list[list[int]]]:
        features: Features = []
        first_pieces = []
        for row in rows:
            encoded = tokenizer(
                row.words, is_split_into_words=True, truncation=True, max_length=limit
            )
            words = encoded.word_ids()
            places = [words.index(w) for w in range(len(row.words)) if w in words]
            found = [word for word in range(len(row.words)) if word in words]
            labels = [_IGNORED] * len(words)
            for place, word in zip(places, found, strict=True):
                # A tag that training never showed cannot be learned; it counts as wrong.
                labels[place] = numbers.get(row.tags[word], _IGNORED)
            where = dict(zip(found, places, strict=True))
            first_pieces.append([where.get(word, -1) for word in range(len(row.words))])
            features.append({**{key: encoded[key] for key in encoded}, "labels": labels})
        return features, first_pieces

    train_features, _ = features_of(splits[0])
    dev_features, places = features_of(splits[1])
    collator = DataCollatorForTokenClassification(tokenizer)
    trainer = train(model, train_features, collator, hyper, seed, out / "trainer")
    best = np.asarray(predict(trainer, dev_features)).argmax(-1)
    predicted = [
        [tags[best[row, place]] if place >= 0 else "O" for place in own]
        for row, own in enumerate(places)
    ]
    scores = score_tags(predicted, [each.tags for each in splits[1]])
    return Trained({"dev": scores}, trainer.model, tokenizer)
