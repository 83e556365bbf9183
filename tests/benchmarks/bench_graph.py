"""Measure the graph stage on a made wiki of any size: time and memory of every phase.

    python -m tests.benchmarks.bench_graph                        1 M titles, 10 M links
    python -m tests.benchmarks.bench_graph --titles 17000000 --links 20000000

Seven titles of 17 are pages, the others redirects, as in English Wikipedia; targets follow a power
law, a fifth of the links is red and a third goes through a redirect. Each phase runs in a process
of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import files
from pipeline.graph import GRAPH, GraphConfig
from pipeline.link_graph import LinkGraph
from pipeline.stage import (
    Job,
    Records,
    Stage,
    finish_job,
    open_job,
    part_name,
    part_writer,
    plan_phase,
    run_task,
    write_folder_manifest,
)
from schemas.pages import LINK, SCHEMA

_PAGES_PER_PART = 50_000
_REDIRECTS_PER_GROUP = 1 << 17
_SHARE_RED = 0.2
_SHARE_REDIRECT = 0.3
_POWER = 3.0

_WRITER = Stage("parse", (), (), lambda job: {}, lambda job, records: {})


@dataclass(frozen=True, slots=True)
class Wiki:
    """The size of a made wiki."""

    num_pages: int
    num_redirects: int
    num_links: int


def main() -> None:
    """Build a wiki, run every phase on it and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--titles", type=int, default=1_000_000)
    parser.add_argument("--links", type=int, default=10_000_000)
    parser.add_argument("--folder", help="keep the corpus here")
    args = parser.parse_args()
    num_pages = args.titles * 7 // 17
    wiki = Wiki(num_pages, args.titles - num_pages, args.links)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(args.folder or scratch)
        if not (root / "pages" / "_manifest.json").exists():
            in_child(make_corpus, root, wiki)
        measure(root, wiki)


def measure(root: Path, wiki: Wiki) -> None:
    """Run and time the graph stage on a made corpus."""
    print(f"graph: {wiki.num_pages:,} pages, {wiki.num_redirects:,} redirects, "
          f"{wiki.num_links:,} links")  # fmt: skip
    job = open_job(Job(GRAPH, str(root), GraphConfig()), overwrite=True)
    records: Records = {}
    total = 0.0
    for phase in GRAPH.phases:
        records[phase.name], wall, cpu, peak = in_child(run_phase, job, phase.name, records)
        total += cpu
        line = f"  {phase.name:8s} {wall:7.2f} s wall {cpu:7.2f} s cpu {peak:6.0f} MB peak"
        if phase.name == "index":
            line += f"  {(wiki.num_pages + wiki.num_redirects) / cpu / 1e6:.2f} M titles/s"
        if phase.name == "resolve":
            line += f"  {wiki.num_links / cpu / 1e6:.2f} M links/s a core"
        print(line, flush=True)
    summary = finish_job(job, records)
    rate, share = wiki.num_links / total / 1e6, summary["links_resolved_share"]
    print(
        f"  {rate:.2f} M links/s a core, all phases, {summary['edges']:,} edges, {share:.1%} found"
    )
    start = time.perf_counter()
    with LinkGraph.open(str(root)) as graph:
        graph.neighbours(graph.num_nodes // 2)
        print(f"  LinkGraph opens in {(time.perf_counter() - start) * 1000:.1f} ms")


def run_phase(job: Job, name: str, records: Records) -> list[Any]:
    """Run all tasks of a phase, one after the other."""
    phase = next(phase for phase in GRAPH.phases if phase.name == name)
    return [run_task(job, phase, task) for task in plan_phase(job, phase, records)]


def in_child(function: Callable[..., Any], *args: Any) -> tuple[Any, float, float, float]:
    """Call a function in a fresh process; return its result, wall and CPU seconds and peak MB."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return tuple(pool.apply(_timed, (function, args)))  # type: ignore[return-value]


def _timed(function: Callable[..., Any], args: tuple[Any, ...]) -> list[Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = function(*args)
    elapsed = time.perf_counter() - wall, time.process_time() - cpu
    return [result, *elapsed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]


def make_corpus(root: Path, wiki: Wiki) -> None:
    """Write pages and redirects of a made wiki."""
    job = Job(_WRITER, str(root), GraphConfig())
    draw = np.random.default_rng(0)
    parts = []
    for index, first in enumerate(range(0, wiki.num_pages, _PAGES_PER_PART)):
        stop = min(first + _PAGES_PER_PART, wiki.num_pages)
        with part_writer(job, "pages", index) as writer:
            writer.write(page_columns(draw, wiki, first, stop))
        parts.append((f"pages/{part_name(index)}", stop - first))
    _write_manifest(job, "pages", parts)
    with part_writer(job, "redirects", 0) as writer:
        for first in range(0, wiki.num_redirects, _REDIRECTS_PER_GROUP):
            stop = min(first + _REDIRECTS_PER_GROUP, wiki.num_redirects)
            writer.write(redirect_columns(draw, wiki, first, stop))
    _write_manifest(job, "redirects", [(f"redirects/{part_name(0)}", wiki.num_redirects)])


def page_columns(
    draw: np.random.Generator, wiki: Wiki, first: int, stop: int
) -> dict[str, pa.Array]:
    """Return rows of pages with links of a power-law graph."""
    num_pages = stop - first
    mean = wiki.num_links / wiki.num_pages
    lengths = draw.geometric(1 / (mean + 1), num_pages) - 1
    num_links = int(lengths.sum())
    places = draw.random(num_links)
    rank = np.floor(draw.random(num_links) ** _POWER * wiki.num_pages).astype(np.int64)
    titles = pc.if_else(
        pa.array(places < _SHARE_RED),
        _titles("Missing page", draw.integers(0, wiki.num_pages, num_links)),
        pc.if_else(
            pa.array(places < _SHARE_RED + _SHARE_REDIRECT),
            _titles("Another name", rank % max(wiki.num_redirects, 1)),
            _titles("Article about", rank),
        ),
    )
    starts = np.arange(num_links, dtype=np.int32)
    columns = {
        "start_char": pa.array(starts),
        "end_char": pa.array(starts + 1),
        "target_title": titles,
        "target_fragment": pa.nulls(num_links, pa.string()),
        "target_namespace": pa.array(np.zeros(num_links, np.int32)),
        "kind": pa.array(["body"]).take(pa.array(np.zeros(num_links, np.int32))),
    }
    links = pa.StructArray.from_arrays([columns[each.name] for each in LINK], fields=list(LINK))
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    ids = np.arange(first, stop)
    empty = pa.array(np.zeros(num_pages + 1, np.int32))
    given = {
        "page_id": pa.array(ids * 3),
        "title": _titles("Article about", ids),
        "text": pa.array([""] * num_pages),
        "is_disambiguation": pa.array(np.zeros(num_pages, bool)),
        "links": pa.ListArray.from_arrays(offsets, links),
    }
    for name in ("sections", "categories"):
        values = pa.array([], SCHEMA.field(name).type.value_type)
        given[name] = pa.ListArray.from_arrays(empty, values)
    rest = [field for field in SCHEMA if field.name not in given]
    return given | {field.name: pa.nulls(num_pages, field.type) for field in rest}


def redirect_columns(
    draw: np.random.Generator, wiki: Wiki, first: int, stop: int
) -> dict[str, pa.Array]:
    """Return rows of redirects, each to a page."""
    ids = np.arange(first, stop)
    return {
        "page_id": pa.array(ids * 3 + 1),
        "title": _titles("Another name", ids),
        "target_title": _titles("Article about", draw.integers(0, wiki.num_pages, len(ids))),
        "target_fragment": pa.nulls(len(ids), pa.string()),
        "target_namespace": pa.array(np.zeros(len(ids), np.int32)),
        "is_interwiki": pa.array(np.zeros(len(ids), bool)),
    }


def _titles(prefix: str, numbers: npt.NDArray[np.int64]) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pa.array(numbers).cast(pa.string()), " ")


def _write_manifest(job: Job, table: str, parts: list[tuple[str, int]]) -> None:
    entries = []
    for name, num_rows in parts:
        num_bytes, sha256 = files.digest(job.path(name))
        entry = {"name": name, "num_rows": num_rows, "num_bytes": num_bytes, "sha256": sha256}
        entries.append(entry)
    rows_in = sum(num_rows for _, num_rows in parts)
    record = {"counts": {}, "files": entries}
    write_folder_manifest(job, table, [record], table=table, rows_in=rows_in)


if __name__ == "__main__":
    main()
