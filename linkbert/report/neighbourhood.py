"""A document among its neighbours, laid out by networkx and drawn as SVG that links to examples.

Drawn here and not by matplotlib, because labels are titles: the reader's browser has a font for
every script and knows which way each runs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from linkbert.corpus import Corpus, Row
from linkbert.report.markup import escape

_WIDTH, _HEIGHT, _MARGIN = 640, 420, 40
_MAX_LABEL = 26
_LINE_HEIGHT, _CHAR_WIDTH = 14, 7


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """A document, its best linked neighbours, and all edges among them."""

    start: int
    nodes: dict[int, Row]
    edges: list[tuple[int, int]]


def neighbourhood(corpus: Corpus, node: Row, limit: int = 8) -> Neighbourhood:
    """Return a document with up to `limit` neighbours each way, the best linked ones."""
    found = {node["node_id"]: node}
    for direction in ("out", "in"):
        rows = corpus.most_linked_neighbours(node["node_id"], direction, limit)
        found |= {row["node_id"]: row for row in rows}
    kept = np.array(sorted(found))
    edges = [
        (source, int(target))
        for source in kept.tolist()
        for target in np.intersect1d(corpus.neighbours(source, "out"), kept)
    ]
    return Neighbourhood(node["node_id"], found, edges)


def draw_neighbourhood(shown: Neighbourhood, examples: Collection[int]) -> str:
    """Return the drawing; nodes in `examples` link to the example page of their document."""
    import networkx

    graph = networkx.Graph()
    graph.add_nodes_from(sorted(shown.nodes))
    graph.add_edges_from(shown.edges)
    distance = 2.2 / max(len(graph), 2) ** 0.5
    layout = networkx.spring_layout(graph, k=distance, seed=1, iterations=200)
    places = {node: _place(x, y) for node, (x, y) in layout.items()}
    lines = "".join(
        f'<line x1="{places[a][0]:.0f}" y1="{places[a][1]:.0f}" '
        f'x2="{places[b][0]:.0f}" y2="{places[b][1]:.0f}"/>'
        for a, b in graph.edges
    )
    labels = _place_labels(shown.nodes, places)
    nodes = "".join(
        _draw_node(row, places[node], labels[node], node == shown.start, node in examples)
        for node, row in sorted(shown.nodes.items())
    )
    title = escape(shown.nodes[shown.start]["title"])
    label = f"{title} and {len(shown.nodes) - 1} of its neighbours"
    return (
        f'<svg class="graph" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">'
        f"{lines}{nodes}</svg>"
    )


def _place(x: float, y: float) -> tuple[float, float]:
    width, height = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
    return _MARGIN + (x + 1) / 2 * width, _MARGIN + (y + 1) / 2 * height


@dataclass(frozen=True, slots=True)
class _Label:
    """A title beside its node: where it begins or ends, and how far below the middle it stands."""

    text: str
    x: float
    y: float
    is_left: bool

    def overlaps(self, other: _Label) -> bool:
        """Tell whether two labels would cover each other, by a guess of their width."""
        (start, end), (other_start, other_end) = self._span(), other._span()
        return start < other_end and other_start < end and abs(self.y - other.y) < _LINE_HEIGHT

    def _span(self) -> tuple[float, float]:
        width = _CHAR_WIDTH * len(self.text)
        return (self.x - width, self.x) if self.is_left else (self.x, self.x + width)


def _place_labels(
    nodes: Mapping[int, Row], places: Mapping[int, tuple[float, float]]
) -> dict[int, _Label]:
    """Place each label beside its node, or a line above or below where another one stands."""
    placed: dict[int, _Label] = {}
    for node, (x, y) in sorted(places.items(), key=lambda item: (item[1][1], item[0])):
        title = nodes[node]["title"].replace("\n", " ")
        text = title if len(title) <= _MAX_LABEL else f"{title[: _MAX_LABEL - 1]}…"
        # Labels lean inwards, so that none leaves the drawing.
        is_left = x > _WIDTH / 2
        shift = _radius(nodes[node]) + 4
        tries = [
            _Label(text, x - shift if is_left else x + shift, y + 4 + lines * _LINE_HEIGHT, is_left)
            for lines in (0, 1, -1, 2, -2)
        ]
        free = (t for t in tries if not any(t.overlaps(other) for other in placed.values()))
        placed[node] = next(free, tries[0])
    return placed


def _radius(row: Row) -> float:
    return float(4 + 1.6 * np.log1p(row["in_degree"]))


def _draw_node(
    row: Row, place: tuple[float, float], label: _Label, is_start: bool, is_example: bool
) -> str:
    x, y = place
    anchor = "end" if label.is_left else "start"
    drawn = (
        f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{_radius(row):.1f}"><title>{escape(row["title"])}: '
        f"in-degree {row['in_degree']:,}, out-degree {row['out_degree']:,}</title></circle>"
        f'<text x="{label.x:.0f}" y="{label.y:.0f}" text-anchor="{anchor}">'
        f"{escape(label.text)}</text>"
    )
    if is_example:
        drawn = f'<a href="#page-{row["node_id"]}">{drawn}</a>'
    return f'<g class="{"start" if is_start else "other"}">{drawn}</g>'
