"""A document among its neighbours: every edge an arrow, no label over another."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from linkbert.inspection.corpus import Corpus
from linkbert.report.neighbourhood import _place_labels, draw_neighbourhood, neighbourhood


def test_a_neighbourhood_holds_the_edges_among_its_nodes(odd: Path) -> None:
    corpus = Corpus(odd)
    node = corpus.nodes_by_id([3])[3]
    found = neighbourhood(corpus, node, limit=2)
    assert found.start == 3
    expected = {
        (source, target)
        for source in found.nodes
        for target in corpus.neighbours(source, "out").tolist()
        if target in found.nodes
    }
    assert set(found.edges) == expected
    assert expected


def test_labels_cover_neither_each_other_nor_a_node_and_stay_inside() -> None:
    nodes = {n: {"title": f"A title of some length {n}", "in_degree": n} for n in range(4)}
    places = {0: (100.0, 100.0), 1: (110.0, 103.0), 2: (500.0, 100.0), 3: (105.0, 108.0)}
    labels = _place_labels(nodes, places, start=3)
    for first, label in labels.items():
        low, high = label.span()
        assert low >= 0
        assert high <= 640
        for other, (x, y) in places.items():
            assert first == other or not label.overlaps(labels[other])
            assert first == other or not label.touches((x, y, 3.0))
    assert [labels[n].is_left for n in range(4)] == [False, False, True, False]


def test_every_edge_of_a_neighbourhood_is_an_arrow_that_ends_at_its_node(odd: Path) -> None:
    corpus = Corpus(odd)
    node = corpus.most_linked(1)[0]
    shown = neighbourhood(corpus, node)
    alone = replace(shown, nodes={shown.start: shown.nodes[shown.start]}, edges=[])
    assert draw_neighbourhood(alone, ()).endswith("No link leads to or from another document.</p>")
    drawn = draw_neighbourhood(shown, ())
    assert drawn.count(f'marker-end="url(#neighbours-{shown.start}-arrow)"') == len(shown.edges)
    assert drawn.count(f'<marker id="neighbours-{shown.start}-arrow"') == 1
    line = re.search(r'x1="(\d+)" y1="(\d+)" x2="([\d.]+)" y2="([\d.]+)"', drawn)
    assert line is not None
    circles = re.findall(r'cx="(\d+)" cy="(\d+)" r="([\d.]+)"', drawn)
    end = float(line[3]), float(line[4])
    gaps = [
        abs(float(np.hypot(float(x) - end[0], float(y) - end[1])) - float(r) - 2)
        for x, y, r in circles
    ]
    assert min(gaps) < 1.5  # coordinates of nodes are rounded
