import numpy as np
import pytest

from pipeline import similarity
from pipeline.similarity import hash_words, most_similar, weigh_words


def test_words_are_the_same_wherever_they_stand() -> None:
    token_ids = np.array([4, 7, 8, 4, 7, 9, 8, 7])
    starts = np.array([True, True, False, True, True, True, False, True])
    words, places = hash_words(token_ids, starts)
    assert places.tolist() == [0, 1, 3, 4, 5, 7]
    assert words[0] == words[2]
    assert words[3] == words[5]
    # 7 8, 7 alone and 9 8 are three words.
    assert len({words[1], words[3], words[4]}) == 3


def test_pieces_in_another_order_are_another_word() -> None:
    starts = np.array([True, False, False] * 2)
    words, _ = hash_words(np.array([1, 2, 3, 1, 3, 2]), starts)
    assert words[0] != words[1]


def make_documents(num_documents: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    sizes = rng.integers(5, 60, num_documents)
    words = (2000 * rng.random(sizes.sum()) ** 2).astype(np.int32)
    return words, np.repeat(np.arange(num_documents, dtype=np.int32), sizes)


def test_weights_are_those_of_the_formula() -> None:
    words, documents = make_documents()
    matrix = weigh_words(words, documents, 40)[:, :2000].toarray()
    counts = np.zeros((40, 2000))
    np.add.at(counts, (documents, words), 1)
    frequency = (counts > 0).sum(axis=0)
    expected = counts * (1 + np.log(41 / (1 + frequency))) * (frequency <= 4)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert matrix == pytest.approx(expected, abs=1e-6)


def test_the_nearest_are_found_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = weigh_words(*make_documents(), 40)
    cosine = (matrix @ matrix.T).toarray()
    np.fill_diagonal(cosine, 0)
    start, ids = most_similar(matrix, 5)
    for row in range(40):
        chosen = ids[start[row] : start[row + 1]].tolist()
        assert chosen == sorted(chosen)
        assert row not in chosen
        best = sorted(range(40), key=lambda other: (-cosine[row, other], other))[:5]
        assert chosen == sorted(other for other in best if cosine[row, other] > 0)
    monkeypatch.setattr(similarity, "_BLOCK_CELLS", 100)
    assert most_similar(matrix, 5)[1].tolist() == ids.tolist()


def test_documents_without_common_words_have_no_neighbours() -> None:
    start, ids = most_similar(weigh_words(np.array([1, 2], np.int32), np.arange(2), 2), 5)
    assert start.tolist() == [0, 0, 0]
    assert len(ids) == 0
