"""Tagging of words: entities or parts of speech.

In: a model and files of tagged sentences, in CoNLL columns, CoNLL-U or JSON. Out: a table of F1 of
whole entities and accuracy of words, and the best run's model with its tags.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from linkbert.finetuning.data.files import DEV, TRAIN, find_files
from linkbert.finetuning.data.sentences import Sentence, read_sentences
from linkbert.finetuning.features import PackedFeatures
from linkbert.finetuning.metrics import are_entity_tags, score_tags
from linkbert.finetuning.options import FinetuneOptions, Hyper
from linkbert.finetuning.table import TableJob, Trained, run_table
from linkbert.finetuning.training import (
    check_model,
    draw_fraction,
    fit,
    labelled,
    load_tokenizer,
    longest_sequence,
    predict,
)
from schemas.errors import SchemaError

logger = logging.getLogger(__name__)

_OUTSIDE = "O"
_IGNORED = -100
"""Label that the loss leaves out: the pieces after a word's first, and special tokens."""

_BYTE_LEVEL = "ByteLevel"
"""Tokenizers of RoBERTa's kind take the blank before a word as part of it."""


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
        logger.warning(
            "tags are numbers, so F1 of entities cannot be computed: give their names instead"
        )
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
    job = TableJob("tag", model, files.paths, metric, counts)
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
        from transformers import AutoModelForTokenClassification, DataCollatorForTokenClassification

        trainer, found = fit(
            self,
            AutoModelForTokenClassification,
            DataCollatorForTokenClassification,
            hyper,
            seed,
            **labelled(self.tags),
        )
        for name, sentences in self.splits.items():
            predicted = self._predicted(trainer, sentences, name)
            gold = [each.tags for each in sentences]
            found.scores[name] = score_tags(predicted, gold, has_entities=self.has_entities)
            found.predictions[f"{name}.conll"] = _as_conll(sentences, predicted)
        return found

    @cached_property
    def tokenizer(self) -> Any:
        tokenizer = load_tokenizer(self.model)
        if _BYTE_LEVEL not in repr(tokenizer.backend_tokenizer.pre_tokenizer):
            return tokenizer
        # Words come one by one: each must begin as it does after a blank.
        return load_tokenizer(self.model, add_prefix_space=True)

    @cached_property
    def features(self) -> PackedFeatures:
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
    """Return words with gold and predicted tag, as conlleval reads them."""
    blocks = (
        "".join(f"{' '.join(row)}\n" for row in zip(each.words, each.tags, tags, strict=True))
        for each, tags in zip(sentences, predicted, strict=True)
    )
    return "\n".join(blocks)
