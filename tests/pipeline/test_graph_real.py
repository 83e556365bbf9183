"""The graph of whole real wikis, against figures that were counted by other means."""

import bz2
import gzip
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.graph import GRAPH, GraphConfig
from pipeline.link_graph import LinkGraph
from pipeline.parse import PARSE, ParseConfig
from pipeline.stage import Job
from tests.running import run_inline


def build(root: Path, dump: Path, **config: Any) -> dict[str, Any]:
    run_inline(Job(PARSE, str(root), ParseConfig(**config), (str(dump),)))
    return run_inline(Job(GRAPH, str(root), GraphConfig()))


@pytest.mark.parametrize(
    ("dump", "prototype_edges", "upper_mark"),
    [
        ("ltgwiki/ltgwiki-2017-pages-articles.xml.bz2", 1964, 2601),
        ("whonixwiki/whonixwiki-20260618-pages-articles-wrapped.xml.bz2", 2147, 2978),
    ],
)
def test_body_links_make_the_edges_a_prototype_found(
    tmp_path: Path, shared_data: Path, dump: str, prototype_edges: int, upper_mark: int
) -> None:
    """The upper mark counts a regular expression's links in templates, tables and references."""
    summary = build(tmp_path, shared_data / "dumps" / dump)
    assert summary["body_edges"] >= 0.98 * prototype_edges
    assert summary["edges"] <= upper_mark
    assert summary["redirects_looped"] == 0
    with LinkGraph.open(str(tmp_path)) as graph:
        assert graph.num_edges == summary["edges"]
        weak = graph.components("weak")
        # Most documents hang together; the rest is what no body link leads to.
        assert (weak == 0).mean() > 0.6
        assert abs(graph.pagerank().sum() - 1) < 1e-9


def test_distinct_links_of_pages_without_templates_equal_the_pagelinks_table(
    tmp_path: Path, shared_data: Path
) -> None:
    folder = shared_data / "dumps" / "aawiki"
    dump = folder / "aawiki-20260101-pages-meta-current.xml.bz2"
    namespaces = (0, 1, 2, 3, 4, 14)
    build(tmp_path, dump, namespaces=namespaces)
    recorded = defaultdict(set)
    with gzip.open(folder / "aawiki-20260101-pagelinks.sql.gz", "rt") as sql:
        for source, _, target in re.findall(r"\((\d+),(-?\d+),(\d+)\)", sql.read()):
            recorded[int(source)].add(target)
    with_templates = pages_with_templates(dump)
    compared = equal = 0
    for page in pq.read_table(tmp_path / "pages").to_pylist():
        if page["page_id"] not in with_templates:
            compared += 1
            equal += len(recorded_targets(page)) == len(recorded[page["page_id"]])
    # Three pages have their links in tables, which are counted but not kept.
    assert compared > 150
    assert compared - equal <= 3


def recorded_targets(page: dict[str, Any]) -> set[str]:
    """The links that MediaWiki records: not to Special: or Media:, to itself or other wikis."""
    return {
        link["target_title"]
        for link in page["links"]
        if link["kind"] != "interwiki"
        and link["target_namespace"] >= 0
        and link["target_title"] not in ("", page["title"])
    }


def pages_with_templates(dump: Path) -> set[int]:
    pages = bz2.decompress(dump.read_bytes()).decode().split("<page>")[1:]
    ids = [int(re.search(r"<id>(\d+)</id>", page)[1]) for page in pages]  # type: ignore[index]
    return {page_id for page_id, page in zip(ids, pages, strict=True) if "{{" in page}
