import numpy as np
import pytest

from pipeline.sample.pairs.graph import Graph
from pipeline.sample.pairs.held_out import CLOSED, OPEN, TRAINING, grow_cluster, hold_out
from tests.pipeline.sample.pairs.graphs import graph_of, random_corpus


def chain_of_cliques(num_cliques: int, size: int) -> Graph:
    """Return cliques joined in a ring by one link each."""
    edges = []
    for clique in range(num_cliques):
        members = range(clique * size, (clique + 1) * size)
        edges += [(a, b) for a in members for b in members if a != b]
        edges.append((clique * size, ((clique + 1) % num_cliques) * size))
    return graph_of(edges, num_cliques * size)


def test_both_sets_have_their_size_and_nothing_in_common() -> None:
    graph = random_corpus(2000).graph
    split = hold_out(np.ones(2000, bool), graph, 100, seed=0)
    counts = np.bincount(split, minlength=3)
    assert counts[OPEN] == 100
    # A cluster of one would keep no link, so one place may stay empty.
    assert counts[CLOSED] in (99, 100)


def test_clusters_keep_more_links_than_a_random_choice() -> None:
    graph = random_corpus(2000).graph
    split = hold_out(np.ones(2000, bool), graph, 100, seed=0)

    def links_inside(name: int) -> int:
        sources = np.repeat(np.arange(2000), np.diff(graph.out_indptr))
        return int(((split[sources] == name) & (split[graph.out_indices] == name)).sum())

    assert links_inside(CLOSED) > 5 * max(links_inside(OPEN), 1)


def test_a_cluster_is_filled_before_it_leaves_its_clique() -> None:
    graph = chain_of_cliques(5, 6)
    members = grow_cluster(13, 6, np.ones(30, bool), graph, np.arange(30))
    assert sorted(members) == list(range(12, 18))


def test_a_hub_stays_out_while_others_are_left() -> None:
    # A star of 50 with a ring around three of its leaves.
    edges = [(0, leaf) for leaf in range(1, 51)] + [(1, 2), (2, 3), (3, 1)]
    members = grow_cluster(1, 3, np.ones(51, bool), graph_of(edges, 51), np.arange(51))
    assert sorted(members) == [1, 2, 3]


def test_documents_without_segments_are_never_held_out() -> None:
    has_segments = np.arange(300) % 3 > 0
    split = hold_out(has_segments, random_corpus().graph, 40, seed=0)
    assert (split[~has_segments] == TRAINING).all()


@pytest.mark.parametrize("num_documents", [0, 1])
def test_too_few_documents_make_no_cluster(num_documents: int) -> None:
    split = hold_out(np.ones(300, bool), random_corpus().graph, num_documents, seed=0)
    assert np.bincount(split, minlength=3).tolist() == [300 - num_documents, num_documents, 0]


def test_the_choice_depends_on_the_seed_alone() -> None:
    graph = random_corpus().graph
    one, same, other = (hold_out(np.ones(300, bool), graph, 30, seed) for seed in (0, 0, 1))
    assert (one == same).all()
    assert (one != other).any()
