"""The made dump is what it says: the same bytes again, of the size asked for, read in full."""

import bz2
from pathlib import Path

import pytest

from pipeline.engine.stage import Job
from pipeline.graph.config import GraphConfig
from pipeline.graph.stage import GRAPH
from pipeline.parse.config import ParseConfig
from pipeline.parse.stage import PARSE
from tests.benchmarks.synthetic_dump import Wiki, pages, wiki_of, write_dump
from tests.running import run_inline


def test_a_dump_is_the_same_whatever_the_processes_and_another_with_another_seed(
    tmp_path: Path,
) -> None:
    for name, seed, processes in (("a", 0, 1), ("b", 0, 2), ("c", 1, 1)):
        write_dump(str(tmp_path / name), Wiki(10, seed), processes)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b
    assert bz2.decompress(a) != bz2.decompress(c)


def test_titles_of_one_kind_are_distinct() -> None:
    wiki = Wiki(2_000)
    titles = [page.split("<title>")[1].split("<")[0] for page in pages(wiki, 0, 4_000)]
    assert len(set(titles)) == len(titles)


def test_a_dump_is_about_as_large_as_asked_for_and_reads_without_a_reject(tmp_path: Path) -> None:
    dump = tmp_path / "made.xml.bz2"
    num_bytes = write_dump(str(dump), wiki_of(3_000_000), 1)
    assert num_bytes == pytest.approx(3_000_000, rel=0.15)
    summary = run_inline(Job(PARSE, str(tmp_path / "corpus"), ParseConfig(), (str(dump),)))
    assert summary["rejected"] == {}
    assert (summary["pages"], summary["redirects"]) == (26 * 7, 26 * 10)
    graph = run_inline(Job(GRAPH, str(tmp_path / "corpus"), GraphConfig()))
    assert 0.7 < graph["links_resolved_share"] < 0.9
    assert graph["mentions"] == pytest.approx(29 * 26 * 7, rel=0.15)
