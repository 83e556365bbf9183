from dataclasses import replace

import numpy as np
import pytest

from pipeline.sample.pairs.graph import Links, Segments
from pipeline.sample.pairs.linked import (
    count_by_reach,
    draw_linked,
    expected_appearances,
    has_usable_link,
)
from pipeline.sample.pairs.recipe import (
    PairRules,
)
from schemas.counter_rng import counter_key
from schemas.tables.instances import LINKED
from tests.pipeline.sample.pairs.graphs import (
    SMALL,
    graph_of,
    links_of,
    plan,
    random_corpus,
    segments_of,
)


def test_a_link_to_a_document_out_of_the_pool_is_not_usable() -> None:
    links = links_of(SMALL)
    weights = links.weights.copy()
    weights[2] = 0
    usable = has_usable_link(np.arange(11), SMALL.segments, replace(links, weights=weights))
    assert np.flatnonzero(usable).tolist() == [0, 1]


def test_a_link_to_the_own_document_is_not_usable() -> None:
    first = np.array([0, 1, 2])
    links = Links(np.array([0, 1, 1]), np.array([0], np.int32), False, np.ones(2))
    assert not has_usable_link(np.arange(2), segments_of(first), links).any()


def test_linked_documents_follow_the_inverse_of_their_in_degree() -> None:
    """Document 0 links to 1 (in-degree 1) and 2 (in-degree 3): exactly 3/4 and 1/4."""
    draws = 40_000
    many = Segments(np.array([0, draws, draws + 1, draws + 2]), np.repeat([0, 1, 2], [draws, 1, 1]))
    graph = graph_of([(0, 1), (0, 2), (1, 2)], 3)
    links = Links(graph.out_indptr, graph.out_indices, True, np.array([1, 1, 1 / 3]))
    drawn = draw_linked(np.arange(draws), many, links, counter_key(0, "test"))
    share = float((drawn == 1).mean())
    # Three standard deviations of a share of 3/4 over so many draws.
    assert share == pytest.approx(0.75, abs=3 * (0.75 * 0.25 / draws) ** 0.5)
    assert set(drawn.tolist()) == {1, 2}


def test_rounding_never_leads_past_the_last_usable_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "pipeline.sample.pairs.linked.counter_uniform", lambda key, ids: np.ones(np.shape(ids))
    )
    targets = np.array([1, 2, 3, 4, 5], np.int32)
    links = Links(np.array([0, 3, 5, 5, 5, 5, 5]), targets, True, np.array([0, 1.0, 1, 0, 1, 0]))
    drawn = draw_linked(np.array([0, 2]), SMALL.segments, links, counter_key(0, "test"))
    assert drawn.tolist() == [2, 4]


def test_segments_out_of_reach_are_counted_by_what_is_in_the_way() -> None:
    # Documents 0 to 5 as above, two segments each; 1 and 3 link only to 2, which is held out, 0 to
    # 1 as well; 4 links to 6, which has no segment.
    first = np.array([0, 2, 4, 6, 8, 10, 11, 11])
    indptr = np.array([0, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 5])
    links = Links(indptr, np.array([1, 2, 2, 2, 6], np.int32), False, np.ones(7))
    links.weights[[2, 6]] = 0
    found = count_by_reach(np.arange(11), segments_of(first), links)
    assert found == {
        "usable": 1,
        "document_without_links": 3,
        "none_in_segment": 4,
        "target_without_segments": 1,
        "target_in_other_split": 2,
    }


def test_expected_appearances_are_exact_on_the_small_graph() -> None:
    found = expected_appearances(np.arange(11), SMALL.segments, links_of(SMALL))
    assert found == pytest.approx([0, 2 * 0.75, 2 * 0.25 + 2 + 2, 0, 0, 0])


def test_frequencies_match_expectation_over_epochs() -> None:
    corpus = random_corpus()
    links = links_of(corpus)
    rules = PairRules(shares=(0, 0, 1))
    epochs = 60
    usable = np.flatnonzero(
        has_usable_link(np.arange(len(corpus.segments.node)), corpus.segments, links)
    )
    counts = np.zeros(len(links.weights))
    for epoch in range(epochs):
        pairs = plan(corpus, rules, epoch=epoch)
        linked = pairs.relation == LINKED
        assert set(pairs.segment_a[linked].tolist()) == set(usable.tolist())
        counts += np.bincount(corpus.segments.node[pairs.segment_b[linked]], minlength=len(counts))
    expected = epochs * expected_appearances(usable, corpus.segments, links)
    often = expected > 50
    assert often.sum() > 20
    deviation = (counts[often] - expected[often]) / np.sqrt(expected[often])
    assert np.abs(deviation).max() < 4
    assert abs(deviation.mean()) < 1


def test_weighting_makes_appearances_flatter() -> None:
    from pipeline.sample.plan import gini

    corpus = random_corpus()
    links = links_of(corpus)
    uniform = replace(links, weights=np.ones(len(links.weights)))
    ids = np.arange(len(corpus.segments.node))
    unevenness = [
        gini(found[found > 0])
        for found in (expected_appearances(ids, corpus.segments, each) for each in (links, uniform))
    ]
    assert unevenness[0] < unevenness[1] - 0.05
