"""The lexical comparison graph: each document's nearest others by TF-IDF cosine similarity.

LinkBERT (arXiv:2203.15827), section 4.1: the top k = 5 documents. Words are put together again from
their pieces and hashed, so that no text is read twice and every language works alike. Weights are
scikit-learn's defaults: count times (1 + ln((1 + N) / (1 + df))), rows of length 1. Words in more
than a tenth of the documents are left out: they cost most of the time and tell little.

    tokens of all documents ──▶ sparse matrix [N, 2^20] ──▶ blocks of rows times all rows ──▶ top k
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]
# scipy has no types, and is imported where it is used: only this arm needs it.
SparseMatrix = Any

_HASH_BITS = 20
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_MAX_DOCUMENT_SHARE = 0.1
# Similarities held at once, as float64: 128 MB, whatever the number of documents.
_BLOCK_CELLS = 1 << 24


def hash_words(token_ids: Int64Array, starts_word: BoolArray) -> tuple[Int32Array, Int64Array]:
    """Return a hash of each word, and the token it starts at; pieces join their word.

    Args:
        token_ids: int64 [T].
        starts_word: bool [T], False where a piece continues the word before it.

    Returns:
        int32 [W] hashes below 2^20, and int64 [W] places.

    >>> ids, starts = np.array([5, 9, 5, 7]), np.array([True, True, False, True])
    >>> words, places = hash_words(np.concatenate([ids, [9, 5]]), np.append(starts, [True, False]))
    >>> places.tolist(), bool(words[1] == words[3]), bool(words[0] == words[1])
    ([0, 1, 3, 4], True, False)
    """
    is_start = starts_word.copy()
    is_start[:1] = True
    places = np.flatnonzero(is_start)
    if not len(places):
        return np.zeros(0, np.int32), places
    order = np.arange(len(token_ids)) - np.repeat(places, np.diff(places, append=len(token_ids)))
    with np.errstate(over="ignore"):
        mixed = (token_ids.astype(np.uint64) + np.uint64(1)) * _MULTIPLIER
        mixed = (mixed ^ (mixed >> np.uint64(29))) * (2 * order.astype(np.uint64) + np.uint64(1))
        sums = np.add.reduceat(mixed, places) * _MULTIPLIER
    return (sums >> np.uint64(64 - _HASH_BITS)).astype(np.int32), places


def weigh_words(words: Int32Array, documents: Int32Array, num_documents: int) -> SparseMatrix:
    """Return the TF-IDF matrix of word hashes, rows of length 1.

    Args:
        words: int32 [W].
        documents: int32 [W], the document of each.
        num_documents: N.

    Returns:
        scipy.sparse.csr_array float32 [N, 2^20].
    """
    from scipy.sparse import csr_array

    keys, counts = np.unique((documents.astype(np.int64) << _HASH_BITS) | words, return_counts=True)
    rows, columns = keys >> _HASH_BITS, keys & ((1 << _HASH_BITS) - 1)
    frequency = np.bincount(columns, minlength=1 << _HASH_BITS)
    kept = frequency[columns] <= max(_MAX_DOCUMENT_SHARE * num_documents, 2)
    rows, columns, counts = rows[kept], columns[kept], counts[kept]
    weights = counts * (1 + np.log((1 + num_documents) / (1 + frequency[columns])))
    lengths = np.sqrt(np.bincount(rows, weights**2, minlength=num_documents))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=num_documents))])
    data = (weights / lengths[rows]).astype(np.float32)
    return csr_array((data, columns, indptr), shape=(num_documents, 1 << _HASH_BITS))


def most_similar(matrix: SparseMatrix, num_similar: int) -> tuple[Int64Array, Int32Array]:
    """Return the nearest other rows of each row, the most similar ones, as compressed rows.

    Rows that share no word are never neighbours, so a row may have fewer. Of equals, the lowest.

    Returns:
        int64 [N + 1] and int32 [at most N * num_similar], ascending within a row.
    """
    num_rows = matrix.shape[0]
    others = matrix.T.tocsr()
    found: list[Int32Array] = []
    block = max(1, _BLOCK_CELLS // max(num_rows, 1))
    for start in range(0, num_rows, block):
        scores = (matrix[start : start + block] @ others).toarray()
        for row, similarities in enumerate(scores, start):
            similarities[row] = 0
            found.append(_top(similarities, num_similar))
    sizes = [len(each) for each in found]
    flat = np.concatenate([np.zeros(0, np.int32), *found])
    return np.cumsum([0, *sizes], dtype=np.int64), flat


def _top(scores: npt.NDArray[np.float32], count: int) -> Int32Array:
    """Return the indices of the highest positive scores, ascending; the lowest of equals."""
    if len(scores) > count:
        bound = max(np.partition(scores, len(scores) - count)[len(scores) - count], 0)
        candidates = np.flatnonzero((scores >= bound) & (scores > 0))
    else:
        candidates = np.flatnonzero(scores > 0)
    best = candidates[np.argsort(-scores[candidates], kind="stable")[:count]]
    return np.sort(best).astype(np.int32)
