"""LinkGraph answers as networkx does, without reading the arrays whole."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest

from pipeline.engine.stage import Job
from pipeline.graph.config import GraphConfig
from pipeline.graph.link_graph import LinkGraph
from pipeline.graph.stage import GRAPH
from pipeline.graph.subset import grow_subset, share_inside
from schemas.errors import GraphError, StageError
from tests.pipeline.corpora import page, redirect, write_corpus
from tests.running import run_inline

NUM_NODES = 60


# Few links: several components, isolated documents and dangling ones.
_draw = random.Random(3)
TARGETS = [[_draw.randrange(50) for _ in range(_draw.randrange(4))] for _ in range(NUM_NODES)]
# Some edges have several mentions.
TARGETS = [targets + targets[:1] * (n % 3) for n, targets in enumerate(TARGETS)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pages = [
        page(n, f"Page {n}", [f"Page {target}" for target in targets])
        for n, targets in enumerate(TARGETS)
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
def reference() -> Any:
    """Return the same graph as networkx makes it of the links, without LinkGraph."""
    made = networkx.DiGraph()
    made.add_nodes_from((n, {"title": f"Page {n}"}) for n in range(NUM_NODES))
    for source, targets in enumerate(TARGETS):
        for target, count in sorted(Counter(targets).items()):
            if target != source:
                made.add_edge(source, target, num_mentions=count)
    return made


def test_the_whole_graph_becomes_one_of_networkx(graph: LinkGraph, reference: Any) -> None:
    made = graph.to_networkx()
    assert isinstance(made, networkx.DiGraph)
    assert dict(made.nodes(data=True)) == dict(reference.nodes(data=True))
    assert dict(made.edges) == dict(reference.edges)
    assert any(count > 1 for *_, count in made.edges(data="num_mentions"))


@pytest.mark.parametrize("node", [-1, NUM_NODES, 10**9])
def test_a_node_that_is_not_there_is_an_error(graph: LinkGraph, node: int) -> None:
    message = rf"a node from 0 to 59 of .*, found {node}: "
    for ask in (graph.neighbours, graph.in_neighbours, graph.mentions):
        with pytest.raises(GraphError, match=message):
            ask(node)
    with pytest.raises(GraphError, match=message):
        graph.within(node, 1)


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


def undirected_rings(reference: Any, start: int) -> list[set[int]]:
    return [set(ring) for ring in networkx.bfs_layers(reference.to_undirected(), start)]


@pytest.mark.parametrize("start", range(0, NUM_NODES, 5))
def test_a_breadth_first_subset_takes_whole_rings_and_part_of_the_last(
    graph: LinkGraph, reference: Any, start: int
) -> None:
    rings = undirected_rings(reference, start)
    reachable = sum(map(len, rings))
    for size in range(1, reachable + 1):
        chosen = set(grow_subset(graph, start, size, "breadth").tolist())
        assert len(chosen) == size
        left = chosen
        for ring in rings:
            if len(left) <= len(ring):
                assert left <= ring
                break
            assert ring <= left
            left = left - ring


@pytest.mark.parametrize("start", range(0, NUM_NODES, 5))
def test_a_link_grown_subset_adds_what_has_the_most_edges_to_it(
    graph: LinkGraph, reference: Any, start: int
) -> None:
    """Up to 16 documents, growth takes one at a time: the greedy choice, followed in networkx."""
    chosen = {start}
    for size in range(1, 16):
        found = set(grow_subset(graph, start, size).tolist())
        assert found == chosen
        ties = Counter(
            other
            for node in chosen
            for other in (*reference.successors(node), *reference.predecessors(node))
            if other not in chosen
        )
        if not ties:
            break
        chosen.add(min(ties, key=lambda node: (-ties[node], node)))


def test_the_share_inside_equals_that_of_the_induced_subgraph(
    graph: LinkGraph, reference: Any
) -> None:
    for nodes in ([0], list(range(20)), list(range(NUM_NODES))):
        leaving = reference.out_degree(nodes)
        total = sum(degree for _, degree in leaving)
        inside = reference.subgraph(nodes).number_of_edges()
        expected = inside / total if total else 0.0
        assert share_inside(graph, np.array(nodes)) == pytest.approx(expected)


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


def test_graphml_of_titles_that_xml_cannot_hold_is_still_xml(tmp_path: Path) -> None:
    titles = ["a\x00b\x1b", "c\ufffe\uffffd", "<&\"'>", "é 東 \U0001f600"]
    write_corpus(tmp_path, [[page(n, title) for n, title in enumerate(titles)]])
    run_inline(Job(GRAPH, str(tmp_path), GraphConfig()))
    with LinkGraph.open(str(tmp_path)) as graph:
        graph.write_graphml(str(tmp_path / "graph.graphml"))
    read = networkx.read_graphml(tmp_path / "graph.graphml")
    assert [title for _, title in read.nodes(data="title")] == [
        "a b ", "c  d", "<&\"'>", "é 東 \U0001f600"
    ]  # fmt: skip


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
