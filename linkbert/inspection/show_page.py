"""Print one document of a corpus for people: its text with every link and where it leads.

In: pages, mentions, nodes, redirects and csr of a corpus folder. Out: text without control
sequences, since titles come from strangers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from linkbert.inspection.corpus import Corpus, Row
from linkbert.inspection.terminal import printable, rows_of, table_of, wrapped
from schemas.tables.mentions import FATES, INVALID, RED, REDIRECT, RESOLVED, SELF

_MAX_CATEGORIES = 8
_MAX_NEIGHBOURS = 10
_MAX_PLACELESS = 20
_PLAIN_FATES = (RESOLVED, REDIRECT)

T = TypeVar("T")


def show_page(corpus: Corpus, title: str) -> str:
    """Return one document with its links marked, where each leads, its degrees and neighbours.

    Args:
        corpus: a corpus with a finished graph.
        title: the title of a document, or of a redirect to one.

    Raises:
        GraphError: neither has the title.
    """
    node = corpus.node_by_title(title)
    page = corpus.page(node)
    mentions = corpus.mentions(node)
    places = destinations(corpus, page["links"], mentions)
    parts = [
        _head(corpus, node, page, mentions, title),
        wrapped(mark_links(page["text"], page["links"], places), keep_blank=True),
        _placeless(page["links"], places),
        _neighbours(corpus, node, "out", "most linked of the documents it links to"),
        _neighbours(corpus, node, "in", "most linked of the documents that link to it"),
    ]
    return "\n\n".join(part for part in parts if part)


def _head(corpus: Corpus, node: Row, page: Row, mentions: list[Row], asked: str) -> str:
    fates = Counter(mention["fate"] for mention in mentions)
    found = sum(fates[fate] for fate in _PLAIN_FATES)
    lost = ", ".join(
        f"{fates[fate]:,} {_WHY.get(fate, fate.replace('_', ' '))}"
        for fate in FATES
        if fates[fate] and fate not in _PLAIN_FATES
    )
    links = f"{found:,} of {len(mentions):,} lead to a document"
    if fates[REDIRECT]:
        links += f" ({fates[REDIRECT]:,} by redirect)"
    rows: list[tuple[str, object]] = [
        ("page_id", str(page["page_id"])),
        ("links", f"{links}; {lost}" if lost else links),
        ("in-degree", f"{node['in_degree']:,} documents link to it"),
        ("out-degree", f"{node['out_degree']:,} documents it links to"),
        ("disambiguation", node["is_disambiguation"]),
        ("categories", _some(page["categories"], _MAX_CATEGORIES)),
    ]
    if page["source_key"] is not None:
        rows.insert(1, ("source_key", page["source_key"]))
    came_from = corpus.redirect_by_title(asked) if asked != node["title"] else None
    name = printable(page["title"]).replace("\n", " ")
    if came_from is not None:
        name += f" (redirected from {printable(came_from['title'])})"
    return f"{name}\n{rows_of(rows)}"


def _some(names: list[str], limit: int) -> str:
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return f"{', '.join(names[:limit])}{more}" if names else "none"


# What the account of a page calls each fate.
_WHY = {SELF: "to itself", RED: "red", INVALID: "invalid"}


def destinations(corpus: Corpus, links: Sequence[Row], mentions: Sequence[Row]) -> list[str]:
    """Say for each link of a document where it leads, or why it leads nowhere.

    Args:
        corpus: the corpus of the targets.
        links: column `links` of the row of pages.
        mentions: the rows of mentions of the document, in order.
    """
    found = [mention["target_id"] for mention in mentions if mention["target_id"] is not None]
    targets = corpus.nodes_by_id(found)
    through = [m["redirect_page_id"] for m in mentions if m["redirect_page_id"] is not None]
    redirects = corpus.redirects_by_id(through)
    said = []
    for mention in mentions:
        link = links[mention["link_index"]]
        target = targets.get(mention["target_id"])
        remarks = []
        if mention["fate"] not in _PLAIN_FATES:
            remarks.append(_WHY.get(mention["fate"], mention["fate"].replace("_", " ")))
        if redirect := redirects.get(mention["redirect_page_id"]):
            remarks.append(f"redirected from {redirect['title']}")
        name = target["title"] if target else link["target_title"]
        if link["target_fragment"]:
            name += f"#{link['target_fragment']}"
        said.append(f"{name} ({', '.join(remarks)})" if remarks else name)
    return said


def mark_links(text: str, links: list[Row], destinations: list[str] | None = None) -> str:
    """Return the text with each link as `[anchor -> where it leads]`.

    >>> link = {"start_char": 4, "end_char": 7, "target_title": "Cat", "kind": "body"}
    >>> mark_links("The cat sat.", [link])
    'The [cat -> Cat] sat.'
    """
    leads = destinations or [link["target_title"] for link in links]
    placed = sorted(
        (link["start_char"], link["end_char"], lead)
        for link, lead in zip(links, leads, strict=True)
        if link["start_char"] is not None
    )
    return marked(text, placed, lambda anchor, lead: f"[{anchor} -> {lead}]")


def marked(
    text: str,
    spans: Iterable[tuple[int, int, T]],
    mark: Callable[[str, T], str],
    plain: Callable[[str], str] = str,
) -> str:
    """Return a text with its spans marked; a span within another one is not.

    Args:
        text: any text.
        spans: the beginning and end of each, and what `mark` needs to know of it; sorted.
        mark: turns the text of a span into what is shown.
        plain: does the same for the text between the spans.
    """
    pieces, at = [], 0
    for start, end, about in spans:
        if start >= at:
            pieces += [plain(text[at:start]), mark(text[start:end], about)]
            at = end
    return "".join([*pieces, plain(text[at:])])


def _placeless(links: Sequence[Row], places: Sequence[str]) -> str:
    """List the links that are not in the text: hatnotes, captions, citations."""
    rows = [
        (link["kind"], where)
        for link, where in zip(links, places, strict=True)
        if link["start_char"] is None
    ]
    if not rows:
        return ""
    shown = table_of(["kind", "leads to"], rows[:_MAX_PLACELESS])
    more = len(rows) - _MAX_PLACELESS
    return f"links without a place in the text\n{shown}" + (
        f"\n  and {more:,} more" if more > 0 else ""
    )


def _neighbours(corpus: Corpus, node: Row, direction: str, heading: str) -> str:
    neighbours = corpus.most_linked_neighbours(node["node_id"], direction, _MAX_NEIGHBOURS)
    if not neighbours:
        return ""
    rows: list[list[Any]] = [
        [row["title"], row["in_degree"], row["out_degree"]] for row in neighbours
    ]
    return f"{heading}\n{table_of(['title', 'in-degree', 'out-degree'], rows)}"
