"""The lexical comparison graph: each document's nearest others by TF-IDF cosine similarity.

LinkBERT (arXiv:2203.15827), section 4.1: the top k = 5 documents. Both steps are scikit-learn's:
`TfidfVectorizer` with its default weights, count times (1 + ln((1 + N) / (1 + df))) and rows of
length 1, then brute-force `NearestNeighbors`. Words are put together again from their pieces, so
that no text is read twice and every language works alike. Words in more than a tenth of the
documents are left out: they cost most of the time and tell little.

    tokens of all documents ──▶ sparse matrix [N, words] ──▶ blocks of rows times all rows ──▶ top k
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.errors import ConfigError

Int32Array = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]
AnyArray = npt.NDArray[Any]
# scikit-learn and scipy have no types, and are imported where they are used: only this arm does.
SparseMatrix = Any

NO_NEIGHBOUR = -1

_MAX_DOCUMENT_SHARE = 0.1
# Distances held at once: bounds the memory whatever the number of documents.
_WORKING_MEMORY_MB = 128
# Float32 rounds the similarity of documents without a common word to about this much.
_MIN_SIMILARITY = 1e-6


def words_of(token_ids: AnyArray, continues: BoolArray) -> list[bytes]:
    r"""Return the words of a document, each as the bytes of its pieces' ids.

    Args:
        token_ids: [T], of an unsigned type.
        continues: bool [vocabulary], whether a piece continues the word before it.

    >>> continues = np.array([False, False, True])
    >>> words_of(np.array([1, 2, 1, 0], "<u2"), continues)
    [b'\x01\x00\x02\x00', b'\x01\x00', b'\x00\x00']
    """
    is_start = ~continues[token_ids]
    is_start[:1] = True
    cuts = [*(np.flatnonzero(is_start) * token_ids.itemsize).tolist(), token_ids.nbytes]
    data = token_ids.tobytes()
    return [data[start:stop] for start, stop in pairwise(cuts)]


def require_scikit_learn() -> None:
    """Refuse to compare words where the package that does is missing; nothing is imported.

    Raises:
        ConfigError: it is not installed.
    """
    if find_spec("sklearn") is None:
        raise ConfigError(
            "expected the package scikit-learn for links by TF-IDF, found none: "
            "pip install 'linkbert[pipeline]'"
        )


def weigh_words(
    documents: Iterable[AnyArray], num_documents: int, continues: BoolArray
) -> SparseMatrix:
    """Return the TF-IDF matrix of documents, rows of length 1.

    Args:
        documents: the token ids of each.
        num_documents: N.
        continues: as in `words_of`.

    Returns:
        scipy.sparse float32 [N, words], its words in the order of their ids.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        analyzer=lambda token_ids: words_of(token_ids, continues),
        max_df=max(2, int(_MAX_DOCUMENT_SHARE * num_documents)),
        dtype=np.float32,
    )
    try:
        return vectorizer.fit_transform(documents).tocsr()
    except ValueError as error:  # no document has a word, or all have the same ones
        if "vocabulary" not in str(error) and "no terms remain" not in str(error):
            raise
        from scipy.sparse import csr_matrix

        return csr_matrix((num_documents, 1), dtype=np.float32)


def most_similar(matrix: SparseMatrix, rows: slice, num_similar: int) -> Int32Array:
    """Return the nearest other rows of some rows.

    Rows that share no word are never neighbours, so a row may have fewer.

    Args:
        matrix: [N, words], rows of length 1 or 0.
        rows: which to look at.
        num_similar: K.

    Returns:
        int32 [rows, K], ascending; places that stay open hold NO_NEIGHBOUR, before the others.
    """
    import sklearn
    from sklearn.neighbors import NearestNeighbors

    # A row is its own nearest, and falls away below.
    num_nearest = min(num_similar + 1, matrix.shape[0])
    search = NearestNeighbors(n_neighbors=num_nearest, metric="cosine", algorithm="brute")
    with sklearn.config_context(working_memory=_WORKING_MEMORY_MB):
        distances, found = search.fit(matrix).kneighbors(matrix[rows])
    own = np.arange(matrix.shape[0])[rows, None]
    is_near = (found != own) & (distances < 1 - _MIN_SIMILARITY)
    # Where copies of a document crowd it out of its own list, the last of them goes.
    is_near &= np.cumsum(is_near, axis=1) <= num_similar
    chosen = np.sort(np.where(is_near, found, NO_NEIGHBOUR), axis=1).astype(np.int32)
    missing = num_similar + 1 - num_nearest
    return np.pad(chosen, ((0, 0), (missing, 0)), constant_values=NO_NEIGHBOUR)[:, -num_similar:]
