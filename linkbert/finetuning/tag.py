"""Tagging of words: entities or parts of speech.

In: a model and files of tagged sentences, in CoNLL columns, CoNLL-U or JSON. Out: a table with the
F1 of whole entities and the accuracy of words, and the best run's model with its tags.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from linkbert.finetuning.data.files import DEV, TRAIN, DataFiles
from linkbert.finetuning.data.sentences import Sentence, read_sentences
from linkbert.finetuning.features import PackedFeatures
from linkbert.finetuning.metrics import are_entity_tags, score_tags
from linkbert.finetuning.options import FinetuneOptions
from linkbert.finetuning.training import (
    Judged,
    Predict,
    Task,
    draw_fraction,
    labelled,
    load_tokenizer,
    longest_sequence,
    run_task,
)
from schemas.errors import SchemaError

logger = logging.getLogger(__name__)

_OUTSIDE = "O"
_IGNORED = -100
"""The loss ignores this label; a word's later pieces and special tokens have it."""

_BYTE_LEVEL = "ByteLevel"
"""Tokenizers like RoBERTa's take the blank before a word as part of the word."""


def finetune_tag(
    model: Path,
    data: Sequence[Path],
    out: Path,
    options: FinetuneOptions,
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Fine-tune a tagger; arguments, result and errors are those of `finetune_qa`.

    A word is tagged by its first piece. Words beyond the longest sequence count as "O". A tag that
    does not occur in training cannot be learned; it counts as wrong.
    """
    return run_task(_prepare, model, data, out, options=options, overwrite=overwrite)


def _prepare(model: Path, files: DataFiles, options: FinetuneOptions) -> Task:
    read = {name: read_sentences(path) for name, path in files.by_split.items()}
    tags = {tag for each in read[TRAIN] for tag in each.tags}
    if len(tags) < 2:
        raise SchemaError(f"expected at least two tags in {files.train}, found {min(tags)!r} only")
    has_entities = are_entity_tags(tags | {tag for each in read[DEV] for tag in each.tags})
    if not has_entities and all(tag.isdigit() for tag in tags):
        logger.warning(
            "tags are numbers, so the F1 of entities cannot be computed: use their names instead"
        )
    max_length = longest_sequence(model, options.max_length)
    tagger = _Tagger(_load_tokenizer(model), sorted(tags | {_OUTSIDE}), max_length)

    def judge(predict: Predict, name: str) -> Judged:
        predicted = tagger.predicted(predict, read[name], name)
        scores = score_tags(
            predicted, [each.tags for each in read[name]], has_entities=has_entities
        )
        return {f"{name}.conll": _as_conll(read[name], predicted)}, scores

    return Task(
        name="tag",
        metrics=("f1", "accuracy") if has_entities else ("accuracy",),
        counts={name: {"num_sentences": len(each)} for name, each in read.items()},
        head="AutoModelForTokenClassification",
        collator="DataCollatorForTokenClassification",
        tokenizer=tagger.tokenizer,
        encode=lambda: tagger.encode(draw_fraction(read[TRAIN], options.fraction))[0],
        splits=tuple(files.held_out),
        judge=judge,
        config=labelled(tagger.tags),
    )


def _load_tokenizer(model: Path) -> Any:
    tokenizer = load_tokenizer(model)
    if _BYTE_LEVEL not in repr(tokenizer.backend_tokenizer.pre_tokenizer):
        return tokenizer
    # Words are encoded one by one, but must become the pieces that they are after a blank.
    return load_tokenizer(model, add_prefix_space=True)


@dataclass(frozen=True, slots=True)
class _Tagger:
    """Encodes sentences, and turns logits back into the tags of words."""

    tokenizer: Any
    tags: list[str]
    max_length: int

    def predicted(self, predict: Predict, sentences: list[Sentence], name: str) -> list[list[str]]:
        """Return the tag of each word."""
        features, places = self.encode(sentences)
        best = np.asarray(predict(features)).argmax(-1)
        num_beyond = sum(place < 0 for own in places for place in own)
        if num_beyond:
            logger.warning(
                "%d words of %s are beyond the first %d tokens, or have none, and count as O: "
                "raise --max-length",
                num_beyond, name, self.max_length,
            )  # fmt: skip
        return [
            [self.tags[best[row, place]] if place >= 0 else _OUTSIDE for place in own]
            for row, own in enumerate(places)
        ]

    def encode(self, sentences: list[Sentence]) -> tuple[PackedFeatures, list[list[int]]]:
        """Return features, and the position of each word's first piece, -1 if it was cut off."""
        numbers = {tag: number for number, tag in enumerate(self.tags)}
        features = PackedFeatures(len(self.tokenizer))
        places = []
        for each in sentences:
            encoded = self.tokenizer(
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
    """Return words with their gold and predicted tags, in conlleval's format."""
    blocks = (
        "".join(f"{' '.join(row)}\n" for row in zip(each.words, each.tags, tags, strict=True))
        for each, tags in zip(sentences, predicted, strict=True)
    )
    return "\n".join(blocks)
