"""LinkGraph answers as networkx does, without reading the arrays whole."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest

from pipeline.graph import GRAPH, GraphConfig
from pipeline.link_graph import LinkGraph
from pipeline.stage import Job
from schemas.errors import GraphError, StageError
from tests.pipeline.corpora import page, redirect, write_corpus
from tests.running import run_inline

NUM_NODES = 60


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draw = random.Random(3)
    # Few links: several components, isolated documents and dangling ones.
    pages = [
        page(n, f"Page {n}", [f"Page {draw.randrange(50)}" for _ in range(draw.randrange(4))])
        for n in range(NUM_NODES)
    ]
    redirects = [redirect(100, "Way", "Page 7"), redirect(101, "Nowhere", "Red")]
    root = write_corpus(tmp_path_factory.mktemp("corpus"), [pages[:33], pages[33:]], redirects)
    run_inline(Job(GRAPH, str(root), GraphConfig(nodes_per_part=16)))
    return root


@pytest.fixture
def graph(corpus: Path) -> Iterator[LinkGraph]:
    with LinkGraph.open(str(corpus)) as opened:
        yield opened


@pytest.fixture
def reference(graph: LinkGraph) -> Any:
    return graph.to_networkx()


def test_neighbours_and_degrees_equal_networkx(graph: LinkGraph, reference: Any) -> None:
    assert (graph.num_nodes, graph.num_edges) == (NUM_NODES, reference.number_of_edges())
    for node in range(NUM_NODES):
        assert graph.neighbours(node).tolist() == sorted(reference.successors(node))
        assert graph.in_neighbours(node).tolist() == sorted(reference.predecessors(node))
        mentions = [
            reference.edges[node, target]["num_mentions"] for target in graph.neighbours(node)
        ]
        assert graph.mentions(node).tolist() == mentions
    assert graph.degrees("out").tolist() == [degree for _, degree in reference.out_degree()]
    assert graph.degrees("in").tolist() == [degree for _, degree in reference.in_degree()]
    expected = Counter(degree for _, degree in reference.in_degree())
    assert graph.degree_distribution("in") == dict(sorted(expected.items()))


def test_components_equal_networkx_and_are_numbered_by_size(
    graph: LinkGraph, reference: Any
) -> None:
    for kind, expected in (
        ("weak", networkx.weakly_connected_components(reference)),
        ("strong", networkx.strongly_connected_components(reference)),
    ):
        labels = graph.components(kind)  # type: ignore[arg-type]
        found = [set(np.flatnonzero(labels == label).tolist()) for label in range(labels.max() + 1)]
        assert found == sorted(expected, key=lambda nodes: (-len(nodes), min(nodes)))


@pytest.mark.parametrize("damping", [0.5, 0.85])
def test_pagerank_equals_networkx(graph: LinkGraph, reference: Any, damping: float) -> None:
    expected = networkx.pagerank(reference, alpha=damping, tol=1e-12, weight=None, max_iter=500)
    found = graph.pagerank(damping)
    assert abs(found.sum() - 1) < 1e-12
    assert np.abs(found - [expected[node] for node in range(NUM_NODES)]).max() < 1e-8


def test_pagerank_that_does_not_converge_says_so(graph: LinkGraph) -> None:
    with pytest.raises(GraphError, match="converge"):
        graph.pagerank(max_iterations=1)


def test_within_equals_networkx_both_ways(graph: LinkGraph, reference: Any) -> None:
    for hops in range(4):
        for node in range(0, NUM_NODES, 7):
            forward = networkx.single_source_shortest_path_length(reference, node, hops)
            assert graph.within(node, hops).tolist() == sorted(forward)
            turned = reference.reverse()
            backward = networkx.single_source_shortest_path_length(turned, node, hops)
            assert graph.within(node, hops, "in").tolist() == sorted(backward)


def test_titles_are_found_both_ways_and_through_redirects(graph: LinkGraph) -> None:
    assert graph.titles([59, 0, 17]) == ["Page 59", "Page 0", "Page 17"]
    assert graph.titles([]) == []
    assert [graph.node_of(title) for title in ("Page 31", "page 31", "Way")] == [31, 31, 7]
    for title in ("Nowhere", "Red", "PAGE 31", ""):
        with pytest.raises(GraphError, match="check the spelling"):
            graph.node_of(title)


def test_some_nodes_become_the_induced_subgraph(graph: LinkGraph, reference: Any) -> None:
    nodes = list(range(0, NUM_NODES, 2))
    part = graph.to_networkx(nodes)
    expected = reference.subgraph(nodes)
    assert dict(part.nodes(data=True)) == dict(expected.nodes(data=True))
    assert sorted(part.edges(data="num_mentions")) == sorted(expected.edges(data="num_mentions"))


def test_graphml_can_be_read_again(graph: LinkGraph, reference: Any, tmp_path: Path) -> None:
    graph.write_graphml(str(tmp_path / "graph.graphml"))
    read = networkx.read_graphml(tmp_path / "graph.graphml", node_type=int)
    assert read.nodes(data=True) == reference.nodes(data=True)
    assert dict(read.edges) == dict(reference.edges)


def test_the_arrays_stay_on_disk(graph: LinkGraph) -> None:
    for array in (graph.out_indptr, graph.out_indices, graph.in_indptr, graph.in_indices):
        assert isinstance(array.base, np.memmap)
        assert not array.flags.writeable


def test_a_graph_without_nodes_can_be_asked(tmp_path: Path) -> None:
    write_corpus(tmp_path, [[]])
    run_inline(Job(GRAPH, str(tmp_path), GraphConfig()))
    with LinkGraph.open(str(tmp_path)) as graph:
        assert graph.num_nodes == graph.num_edges == 0
        assert len(graph.pagerank()) == len(graph.components("weak")) == 0
        assert graph.degree_distribution("out") == {}
        assert graph.to_networkx().number_of_nodes() == 0


def test_a_corpus_without_a_graph_names_the_stage(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="linkbert graph"):
        LinkGraph.open(str(tmp_path))
