"""Every edge of two real wikis, traced to the place in the wikitext that makes it.

A regular expression over whole wikitext finds more edges than a graph of body links has. These
tests say where each of them lies, so that no difference is left unexplained.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.engine.stage import Job
from pipeline.graph.config import GraphConfig
from pipeline.graph.link_graph import LinkGraph
from pipeline.graph.stage import GRAPH
from pipeline.parse.config import ParseConfig
from pipeline.parse.stage import PARSE
from tests.pipeline.graph.link_census import KEPT, Wiki, count_links, read_wiki
from tests.running import run_inline

CASES = [
    ("a [[B]] c", "body"),
    ("[[B|c [d] e]]s", "body"),
    ("<!-- [[B]] --> c", "comment"),
    ("<nowiki>[[B]]</nowiki>", "literal"),
    ("x<ref name=a>[[B]]</ref>", "ref"),
    ("x<ref name=a/> [[B]]", "body"),
    ("<gallery>\nFile:A.jpg|[[B]]\n</gallery>", "gallery"),
    ("[[File:A.jpg|thumb|a [[B]]]]", "caption"),
    ("[[File:A.jpg|thumb|a\n\n[[B]]", "body"),
    ("{|\n| [[B]]\n|}", "table"),
    ("{|\n| a\n|}\n[[B]]", "body"),
    ("<table><tr><td>[[B]]</table>", "table"),
    ("{{Infobox|a=[[B]]}}", "template"),
    ("{{Infobox|a={{b}}}} [[B]]", "body"),
    ("{{Box|{{Infobox|[[B]]}}}}", "template"),
    ("{{Box|a [[B]]}}", "text template"),
    ("{{Box|<ref>[[B]]</ref>}}", "ref"),
    ("[[{{The_name}}|b]]", "name in target"),
    ("{{Box|[[{{the name}} x|b]]}}", "name in target"),
    ("{{Infobox|[[{{the name}}]]}}", "template"),
]


@pytest.mark.parametrize(("wikitext", "place"), CASES)
def test_the_counter_knows_where_a_link_lies(wikitext: str, place: str) -> None:
    wiki = Wiki(names={"the name": "B"}, text_templates={"box"})
    assert [link.place for link in wiki.find_links(wikitext)] == [place]


def test_the_counter_resolves_as_a_reader_would() -> None:
    wiki = Wiki({"A": "", "B": ""}, {"R": "S", "S": "B", "Loop": "Loop"}, {"help"})
    fates = {raw: wiki.resolve("A", raw) for raw in ("b", "r#x", "a", "#x", "C", "Help:B", "Loop")}
    assert fates == {
        "b": ("resolved", "B"),
        "r#x": ("redirect", "B"),
        "a": ("self", "A"),
        "#x": ("self", "A"),
        "C": ("red", "C"),
        "Help:B": ("other_namespace", ""),
        "Loop": ("red", "Loop"),
    }


@dataclass(frozen=True)
class Expected:
    """What the counter finds in a wiki.

    `places` has links, resolved links (and those through redirects), links to the page itself, and
    the edges that no place before makes. `upper_mark` counts the edges of all places but for
    targets that a template spells, as a regular expression does; `dropped` are edges of kept
    places that a rule leaves out.
    """

    dump: str
    documents: tuple[int, int]
    places: dict[str, tuple[int, int, int, int, int]]
    upper_mark: int
    names: dict[str, str] = field(default_factory=dict)
    text_templates: tuple[str, ...] = ()
    dropped: frozenset[tuple[str, str]] = frozenset()


WHONIX = Expected(
    dump="whonixwiki/whonixwiki-20260618-pages-articles-wrapped.xml.bz2",
    documents=(665, 480),
    places={
        "body": (4154, 2608, 424, 392, 2119),
        "name in target": (146, 93, 17, 25, 67),
        "text template": (365, 244, 46, 44, 158),
        "caption": (21, 13, 0, 4, 4),
        "comment": (33, 14, 1, 3, 7),
        "gallery": (4, 0, 0, 0, 0),
        "literal": (5, 0, 1, 0, 1),
        "ref": (216, 128, 28, 12, 91),
        "table": (690, 452, 44, 90, 253),
        "template": (617, 444, 39, 57, 346),
    },
    # 2,957 for an expression that keeps the invisible direction mark in two of the titles.
    upper_mark=2959,
    names={
        **{f"{which}project name {size}": "Whonix"
           for which in ("", "q ", "non q ") for size in ("short", "long")},
        **{f"project name {which} {size}": f"Whonix-{which.capitalize()}"
           for which in ("gateway", "workstation") for size in ("short", "long")},
    },
    text_templates=("intro", "introlike", "mbox", "tab", "quotation", "code2", "keypress"),
    # Who said a quotation is left out with its source.
    dropped=frozenset({
        ("Development Discussion Policy", "System Audit"),
        ("KVM", "Contribute"),
        ("KVM Testers Only Version", "Contribute"),
    }),
)  # fmt: skip
LTG = Expected(
    dump="ltgwiki/ltgwiki-2017-pages-articles.xml.bz2",
    documents=(903, 147),
    places={
        "body": (5569, 2201, 63, 11, 1952),
        "caption": (73, 17, 4, 0, 9),
        "comment": (1, 0, 0, 0, 0),
        "gallery": (72, 1, 0, 0, 0),
        "ref": (7, 1, 0, 0, 1),
        "table": (2358, 636, 13, 381, 528),
        "template": (326, 157, 3, 0, 111),
    },
    upper_mark=2601,
)


@pytest.mark.parametrize("expected", [WHONIX, LTG], ids=["whonixwiki", "ltgwiki"])
def test_every_edge_of_a_wiki_is_traced_to_its_place(
    tmp_path: Path, shared_data: Path, expected: Expected
) -> None:
    dump = shared_data / "dumps" / expected.dump
    wiki = read_wiki(dump, expected.names, expected.text_templates)
    assert (len(wiki.texts), len(wiki.redirects)) == expected.documents
    counted = count_links(wiki)
    keys = ("resolved", "redirect", "self", "edges")
    assert {
        place: (sum(counts.values()) - counts["edges"], *(counts[key] for key in keys))
        for place, counts in counted.items()
    } == expected.places
    plain, kept = set(), set()
    for source, link, fate, target in wiki.links():
        if fate in ("resolved", "redirect"):
            if link.is_plain:
                plain.add((source, target))
            if link.place in KEPT:
                kept.add((source, target))
    assert len(plain) == expected.upper_mark
    summary = build(tmp_path, dump)
    assert graph_edges(tmp_path) == kept - expected.dropped
    assert summary["nodes"] == expected.documents[0]
    assert summary["hatnote_edges"] == summary["redirects_looped"] == 0


def build(root: Path, dump: Path, **config: Any) -> dict[str, Any]:
    run_inline(Job(PARSE, str(root), ParseConfig(**config), (str(dump),)))
    return run_inline(Job(GRAPH, str(root), GraphConfig()))


def graph_edges(root: Path) -> set[tuple[str, str]]:
    with LinkGraph.open(str(root)) as graph:
        titles = graph.titles(range(graph.num_nodes))
    edges = pq.read_table(root / "edges")
    ends = zip(edges["source_id"].to_pylist(), edges["target_id"].to_pylist(), strict=True)
    found = {(titles[source], titles[target]) for source, target in ends}
    assert len(found) == edges.num_rows
    return found
