"""Example pages to browse: their text with every link highlighted, and where it leads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from linkbert.inspection.corpus import Corpus, Row
from linkbert.inspection.show_page import destinations, marked
from linkbert.report.markup import escape, title_of
from linkbert.report.neighbourhood import draw_neighbourhood, neighbourhood
from schemas.tables.mentions import RED, REDIRECT, RESOLVED, SELF

_MAX_CHARS = 2500
_MAX_READ = 2000
_CLASSES = {RESOLVED: "", REDIRECT: "redirect", RED: "red", SELF: "self"}

LEGEND = (
    '<p class="note">Links: <span class="to">to a document</span>, '
    '<span class="to redirect">through a redirect</span>, <span class="to red">to no page (red)'
    '</span>, <span class="to other">to itself, another namespace or another wiki</span>.</p>'
)


def choose_examples(corpus: Corpus, num_linked: int, num_random: int) -> list[int]:
    """Return nodes that link to each other, starting from the most linked one, and random nodes.

    The same corpus always gives the same examples.
    """
    num_nodes = corpus.num_nodes
    if not num_nodes:
        return []
    in_degrees = corpus.degrees("in")
    chosen = [int(np.argmax(in_degrees))]
    ties: Counter[int] = Counter()
    while len(chosen) < min(num_linked, num_nodes):
        for direction in ("out", "in"):
            ties.update(corpus.neighbours(chosen[-1], direction)[:_MAX_READ].tolist())
        open_ties = {node: count for node, count in ties.items() if node not in chosen}
        if not open_ties:
            break
        chosen.append(max(open_ties, key=lambda n: (open_ties[n], in_degrees[n], -n)))
    drawn = np.random.default_rng(0).permutation(num_nodes)[: num_random + len(chosen)].tolist()
    return chosen + [node for node in drawn if node not in chosen][:num_random]


def example_list(corpus: Corpus, nodes: Sequence[int]) -> str:
    """Return the search box and the pages of these nodes, each of which can be opened."""
    rows = corpus.nodes_by_id(list(nodes))
    pages = "".join(_example(corpus, rows[node], set(nodes)) for node in nodes)
    return (
        '<p><label>Search these pages <input type="search" aria-controls="examples-list" '
        'aria-describedby="examples-count"></label> '
        f'<span id="examples-count" role="status">{len(nodes)} of {len(nodes)} pages</span></p>'
        f'{LEGEND}<div class="examples" id="examples-list">{pages}</div>'
    )


def _example(corpus: Corpus, node: Row, examples: Collection[int]) -> str:
    page, mentions = corpus.page(node), corpus.mentions(node)
    said = destinations(corpus, page["links"], mentions)
    placeless = [
        f"<li>{escape(link['kind'])}: {title_of(where)}</li>"
        for link, where in zip(page["links"], said, strict=True)
        if link["start_char"] is None
    ]
    hidden = f"<h4>Links without a place in the text</h4><ul>{''.join(placeless[:20])}</ul>"
    drawing = draw_neighbourhood(neighbourhood(corpus, node), examples)
    return (
        f'<details id="page-{node["node_id"]}"><summary>{title_of(node["title"])} '
        f"<small>in-degree {node['in_degree']:,}, out-degree {node['out_degree']:,}</small>"
        f'</summary><div class="prose">{_marked_text(page, mentions, said, examples)}</div>'
        f"{hidden if placeless else ''}{drawing}</details>"
    )


def _marked_text(
    page: Row, mentions: Sequence[Row], said: Sequence[str], examples: Collection[int]
) -> str:
    """Return the beginning of a page as paragraphs with links."""
    text = page["text"]
    end = len(text) if len(text) <= _MAX_CHARS else text.rfind(" ", 0, _MAX_CHARS)
    end = end if end > 0 else _MAX_CHARS
    places = sorted(
        (
            (link["start_char"], link["end_char"], (mention, where))
            for link, mention, where in zip(page["links"], mentions, said, strict=True)
            if link["start_char"] is not None and link["end_char"] <= end
        ),
        key=lambda place: place[:2],
    )
    shown = marked(text[:end], places, lambda a, of: _link(a, *of, examples), escape)
    more = "<p class='note'>… and more</p>" if end < len(text) else ""
    lines = (line for line in shown.split("\n") if line.strip())
    return "".join(f'<p dir="auto">{line}</p>' for line in lines) + more


def _link(anchor: str, mention: Row, where: str, examples: Collection[int]) -> str:
    # Each line of text becomes a paragraph, and a link must not span two of them.
    shown = escape(anchor).replace("\n", " ")
    kind = _CLASSES.get(mention["fate"], "other")
    attributes = f'class="to {kind}" title="{escape(where)}"'
    if mention["target_id"] in examples and mention["fate"] != SELF:
        return f'<a href="#page-{mention["target_id"]}" {attributes}>{shown}</a>'
    return f"<span {attributes}>{shown}</span>"
