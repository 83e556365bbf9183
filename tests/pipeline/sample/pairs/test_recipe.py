from dataclasses import replace

import numpy as np
import pytest

from pipeline.sample.pairs.graph import is_neighbour
from pipeline.sample.pairs.recipe import (
    Draw,
    PairRules,
    Population,
    classify,
    epoch_order,
    plan_pairs,
)
from schemas.counter_rng import counter_key
from schemas.tables.instances import CONTIGUOUS, LINKED, RANDOM
from tests.pipeline.sample.pairs.graphs import SMALL, links_of, plan, random_corpus


def test_classes_tell_successor_and_usable_link() -> None:
    classes = classify(np.arange(11), SMALL.segments, SMALL.links)
    assert classes.tolist() == [3, 2, 3, 2, 1, 0, 3, 2, 1, 0, 0]


def test_every_segment_is_segment_a_once_an_epoch() -> None:
    corpus = random_corpus()
    for rules in (PairRules(), PairRules(is_exact=False), PairRules(shares=(1, 1, 0))):
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
    pairs, _ = plan_pairs(corpus, Population(takes_part, takes_part), PairRules(), draw)
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
        pairs = plan(corpus, PairRules(is_lead_only=is_lead))
        b = pairs.segment_b[pairs.relation == LINKED]
        is_first = b == first[corpus.segments.node[b]]
        assert is_first.all() == is_lead


def test_random_links_change_nothing_but_the_linked_segments() -> None:
    corpus = random_corpus()
    real, shuffled = plan(corpus), plan(corpus, PairRules(is_random_linked=True))
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
    counts = np.bincount(plan(corpus, PairRules(shares=(1, 1, 0))).relation, minlength=3)
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
