from collections import Counter

import numpy as np

from pipeline.sample.pairs.graph import Segments
from pipeline.sample.pairs.partners import draw_random, has_partner
from schemas.counter_rng import counter_key
from tests.pipeline.sample.pairs.graphs import (
    SMALL,
    graph_of,
    segments_of,
)


def test_random_documents_are_uniform_over_the_unlinked_others() -> None:
    """Document 0 is linked with 1 and 2, so 3, 4 and 5 are left."""
    draws = 30_000
    segments = Segments(
        np.array([0, draws, *range(draws + 1, draws + 6)]),
        np.repeat(np.arange(6), [draws, 1, 1, 1, 1, 1]).astype(np.int32),
    )
    pool = np.arange(6, dtype=np.int32)
    drawn = draw_random(np.arange(draws), segments, SMALL.graph, pool, counter_key(0, "test"))
    counts = Counter(drawn.tolist())
    assert set(counts) == {3, 4, 5}
    assert max(counts.values()) - min(counts.values()) < 5 * (draws * 2 / 9) ** 0.5


def test_a_document_linked_with_nearly_all_still_draws_uniformly() -> None:
    """One of 400 documents is allowed: rejection gives up and the allowed ones are listed."""
    graph = graph_of([(0, target) for target in range(1, 399)], 400)
    segments = segments_of(np.arange(0, 401))
    pool = np.arange(400, dtype=np.int32)
    drawn = draw_random(np.zeros(1, np.int64), segments, graph, pool, counter_key(0, "test"))
    assert drawn.tolist() == [399]


def test_documents_without_partner_are_known() -> None:
    graph = graph_of([(0, 1), (0, 2), (1, 2), (3, 0)], 4)
    pool = np.arange(4, dtype=np.int32)
    assert has_partner(graph, pool).tolist() == [False, True, True, True]
    assert not has_partner(graph_of([], 1), np.arange(1, dtype=np.int32)).any()
