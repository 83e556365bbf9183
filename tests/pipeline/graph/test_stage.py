"""The graph stage against a plain dictionary, and each rule of titles, redirects and fates."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.engine.stage import Job
from pipeline.graph import documents as graph_index
from pipeline.graph import resolve as graph_resolve
from pipeline.graph.config import GraphConfig
from pipeline.graph.stage import GRAPH
from pipeline.wiki import title_index
from schemas.errors import ConfigError, GraphError, StageError
from tests.pipeline.corpora import (
    link,
    page,
    redirect,
    run_some_tasks,
    tree_digest,
    write_corpus,
)
from tests.running import run_inline


def build(root: Path, **config: int) -> dict[str, Any]:
    return run_inline(Job(GRAPH, str(root), GraphConfig(**config)))


def rows(root: Path, table: str, *columns: str) -> list[Any]:
    found = pq.read_table(root / table).to_pylist()
    return [tuple(row[column] for column in columns) for row in found]


def fates(root: Path) -> list[Any]:
    return rows(root, "mentions", "source_id", "target_id", "fate", "redirect_page_id")


def test_nodes_are_numbered_by_page_id_and_know_their_row(tmp_path: Path) -> None:
    write_corpus(tmp_path, [[page(9, "C"), page(5, "A")], [page(7, "B", is_disambiguation=True)]])
    build(tmp_path)
    columns = ("node_id", "page_id", "title", "part", "row", "is_disambiguation")
    assert rows(tmp_path, "nodes", *columns) == [
        (0, 5, "A", 0, 1, False),
        (1, 7, "B", 1, 0, True),
        (2, 9, "C", 0, 0, False),
    ]


def test_every_link_has_its_fate(tmp_path: Path) -> None:
    links = [
        "B",
        "To B",
        "Nowhere",
        "A",
        "",
        "To A",
        link("File:X.png", namespace=6),
        link("fr:Chat", "interwiki"),
        "To file",
        "To other wiki",
        "To nothing",
        "Broken",
        "Looks local",
    ]
    redirects = [
        redirect(10, "To B", "B", target_fragment="Part"),
        redirect(11, "To A", "A"),
        redirect(12, "To file", "File:X.png", target_namespace=6),
        redirect(13, "To other wiki", "fr:Chat", is_interwiki=True),
        redirect(14, "To nothing", "Nowhere"),
        redirect(15, "Broken", ""),
        redirect(16, "Looks local", "B", is_interwiki=True),
    ]
    write_corpus(tmp_path, [[page(1, "A", links), page(2, "B")]], redirects)
    summary = build(tmp_path)
    assert [row[1:] for row in fates(tmp_path)] == [
        (1, "resolved", None),
        (1, "redirect", 10),
        (None, "red", None),
        (0, "self", None),
        (0, "self", None),
        (0, "self", 11),
        (None, "other_namespace", None),
        (None, "interwiki", None),
        (None, "other_namespace", 12),
        (None, "interwiki", 13),
        (None, "red", 14),
        (None, "invalid", 15),
        (None, "interwiki", 16),
    ]
    assert rows(tmp_path, "edges", "source_id", "target_id", "num_mentions") == [(0, 1, 2)]
    dead = ("red", "other_namespace", "interwiki", "invalid")
    assert [summary[f"redirects_{fate}"] for fate in dead] == [1, 1, 2, 1]


def test_redirect_chains_are_followed_and_keep_the_first_redirect(tmp_path: Path) -> None:
    chain = [redirect(100 + n, f"R{n}", f"R{n + 1}") for n in range(40)]
    chain.append(redirect(140, "R40", "B"))
    write_corpus(tmp_path, [[page(1, "A", ["R0", "R39"]), page(2, "B")]], chain)
    summary = build(tmp_path)
    assert fates(tmp_path) == [(0, 1, "redirect", 100), (0, 1, "redirect", 139)]
    assert (summary["redirects_resolved"], summary["redirects_double"]) == (41, 40)


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8])
def test_redirect_loops_end_as_red_links_and_are_counted(tmp_path: Path, length: int) -> None:
    loop = [redirect(100 + n, f"L{n}", f"L{(n + 1) % length}") for n in range(length)]
    loop.append(redirect(200, "Into", "L0"))
    write_corpus(tmp_path, [[page(1, "A", ["L0", "Into"])]], loop)
    summary = build(tmp_path)
    assert summary["redirects_looped"] == length + 1
    assert fates(tmp_path) == [(0, None, "red", 100), (0, None, "red", 200)]


def test_titles_are_told_apart_by_case(tmp_path: Path) -> None:
    pages = [page(1, "US", ["Us"]), page(2, "Us", ["US"]), page(3, "uS")]
    write_corpus(tmp_path, [pages])
    build(tmp_path)
    assert [row[:2] for row in fates(tmp_path)] == [(0, 1), (1, 0)]


def test_a_page_wins_over_a_redirect_of_its_title(tmp_path: Path) -> None:
    pages = [page(5, "A", ["B"]), page(6, "B")]
    write_corpus(tmp_path, [pages], [redirect(1, "B", "A")])
    summary = build(tmp_path)
    assert fates(tmp_path) == [(0, 1, "resolved", None)]
    assert summary["redirect_under_page"] == 1


def test_a_repeated_page_keeps_its_last_row_and_is_counted(tmp_path: Path) -> None:
    parts = [[page(1, "A", ["B", "C"]), page(2, "B")], [page(1, "A", ["B"]), page(3, "C")]]
    write_corpus(tmp_path, parts)
    summary = build(tmp_path)
    assert rows(tmp_path, "nodes", "page_id", "part", "row") == [(1, 1, 0), (2, 0, 1), (3, 1, 1)]
    assert fates(tmp_path) == [(0, 1, "resolved", None)]
    assert summary["duplicate_page"] == 1
    assert summary["mentions"] == 1


def test_the_lower_page_id_wins_a_title_and_the_other_stays_a_node(tmp_path: Path) -> None:
    pages = [page(9, "B", ["A"]), page(8, "A"), page(7, "A")]
    write_corpus(tmp_path, [pages], [redirect(4, "R", "A"), redirect(3, "R", "B")])
    summary = build(tmp_path)
    assert fates(tmp_path) == [(2, 0, "resolved", None)]
    assert (summary["nodes"], summary["duplicate_title"], summary["duplicate_redirect"]) == (
        3,
        1,
        1,
    )


def test_a_kept_page_of_another_namespace_is_found_by_its_full_title(tmp_path: Path) -> None:
    pages = [page(1, "A", [link("Help:Me", namespace=12)]), page(2, "Help:Me")]
    write_corpus(tmp_path, [pages])
    build(tmp_path)
    assert fates(tmp_path) == [(0, 1, "resolved", None)]


def test_captions_have_a_fate_but_make_no_edge_and_hatnotes_are_counted_apart(
    tmp_path: Path,
) -> None:
    links = [link("B", "caption"), link("C", "hatnote"), link("D", "hatnote"), link("D")]
    links += [link("E", "citation"), link("E", "hatnote")]
    pages = [page(n, title) for n, title in enumerate("BCDE", start=2)]
    write_corpus(tmp_path, [[page(1, "A", links), *pages]])
    summary = build(tmp_path)
    assert rows(tmp_path, "edges", "target_id", "num_mentions") == [(2, 1), (3, 2), (4, 2)]
    assert [summary[f"{kind}_edges"] for kind in ("body", "citation", "hatnote")] == [1, 1, 1]


def test_a_corpus_without_pages_gives_empty_tables(tmp_path: Path) -> None:
    write_corpus(tmp_path, [[]])
    summary = build(tmp_path)
    assert summary["nodes"] == summary["edges"] == summary["mentions"] == 0
    assert pq.read_table(tmp_path / "nodes").num_rows == 0
    assert np.load(tmp_path / "csr" / "in_indptr.npy").tolist() == [0]


def random_corpus(root: Path, seed: int) -> tuple[Path, list[Any], list[Any]]:
    draw = random.Random(seed)
    titles = [f"Page {n}" for n in range(60)] + [f"Redirect {n}" for n in range(30)]
    titles += [f"Nowhere {n}" for n in range(20)]
    ids = draw.sample(range(1, 1000), 90)
    pages = [
        page(ids[n], f"Page {n}", draw.choices(titles, k=draw.randrange(12))) for n in range(60)
    ]
    redirects = [redirect(ids[60 + n], f"Redirect {n}", draw.choice(titles)) for n in range(30)]
    parts = [pages[:25], pages[25:26], [], pages[26:]]
    return write_corpus(root, parts, redirects), pages, redirects


def resolve_plainly(pages: list[Any], redirects: list[Any]) -> list[Any]:
    """The whole stage as one would write it for a small wiki."""
    ordered = sorted(pages, key=lambda row: row["page_id"])
    node_of = {row["title"]: node for node, row in enumerate(ordered)}
    redirect_of = {row["title"]: row for row in redirects}
    found = []
    for row in pages:
        source = node_of[row["title"]]
        for each in row["links"]:
            title, first, seen = each["target_title"], None, set()
            while title in redirect_of and title not in seen:
                seen.add(title)
                first = first or redirect_of[title]["page_id"]
                title = redirect_of[title]["target_title"]
            target = node_of.get(title)
            fate = "red" if target is None else "redirect" if first else "resolved"
            found.append((source, target, "self" if target == source else fate, first))
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("config", [{}, {"nodes_per_part": 7, "links_per_batch": 3}])
def test_all_tables_equal_a_plain_dictionary(
    tmp_path: Path, seed: int, config: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_resolve, "_PAGES_PER_READ", 2)
    root, pages, redirects = random_corpus(tmp_path, seed)
    summary = build(root, **config)
    expected = resolve_plainly(pages, redirects)
    assert fates(root) == expected
    edges = Counter(row[:2] for row in expected if row[2] in ("resolved", "redirect"))
    found_edges = rows(root, "edges", "source_id", "target_id", "num_mentions")
    assert found_edges == sorted((*edge, count) for edge, count in edges.items())
    out_degrees = Counter(source for source, _ in edges)
    in_degrees = Counter(target for _, target in edges)
    assert rows(root, "nodes", "in_degree", "out_degree") == [
        (in_degrees[node], out_degrees[node]) for node in range(60)
    ]
    assert summary["mentions_by_fate"] == {
        **dict.fromkeys(summary["mentions_by_fate"], 0),
        **Counter(row[2] for row in expected),
    }
    check_csr(root, found_edges)


def check_csr(root: Path, edges: list[tuple[int, int, int]]) -> None:
    arrays = {path.stem: np.load(path, mmap_mode="r") for path in (root / "csr").glob("*.npy")}
    assert arrays["out_indices"].tolist() == [target for _, target, _ in edges]
    assert arrays["out_mentions"].tolist() == [mentions for *_, mentions in edges]
    turned = sorted((target, source) for source, target, _ in edges)
    assert arrays["in_indices"].tolist() == [source for _, source in turned]
    for name, ends in (("out", [edge[0] for edge in edges]), ("in", [key for key, _ in turned])):
        expected = np.searchsorted(np.array(ends), np.arange(61))
        assert arrays[f"{name}_indptr"].tolist() == expected.tolist()
        assert arrays[f"{name}_indptr"].dtype == np.int64


def test_the_order_of_tasks_and_a_restart_after_any_task_change_no_byte(tmp_path: Path) -> None:
    whole, _, _ = random_corpus(tmp_path / "whole", 1)
    build(whole, nodes_per_part=7)
    expected = tree_digest(whole)
    cut, _, _ = random_corpus(tmp_path / "cut", 1)
    job = Job(GRAPH, str(cut), GraphConfig(nodes_per_part=7))
    for number_of_tasks in range(0, 40, 3):
        run_some_tasks(job, number_of_tasks)
    assert run_inline(job) == run_inline(job)
    assert tree_digest(cut) == expected
    assert not (cut / "_state" / "graph" / "spill").exists()


def test_colliding_titles_are_found_and_another_salt_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path, [[page(1, "A", ["B"]), page(2, "B")]])

    def hash_badly(titles: Any, salt: int = 0) -> Any:
        hashes = title_index.hash_titles(titles, salt)
        return hashes * np.uint64(0) if salt == 0 else hashes

    monkeypatch.setattr(graph_index, "hash_titles", hash_badly)
    build(tmp_path)
    assert fates(tmp_path) == [(0, 1, "resolved", None)]


def test_titles_that_always_collide_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path, [[page(1, "A"), page(2, "B")]])

    def hash_badly(titles: Any, salt: int = 0) -> Any:
        return np.zeros(len(titles), np.uint64)

    monkeypatch.setattr(graph_index, "hash_titles", hash_badly)
    with pytest.raises(GraphError, match="collision"):
        build(tmp_path)


def test_a_folder_without_pages_names_the_stage_to_run(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="linkbert parse"):
        build(tmp_path)


def test_a_config_out_of_range_is_an_error() -> None:
    with pytest.raises(ConfigError, match="nodes_per_part"):
        GraphConfig(nodes_per_part=0)
