import numpy as np

from pipeline.sample.pairs.graph import is_neighbour
from tests.pipeline.sample.pairs.graphs import random_corpus


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
