"""A document among its neighbours, laid out by networkx and drawn as SVG that links to examples.

It is not drawn by matplotlib, because labels are titles: the reader's browser has a font for every
script and knows its direction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from linkbert.inspection.corpus import Corpus, Row
from linkbert.report.markup import escape

_WIDTH, _HEIGHT, _MARGIN = 640, 420, 40
_MAX_LABEL = 26
_LINE_HEIGHT, _HALF_TEXT, _CHAR_WIDTH = 14, 4, 7


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """A document, its most linked neighbours, and all edges among them."""

    start: int
    nodes: dict[int, Row]
    edges: list[tuple[int, int]]


def neighbourhood(corpus: Corpus, node: Row, limit: int = 8) -> Neighbourhood:
    """Return a document with up to `limit` neighbours in each direction, the most linked ones."""
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


def draw_neighbourhood(
    shown: Neighbourhood, examples: Collection[int], name: str = "neighbours"
) -> str:
    """Return the drawing, an arrow for each edge.

    Args:
        shown: what to draw.
        examples: nodes that link to the example page of their document.
        name: distinguishes several drawings of the same document on a page.
    """
    import networkx

    if len(shown.nodes) == 1:
        return '<p class="note">No link leads to or from another document.</p>'
    graph = networkx.Graph()
    graph.add_nodes_from(sorted(shown.nodes))
    graph.add_edges_from(shown.edges)
    distance = 2.2 / max(len(graph), 2) ** 0.5
    layout = networkx.spring_layout(graph, k=distance, seed=1, iterations=200)
    places = {node: _place(x, y) for node, (x, y) in layout.items()}
    head = f"{name}-{shown.start}-arrow"
    lines = "".join(
        _arrow(places[a], places[b], _radius(shown.nodes[b]), head) for a, b in shown.edges
    )
    labels = _place_labels(shown.nodes, places, shown.start)
    circles, names = [], []
    for node, row in sorted(shown.nodes.items()):
        kind = "start" if node == shown.start else "other"
        page = f"#page-{node}" if node in examples else ""
        circles.append(_drawn(_circle(row, places[node]), kind, page, is_named=False))
        names.append(_drawn(_name(labels[node]), kind, page, is_named=True))
    title = escape(shown.nodes[shown.start]["title"])
    label = f"{title} and {len(shown.nodes) - 1} of its neighbours"
    # Names come after all circles, so that no node hides the name of another.
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">'
        f'<svg class="graph" viewBox="0 0 {_WIDTH} {_HEIGHT}">'
        f"{_arrow_head(head)}{lines}{''.join(circles + names)}</svg></div>"
    )


def _arrow_head(name: str) -> str:
    return (
        f'<defs><marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0.5 8 4 0 7.5z"/></marker></defs>'
    )


def _arrow(
    start: tuple[float, float], end: tuple[float, float], end_radius: float, head: str
) -> str:
    """Return a line that points at the rim of a node."""
    (x1, y1), (x2, y2) = start, end
    length = max(1.0, float(np.hypot(x2 - x1, y2 - y1)))
    kept = max(0.0, 1 - (end_radius + 2) / length)
    return (
        f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x1 + kept * (x2 - x1):.1f}" '
        f'y2="{y1 + kept * (y2 - y1):.1f}" marker-end="url(#{head})"/>'
    )


def _place(x: float, y: float) -> tuple[float, float]:
    width, height = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
    return _MARGIN + (x + 1) / 2 * width, _MARGIN + (y + 1) / 2 * height


@dataclass(frozen=True, slots=True)
class _Label:
    """A title beside its node: where it begins or ends, and its baseline."""

    text: str
    x: float
    y: float
    is_left: bool

    def overlaps(self, other: _Label) -> bool:
        """Tell whether two labels would cover each other, by a guess of their width."""
        (start, end), (other_start, other_end) = self.span(), other.span()
        return start < other_end and other_start < end and abs(self.y - other.y) < _LINE_HEIGHT

    def touches(self, circle: _Circle) -> bool:
        """Tell whether the label would lie over a node."""
        x, y, radius = circle
        start, end = self.span()
        is_beside = start < x + radius and x - radius < end
        return is_beside and abs(self.y - _HALF_TEXT - y) < radius + _HALF_TEXT

    def span(self) -> tuple[float, float]:
        """Return where the label begins and ends, by a guess of its width."""
        width = _CHAR_WIDTH * len(self.text)
        return (self.x - width, self.x) if self.is_left else (self.x, self.x + width)


_Circle = tuple[float, float, float]


def _place_labels(
    nodes: Mapping[int, Row], places: Mapping[int, tuple[float, float]], start: int
) -> dict[int, _Label]:
    """Place each label beside its node where it covers least, first `start`'s, then downwards.

    Args:
        nodes: rows of nodes by id.
        places: where each of them is drawn.
        start: the node that the drawing is about.
    """
    circles = {node: (x, y, _radius(nodes[node])) for node, (x, y) in places.items()}
    placed: dict[int, _Label] = {}
    for node in sorted(places, key=lambda node: (node != start, places[node][1], node)):
        others = [circle for other, circle in circles.items() if other != node]

        def covered(label: _Label, others: list[_Circle] = others) -> int:
            low, high = label.span()
            outside = 2 * (low < 0 or high > _WIDTH)
            return (
                outside
                + sum(map(label.overlaps, placed.values()))
                + sum(map(label.touches, others))
            )

        placed[node] = min(_label_tries(nodes[node], circles[node]), key=covered)
    return placed


def _label_tries(row: Row, circle: _Circle) -> list[_Label]:
    """Return the possible places of a label, the best first: inwards, level with its node."""
    x, y, radius = circle
    title = row["title"].replace("\n", " ")
    text = title if len(title) <= _MAX_LABEL else f"{title[: _MAX_LABEL - 1]}…"
    leans_left = x > _WIDTH / 2
    return [
        _Label(
            text,
            x - radius - 4 if is_left else x + radius + 4,
            y + _HALF_TEXT + lines * _LINE_HEIGHT,
            is_left,
        )
        for lines in (0, 1, -1, 2, -2)
        for is_left in (leans_left, not leans_left)
    ]


def _radius(row: Row) -> float:
    return float(3 + 1.1 * np.log1p(row["in_degree"]))


def _circle(row: Row, place: tuple[float, float]) -> str:
    return (
        f'<circle cx="{place[0]:.0f}" cy="{place[1]:.0f}" r="{_radius(row):.1f}">'
        f"<title>{escape(row['title'])}: in-degree {row['in_degree']:,}, "
        f"out-degree {row['out_degree']:,}</title></circle>"
    )


def _name(label: _Label) -> str:
    anchor = "end" if label.is_left else "start"
    return (
        f'<text x="{label.x:.0f}" y="{label.y:.0f}" text-anchor="{anchor}">'
        f"{escape(label.text)}</text>"
    )


def _drawn(drawn: str, kind: str, page: str, *, is_named: bool) -> str:
    """Return a part of a node, as a link if its document has a page; only names take the focus."""
    if page:
        aside = "" if is_named else ' tabindex="-1" aria-hidden="true"'
        drawn = f'<a href="{page}"{aside}>{drawn}</a>'
    return f'<g class="{kind}">{drawn}</g>'
