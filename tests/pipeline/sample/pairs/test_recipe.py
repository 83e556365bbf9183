from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pipeline.sample.pairs.graph import Graph, Links, Segments, is_neighbour
from pipeline.sample.pairs.linked import (
    count_by_reach,
    draw_linked,
    expected_appearances,
    has_usable_link,
)
from pipeline.sample.pairs.partners import draw_random, has_partner
from pipeline.sample.pairs.recipe import (
    Corpus,
    Draw,
    Pairs,
    Population,
    Rules,
    classify,
    epoch_order,
    plan_pairs,
)
from schemas.counter_rng import counter_key
from schemas.tables.instances import CONTIGUOUS, LINKED, RANDOM

# Six documents, two segments each but for the last, which has one.
#   0 -> 1, 2    1 -> 2    3 -> 2    4 and 5 have no links out; 2 is linked three times, 1 once
EDGES = [(0, 1), (0, 2), (1, 2), (3, 2)]
NUM_NODES = 6
FIRST = np.array([0, 2, 4, 6, 8, 10, 11])


def graph_of(edges: list[tuple[int, int]], num_nodes: int) -> Graph:
    def rows(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
        sizes = np.bincount([pair[0] for pair in pairs], minlength=num_nodes)
        indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return indptr, np.array([pair[1] for pair in sorted(pairs)], np.int32)

    return Graph(*rows(edges), *rows([(target, source) for source, target in edges]))


def segments_of(first: np.ndarray) -> Segments:
    sizes = np.diff(first)
    return Segments(
        first.astype(np.int64), np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    )


def corpus_of(edges: list[tuple[int, int]], first: np.ndarray) -> Corpus:
    """Return a corpus whose links are open to all segments of a document."""
    num_nodes = len(first) - 1
    graph = graph_of(edges, num_nodes)
    in_degree = np.diff(graph.in_indptr)
    links = Links(graph.out_indptr, graph.out_indices, True, 1 / np.maximum(in_degree, 1))
    return Corpus(segments_of(first), graph, links)


SMALL = corpus_of(EDGES, FIRST)
EVERYONE = Population(np.ones(NUM_NODES, bool), np.ones(NUM_NODES, bool))


def links_of(corpus: Corpus) -> Links:
    assert corpus.links is not None
    return corpus.links


def random_corpus(num_nodes: int = 300, seed: int = 0) -> Corpus:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, num_nodes)
    first = np.concatenate([[0], np.cumsum(sizes)])
    sources = rng.integers(0, num_nodes, 4 * num_nodes)
    targets = (num_nodes * rng.random(4 * num_nodes) ** 3).astype(int)
    edges = sorted(
        {(s, t) for s, t in zip(sources.tolist(), targets.tolist(), strict=True) if s != t}
    )
    return corpus_of(edges, first)


def plan(corpus: Corpus, rules: Rules | None = None, seed: int = 0, epoch: int = 0) -> Pairs:
    num_nodes = len(corpus.segments.first) - 1
    everyone = Population(np.ones(num_nodes, bool), np.ones(num_nodes, bool))
    return plan_pairs(corpus, everyone, rules or Rules(), Draw(seed, "train", epoch, 0))[0]


def test_classes_tell_successor_and_usable_link() -> None:
    classes = classify(np.arange(11), SMALL.segments, SMALL.links)
    assert classes.tolist() == [3, 2, 3, 2, 1, 0, 3, 2, 1, 0, 0]


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
    rules = Rules(shares=(0, 0, 1))
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


def test_neighbours_are_found_in_both_directions() -> None:
    rng = np.random.default_rng(3)
    graph = random_corpus().graph
    edges = {
        (source, int(target))
        for source in range(300)
        for target in graph.out_indices[graph.out_indptr[source] : graph.out_indptr[source + 1]]
    }
    nodes, others = rng.integers(0, 300, (2, 5000)).astype(np.int32)
    expected = [
        (a, b) in edges or (b, a) in edges
        for a, b in zip(nodes.tolist(), others.tolist(), strict=True)
    ]
    assert is_neighbour(graph, nodes, others).tolist() == expected
    assert any(expected)


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


def test_every_segment_is_segment_a_once_an_epoch() -> None:
    corpus = random_corpus()
    for rules in (Rules(), Rules(is_exact=False), Rules(shares=(1, 1, 0))):
        pairs = plan(corpus, rules)
        assert sorted(pairs.segment_a.tolist()) == list(range(len(corpus.segments.node)))


def test_relations_are_what_they_say() -> None:
    corpus = random_corpus()
    node = corpus.segments.node
    for epoch in range(5):
        pairs = plan(corpus, epoch=epoch)
        a, b = node[pairs.segment_a], node[pairs.segment_b]
        contiguous = pairs.relation == CONTIGUOUS
        assert (pairs.segment_b[contiguous] == pairs.segment_a[contiguous] + 1).all()
        assert (a[contiguous] == b[contiguous]).all()
        linked = pairs.relation == LINKED
        graph = corpus.graph
        for source, target in zip(a[linked].tolist(), b[linked].tolist(), strict=True):
            row = graph.out_indices[graph.out_indptr[source] : graph.out_indptr[source + 1]]
            assert target in row
        others = pairs.relation == RANDOM
        assert (a[others] != b[others]).all()
        assert not is_neighbour(graph, a[others], b[others]).any()


def test_held_out_documents_take_no_part() -> None:
    corpus = random_corpus()
    takes_part = np.arange(300) % 5 != 0
    links = links_of(corpus)
    corpus = replace(corpus, links=replace(links, weights=links.weights * takes_part))
    draw = Draw(0, "train", 0, 0)
    pairs, _ = plan_pairs(corpus, Population(takes_part, takes_part), Rules(), draw)
    assert takes_part[corpus.segments.node[pairs.segment_a]].all()
    assert takes_part[corpus.segments.node[pairs.segment_b]].all()
    expected = np.flatnonzero(takes_part[corpus.segments.node])
    assert pairs.segment_a.tolist() == expected.tolist()


def test_each_epoch_and_seed_draws_anew_and_repeats_itself() -> None:
    corpus = random_corpus()
    plans = [plan(corpus), plan(corpus, epoch=1), plan(corpus, seed=1)]
    assert all((plans[0].segment_b != other.segment_b).any() for other in plans[1:])
    assert (plan(corpus).segment_b == plans[0].segment_b).all()


def test_target_segments_are_uniform_or_the_lead() -> None:
    corpus = random_corpus()
    first = corpus.segments.first
    for is_lead in (False, True):
        pairs = plan(corpus, Rules(is_lead_only=is_lead))
        b = pairs.segment_b[pairs.relation == LINKED]
        is_first = b == first[corpus.segments.node[b]]
        assert is_first.all() == is_lead


def test_random_links_change_nothing_but_the_linked_segments() -> None:
    corpus = random_corpus()
    real, shuffled = plan(corpus), plan(corpus, Rules(is_random_linked=True))
    assert (real.segment_a == shuffled.segment_a).all()
    assert (real.relation == shuffled.relation).all()
    linked = real.relation == LINKED
    assert (real.segment_b[~linked] == shuffled.segment_b[~linked]).all()
    node = corpus.segments.node
    joined = is_neighbour(
        corpus.graph, node[shuffled.segment_a[linked]], node[shuffled.segment_b[linked]]
    )
    assert not joined.any()


def test_the_arm_without_links_is_half_and_half() -> None:
    corpus = replace(random_corpus(), links=None)
    counts = np.bincount(plan(corpus, Rules(shares=(1, 1, 0))).relation, minlength=3)
    assert counts[LINKED] == 0
    assert abs(int(counts[CONTIGUOUS]) - int(counts[RANDOM])) <= 1


def test_chunks_do_not_change_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = random_corpus()
    whole = plan(corpus)
    monkeypatch.setattr("pipeline.sample.pairs.partners._CHUNK_PAIRS", 7)
    monkeypatch.setattr("pipeline.sample.pairs.linked._CHUNK_PAIRS", 7)
    monkeypatch.setattr("pipeline.sample.pairs.linked._CHUNK_TARGETS", 13)
    parts = plan(corpus)
    assert (whole.segment_b == parts.segment_b).all()
    assert (whole.relation == parts.relation).all()


def test_order_is_a_permutation_in_which_any_prefix_is_a_fair_sample() -> None:
    pairs = plan(random_corpus(2000))
    order = epoch_order(pairs.segment_a, counter_key(0, "order"))
    assert sorted(order.tolist()) == list(range(len(order)))
    prefix = np.bincount(pairs.relation[order[: len(order) // 4]], minlength=3)
    assert prefix / prefix.sum() == pytest.approx([1 / 3] * 3, abs=0.05)
    assert np.abs(np.corrcoef(order, np.arange(len(order)))[0, 1]) < 0.05
