"""A subset keeps whole pages, the redirects to them, and most of their links."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.engine.stage import Job
from pipeline.graph.config import GraphConfig, SubsetConfig
from pipeline.graph.link_graph import LinkGraph
from pipeline.graph.stage import GRAPH
from pipeline.graph.subset import SUBSET, grow_subset, share_inside
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.stage import INGEST
from schemas.errors import ConfigError, GraphError, StageError
from schemas.manifest import read_manifest
from tests.pipeline.corpora import page, redirect, run_some_tasks, tree_digest, write_corpus
from tests.running import run_inline


def clusters(root: Path) -> Path:
    """Write two cliques of five pages, A and B, joined by one link, and a page apart."""
    names = [[f"{letter}{n}" for n in range(5)] for letter in "AB"]
    rows = [
        page(10 * group + n, name, [other for other in names[group] if other != name])
        for group in range(2)
        for n, name in enumerate(names[group], start=1)
    ]
    rows[0]["links"].append(page(0, "", ["B0"])["links"][0])
    rows.append(page(50, "Apart"))
    redirects = [
        redirect(60, "To A2", "A2"),
        redirect(61, "Over", "To A2"),
        redirect(62, "To B2", "B2"),
        redirect(63, "Dead", "Red"),
    ]
    write_corpus(root, [rows[6:], rows[:6]], redirects)
    run_inline(Job(GRAPH, str(root), GraphConfig()))
    return root


def take(source: Path, root: Path, **config: Any) -> dict[str, Any]:
    return run_inline(Job(SUBSET, str(root), SubsetConfig(**config), (str(source),)))


def titles(root: Path, table: str) -> list[str]:
    found: list[str] = pq.read_table(root / table).column("title").to_pylist()
    return found


def test_a_subset_stays_within_the_cluster_it_starts_in(tmp_path: Path) -> None:
    source = clusters(tmp_path / "source")
    summary = take(source, tmp_path / "out", around="A3", size=5)
    assert sorted(titles(tmp_path / "out", "pages")) == ["A0", "A1", "A2", "A3", "A4"]
    assert titles(tmp_path / "out", "redirects") == ["To A2", "Over"]
    assert titles(tmp_path / "out", "rejects") == []
    assert summary == {"pages": 5, "redirects": 2, "edges_inside_share": round(20 / 21, 4)}
    assert read_manifest(tmp_path / "out" / "pages").drops == {"outside": 6}
    assert not (tmp_path / "out" / "_state" / "subset" / "spill").exists()


def test_a_restart_after_any_task_changes_no_byte(tmp_path: Path) -> None:
    source = clusters(tmp_path / "source")
    take(source, tmp_path / "whole", around="A0", size=8)
    config = SubsetConfig(around="A0", size=8)
    job = Job(SUBSET, str(tmp_path / "cut"), config, (str(source),))
    for number_of_tasks in range(4):
        run_some_tasks(job, number_of_tasks)
    run_inline(job)
    assert tree_digest(tmp_path / "cut") == tree_digest(tmp_path / "whole")


def test_kept_pages_are_unchanged_and_in_order(tmp_path: Path) -> None:
    source = clusters(tmp_path / "source")
    take(source, tmp_path / "out", around="A0", size=8)
    kept = pq.read_table(tmp_path / "out" / "pages").to_pylist()
    chosen = {row["title"] for row in kept}
    whole = pq.read_table(source / "pages").to_pylist()
    assert kept == [row for row in whole if row["title"] in chosen]
    assert len(kept) == 8


def test_a_subset_has_the_graph_of_its_pages(tmp_path: Path) -> None:
    source = clusters(tmp_path / "source")
    take(source, tmp_path / "out", around="to A2", size=5)
    summary = run_inline(Job(GRAPH, str(tmp_path / "out"), GraphConfig()))
    assert (summary["nodes"], summary["edges"]) == (5, 20)
    assert summary["mentions_by_fate"]["red"] == 1
    assert summary["redirects_resolved"] == 2


def test_growth_starts_anew_where_no_link_leads_on(tmp_path: Path) -> None:
    source = clusters(tmp_path / "source")
    take(source, tmp_path / "out", around="Apart", size=4)
    found = titles(tmp_path / "out", "pages")
    assert "Apart" in found
    # The best linked page is where it goes on.
    assert "A0" in found or "B0" in found
    assert len(found) == 4


@pytest.mark.parametrize("method", ["links", "breadth"])
@pytest.mark.parametrize("size", range(1, 12))
def test_a_subset_has_exactly_the_size_asked_for(tmp_path: Path, method: str, size: int) -> None:
    with LinkGraph.open(str(clusters(tmp_path))) as graph:
        nodes = grow_subset(graph, graph.node_of("B4"), size, method)
    assert len(set(nodes.tolist())) == size
    assert nodes.tolist() == sorted(nodes.tolist())


def test_too_large_a_size_and_bad_config_are_errors(tmp_path: Path) -> None:
    source = clusters(tmp_path / "source")
    with pytest.raises(GraphError, match="at most 11"):
        take(source, tmp_path / "out", around="A0", size=12)
    with pytest.raises(GraphError, match="check the spelling"):
        take(source, tmp_path / "other", around="Missing", size=2)
    for config in ({"around": ""}, {"around": "A", "size": 0}, {"around": "A", "method": "x"}):
        with pytest.raises(ConfigError):
            SubsetConfig(**config)


def test_a_source_without_a_graph_names_the_stage_to_run(tmp_path: Path) -> None:
    write_corpus(tmp_path / "source", [[page(1, "A")]])
    with pytest.raises(StageError, match="linkbert graph"):
        take(tmp_path / "source", tmp_path / "out", around="A", size=1)


def test_links_keep_more_inside_than_rings_or_a_slice_of_a_real_wiki(
    tmp_path: Path, shared_data: Path
) -> None:
    sources = sorted((shared_data / "linked" / "archwiki-linked").glob("*.xz"))
    run_inline(Job(INGEST, str(tmp_path), IngestConfig(), tuple(map(str, sources))))
    run_inline(Job(GRAPH, str(tmp_path), GraphConfig()))
    with LinkGraph.open(str(tmp_path)) as graph:
        start = graph.node_of("Systemd")
        grown = share_inside(graph, grow_subset(graph, start, 300))
        rings = share_inside(graph, grow_subset(graph, start, 300, "breadth"))
        sliced = share_inside(graph, np.arange(300))
    assert grown > 1.3 * rings > 1.3 * 1.3 * sliced
