"""Rank the linked segment of a held-out A among 31 hard negatives that BM25 finds for A.

Every model is first fine-tuned in the same way: the same training pairs, the same negatives, the
same new two-way head on [CLS], the same order and steps. So no arm benefits from a relation head
that it was pretrained with. Then that head ranks the candidates of each query.

    train split       A + linked B is right, A + 3 segments that BM25 finds for A are wrong
    held-out split    1 linked B among 31 segments that BM25 finds for A ──▶ reciprocal rank

Segments of A's document, and of documents linked to it in this split, are not used as negatives; a
link that the split does not show makes a false negative, but the same one for every arm.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linkbert.evaluation.bootstrap import Clusters, interval, resampled_sums
from linkbert.evaluation.held_out import Ids, Rows, read_table
from linkbert.loader.dataset import Split
from schemas.errors import SchemaError
from schemas.pair_frame import PairFrame
from schemas.tables.instances import LINKED

NUM_NEGATIVES = 31
_TRAIN_NEGATIVES = 3
_LEARNING_RATE, _BATCH_SIZE = 1e-4, 32
# Negatives are chosen from so many of BM25's best segments.
_NUM_FOUND = 200
# For each pair wanted, so many training instances are searched for pairs and negatives.
_INSTANCES_A_PAIR = 10


@dataclass(frozen=True, slots=True)
class Query:
    """A segment and its candidates, the linked one first.

    Attributes:
        article: corpus and node of A's document.
        a: ids of A.
        candidates: ids of the linked segment, then of the negatives.
    """

    article: tuple[int, int]
    a: Ids
    candidates: list[Ids]


@dataclass(frozen=True, slots=True)
class RankingScores:
    """The ranks of the right candidates: int64 [Q] articles, numbered from 0, and ranks from 1."""

    articles: npt.NDArray[np.int64]
    ranks: npt.NDArray[np.int64]


def make_queries(
    split: Split,
    facts: dict[str, Any],
    max_queries: int,
    num_negatives: int,
    max_instances: int | None,
) -> list[Query]:
    """Return the first queries of a split, each with the given number of hard negatives.

    Raises:
        SchemaError: no linked instance has that many.
    """
    import bm25s

    # Otherwise it announces every index that it builds.
    logging.getLogger("bm25s").setLevel(logging.WARNING)
    rows = Rows(read_table(split, max_instances), facts)
    size = len(rows.relation)
    # Segments B of all rows; one may occur twice, but not among the candidates of one query.
    segments = [rows.ids_b(row) for row in range(size)]
    index = bm25s.BM25()
    index.index([_words(ids) for ids in segments], show_progress=False)
    partners = rows.partners()
    queries: list[Query] = []
    for row in np.flatnonzero(rows.relation == LINKED).tolist():
        if len(queries) == max_queries:
            break
        found, _ = index.retrieve(
            [_words(rows.ids_a(row))], k=min(_NUM_FOUND, size), show_progress=False
        )
        own = rows.key_of_a(row)[:2]
        refused = partners.get(own, set()) | {own}
        negatives: dict[bytes, Ids] = {}
        for candidate in found[0].tolist():
            if rows.document_of_b(candidate) not in refused:
                negatives.setdefault(segments[candidate].tobytes(), segments[candidate])
        negatives.pop(segments[row].tobytes(), None)
        chosen = list(negatives.values())[:num_negatives]
        if len(chosen) == num_negatives:
            queries.append(Query(own, rows.ids_a(row), [segments[row], *chosen]))
    if not queries:
        raise SchemaError(
            f"expected linked instances with {num_negatives} other segments, found none in "
            f"{split.folder}: sample a larger corpus, or a larger --validation-fraction"
        )
    return queries


def _words(ids: Ids) -> list[str]:
    return [str(token) for token in ids.tolist()]


def rank(
    model_folder: Path,
    train_split: Split,
    held_out: Split,
    facts: dict[str, Any],
    *,
    train_pairs: int,
    max_queries: int,
    seed: int,
) -> RankingScores:
    """Fine-tune a model on training pairs and rank the held-out queries.

    Args:
        model_folder: a Hugging Face folder.
        train_split: where training pairs come from.
        held_out: where queries come from.
        facts: what the manifest of the shards says about ids and their frame.
        train_pairs: the maximum number of linked training pairs.
        max_queries: the maximum number of held-out queries.
        seed: the seed of head, order and dropout.

    Raises:
        SchemaError: a split yields no queries.
        CheckpointError: the model cannot be loaded.
    """
    from transformers import (
        AutoModelForSequenceClassification,
        DataCollatorWithPadding,
        set_seed,
    )

    from linkbert.finetuning.options import Hyper
    from linkbert.finetuning.training import (
        check_model,
        load_model,
        load_tokenizer,
        predict,
        train,
    )

    check_model(model_folder)
    limit = _INSTANCES_A_PAIR * train_pairs
    learned = make_queries(train_split, facts, train_pairs, _TRAIN_NEGATIVES, limit)
    queries = make_queries(held_out, facts, max_queries, NUM_NEGATIVES, None)
    set_seed(seed)
    tokenizer = load_tokenizer(model_folder)
    model = load_model(AutoModelForSequenceClassification, model_folder, num_labels=2)
    frame = PairFrame.from_facts(facts)
    features = [
        feature | {"labels": int(place == 0)}
        for query in learned
        for place, feature in enumerate(_features_of(query, frame))
    ]
    hyper = Hyper(_LEARNING_RATE, _BATCH_SIZE, 1)
    trainer = train(model, features, DataCollatorWithPadding(tokenizer), hyper, seed)
    asked = [feature for query in queries for feature in _features_of(query, frame)]
    logits = np.asarray(predict(trainer, asked)).reshape(len(queries), -1, 2)
    keys = np.array([query.article for query in queries], np.int64)
    articles = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return RankingScores(articles, ranks_of(logits[:, :, 1] - logits[:, :, 0]))


def _features_of(query: Query, frame: PairFrame) -> list[dict[str, Any]]:
    return [_feature(query.a, candidate, frame) for candidate in query.candidates]


def _feature(a: Ids, b: Ids, frame: PairFrame) -> dict[str, Any]:
    ids = frame.wrap(a.tolist(), b.tolist())
    feature: dict[str, Any] = {"input_ids": ids, "attention_mask": [1] * len(ids)}
    if frame.has_token_types:
        num_before_b = len(a) + frame.num_before_b
        feature["token_type_ids"] = [0] * num_before_b + [1] * (len(ids) - num_before_b)
    return feature


def ranks_of(scores: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the rank of the first score in each row; equal scores rank before it.

    >>> ranks_of(np.array([[2.0, 1.0, 3.0], [1.0, 1.0, 1.0]])).tolist()
    [2, 3]
    """
    before: npt.NDArray[np.int64] = (scores[:, 1:] >= scores[:, :1]).sum(1).astype(np.int64)
    return before + 1


def ranking_columns(scores: RankingScores) -> npt.NDArray[np.float64]:
    """Return the reciprocal rank, whether the rank is 1, and a 1 for each query, [Q, 3]."""
    first = scores.ranks == 1
    return np.stack([1 / scores.ranks, first, np.ones(len(scores.ranks))], axis=1)


def ranking_report(scores: RankingScores, num_resamples: int, seed: int) -> dict[str, Any]:
    """Return mean reciprocal rank and recall at 1 with their 95 % intervals, and chance level."""
    columns = ranking_columns(scores)
    drawn = resampled_sums([Clusters(scores.articles, columns)], num_resamples, seed)
    size = NUM_NEGATIVES + 1
    return {
        "num_queries": len(scores.ranks),
        "mrr": {
            "value": float(columns[:, 0].mean()), "interval": interval(drawn[:, 0], drawn[:, 2]),
        },
        "recall_at_1": {
            "value": float(columns[:, 1].mean()), "interval": interval(drawn[:, 1], drawn[:, 2]),
        },
        "mrr_by_chance": float(np.mean(1 / np.arange(1, size + 1))),
    }  # fmt: skip
