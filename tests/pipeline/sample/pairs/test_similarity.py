import sys
from typing import Any

import numpy as np
import pytest

from pipeline.engine.stage import Job
from pipeline.sample.config import SampleConfig
from pipeline.sample.pairs.similarity import NO_NEIGHBOUR, most_similar, weigh_words, words_of
from pipeline.sample.stage import SAMPLE, fingerprint_inputs
from schemas.errors import ConfigError

NUM_DOCUMENTS = 40
# Ids from 2000 on continue a word.
CONTINUES = np.arange(3000) >= 2000


def make_documents() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        (3000 * rng.random(size) ** 2).astype("<u2")
        for size in rng.integers(5, 60, NUM_DOCUMENTS).tolist()
    ]


def weighed(documents: list[np.ndarray]) -> Any:
    return weigh_words(iter(documents), len(documents), CONTINUES)


def test_words_are_the_same_wherever_they_stand() -> None:
    words = words_of(np.array([4, 7, 2008, 4, 7, 9, 2008, 7], "<u2"), CONTINUES)
    assert words[0] == words[2]
    assert words[1] != words[3] == words[5]
    # 7 and 2008, 7 alone and 9 and 2008 are three words.
    assert len({words[1], words[3], words[4]}) == 3


def test_a_first_piece_that_continues_begins_a_word() -> None:
    assert len(words_of(np.array([2008, 4], "<u2"), CONTINUES)) == 2
    assert words_of(np.zeros(0, "<u2"), CONTINUES) == []


def test_weights_are_those_of_the_formula() -> None:
    documents = make_documents()
    matrix = weighed(documents).toarray()
    vocabulary = sorted({word for each in documents for word in words_of(each, CONTINUES)})
    counts = np.zeros((NUM_DOCUMENTS, len(vocabulary)))
    for row, each in enumerate(documents):
        for word in words_of(each, CONTINUES):
            counts[row, vocabulary.index(word)] += 1
    frequency = (counts > 0).sum(axis=0)
    kept = frequency <= 4
    assert not kept.all()
    expected = (counts * (1 + np.log(41 / (1 + frequency))))[:, kept]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert matrix == pytest.approx(expected, abs=1e-6)


def test_the_nearest_are_those_of_the_whole_matrix_whatever_the_blocks() -> None:
    matrix = weighed(make_documents())
    cosine = (matrix @ matrix.T).toarray()
    np.fill_diagonal(cosine, 0)
    nearest = most_similar(matrix, slice(0, NUM_DOCUMENTS), 5)
    assert nearest.shape == (NUM_DOCUMENTS, 5)
    for row, found in enumerate(nearest.tolist()):
        chosen = [other for other in found if other != NO_NEIGHBOUR]
        assert found == sorted(found)
        assert row not in chosen
        best = np.sort(cosine[row])[::-1][:5]
        assert sorted(cosine[row, chosen]) == pytest.approx(sorted(best[best > 0]))
    blocks = [most_similar(matrix, slice(first, first + 7), 5) for first in range(0, 40, 7)]
    assert (np.concatenate(blocks) == nearest).all()


def test_copies_of_a_document_are_neighbours_of_each_other_and_never_of_themselves() -> None:
    """Of nine copies each has eight equally near others, more than there is place for."""
    documents = [np.array([5, 6, 7], "<u2")] * 9
    documents += [
        np.arange(100 + 9 * number, 109 + 9 * number, dtype="<u2") for number in range(90)
    ]
    nearest = most_similar(weighed(documents), slice(0, 9), 5)
    assert (nearest >= 0).all()
    assert (nearest < 9).all()
    assert not (nearest == np.arange(9)[:, None]).any()


def test_documents_without_common_words_have_no_neighbours() -> None:
    nearest = most_similar(weighed([np.array([1], "<u2"), np.array([2], "<u2")]), slice(0, 2), 5)
    assert (nearest == NO_NEIGHBOUR).all()
    assert nearest.shape == (2, 5)


@pytest.mark.parametrize("documents", [[[], []], [[1], [1], [1]]], ids=["empty", "all alike"])
def test_documents_without_a_word_that_tells_have_no_neighbours(documents: list[Any]) -> None:
    matrix = weighed([np.array(each, "<u2") for each in documents])
    assert (most_similar(matrix, slice(0, len(documents)), 5) == NO_NEIGHBOUR).all()


def test_without_scikit_learn_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ConfigError, match=r"linkbert\[pipeline\]"):
        fingerprint_inputs(Job(SAMPLE, "shards", SampleConfig(), ("corpus:tfidf",)))
