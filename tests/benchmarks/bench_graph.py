"""Measure the graph stage on made wikis of one size and several numbers of links.

    python -m tests.benchmarks.bench_graph                        1 M titles, 5 M and 20 M links
    python -m tests.benchmarks.bench_graph --titles 17000000 --links 10000000 40000000

Seven titles of 17 are pages, the others redirects, as in English Wikipedia; targets follow a power
law, a fifth of the links is red and a third goes through a redirect. Each phase runs in a process
of its own, so that its peak memory is its own. What the titles cost is the same whatever the links;
two numbers of links tell it from what a link costs, and so what 200 M links would take.
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

from pipeline.engine.lifecycle import finish_job, open_job, run_task, seal, tasks_of_phase
from pipeline.engine.outputs import part_name, part_writer, write_folder_manifest
from pipeline.engine.stage import Job, Records, Stage
from pipeline.graph.config import GraphConfig
from pipeline.graph.link_graph import LinkGraph
from pipeline.graph.stage import GRAPH
from pipeline.storage import files
from schemas.tables.pages import LINK, SCHEMA

_PAGES_PER_PART = 50_000
_REDIRECTS_PER_GROUP = 1 << 17
_SHARE_RED = 0.2
_SHARE_REDIRECT = 0.3
_POWER = 3.0
# About as many as English Wikipedia has.
_MANY_LINKS = 200_000_000

_WRITER = Stage("parse", (), (), lambda job: {}, lambda job, records: {})


@dataclass(frozen=True, slots=True)
class Wiki:
    """The size of a made wiki."""

    num_pages: int
    num_redirects: int
    num_links: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a phase took."""

    wall_seconds: float
    cpu_seconds: float
    peak_mb: float


def main() -> None:
    """Build a wiki of each number of links, run every phase on it and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--titles", type=int, default=1_000_000)
    parser.add_argument("--links", type=int, nargs="+", default=[5_000_000, 20_000_000])
    parser.add_argument("--folder", help="keep the corpora here")
    args = parser.parse_args()
    num_pages = args.titles * 7 // 17
    measured = []
    for num_links in args.links:
        wiki = Wiki(num_pages, args.titles - num_pages, num_links)
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(args.folder or scratch) / str(num_links)
            if not (root / "pages" / "_manifest.json").exists():
                in_child(make_corpus, root, wiki)
            measured.append((wiki, measure(root, wiki)))
    if len(measured) > 1:
        compare(measured)


def measure(root: Path, wiki: Wiki) -> dict[str, Cost]:
    """Run and time the graph stage on a made corpus."""
    print(f"graph: {wiki.num_pages:,} pages, {wiki.num_redirects:,} redirects, "
          f"{wiki.num_links:,} links")  # fmt: skip
    job = open_job(Job(GRAPH, str(root), GraphConfig()), overwrite=True)
    records: Records = {}
    costs: dict[str, Cost] = {}
    for phase in GRAPH.phases:
        records[phase.name], *figures = in_child(run_phase, job, phase.name, records)
        cost = costs[phase.name] = Cost(*figures)
        line = f"  {phase.name:8s} {cost.wall_seconds:7.2f} s wall {cost.cpu_seconds:7.2f} s cpu "
        line += f"{cost.peak_mb:6.0f} MB peak"
        if phase.name == "index":
            num_titles = wiki.num_pages + wiki.num_redirects
            line += f"  {num_titles / cost.cpu_seconds / 1e6:.2f} M titles/s"
        if phase.name == "resolve":
            line += f"  {wiki.num_links / cost.cpu_seconds / 1e6:.2f} M links/s a core"
        print(line, flush=True)
    summary = finish_job(job, records)
    total = sum(cost.cpu_seconds for cost in costs.values())
    print(
        f"  {wiki.num_links / total / 1e6:.2f} M links/s a core, all phases, "
        f"{summary['edges']:,} edges, {summary['links_resolved_share']:.1%} found"
    )
    start = time.perf_counter()
    with LinkGraph.open(str(root)) as graph:
        graph.neighbours(graph.num_nodes // 2)
        elapsed = time.perf_counter() - start
    size = sum(path.stat().st_size for path in (root / "csr").glob("*.npy"))
    print(f"  LinkGraph of {size / 1e6:.0f} MB opens in {elapsed * 1000:.1f} ms")
    return costs


def compare(measured: list[tuple[Wiki, dict[str, Cost]]]) -> None:
    """Split the CPU time into a fixed part and one a link; show that memory does not grow."""
    (few, costs_few), (many, costs_many) = measured[0], measured[-1]
    print(f"from {few.num_links:,} to {many.num_links:,} links, {few.num_pages:,} pages")
    print("  phase    fixed, s   ns a link   peak MB")
    fixed_total = each_total = 0.0
    for name in costs_few:
        low, high = costs_few[name], costs_many[name]
        each = (high.cpu_seconds - low.cpu_seconds) / (many.num_links - few.num_links)
        fixed = low.cpu_seconds - each * few.num_links
        fixed_total, each_total = fixed_total + fixed, each_total + each
        print(
            f"  {name:8s} {fixed:8.2f} {each * 1e9:11.0f}   {low.peak_mb:.0f} to {high.peak_mb:.0f}"
        )
    seconds = fixed_total + each_total * _MANY_LINKS
    print(
        f"  extrapolated to {_MANY_LINKS:,} links: {seconds:.0f} s of one core, "
        f"{_MANY_LINKS / seconds / 1e6:.2f} M links/s, "
        f"{1 / each_total / 1e6:.2f} M/s without the {fixed_total:.0f} s that titles cost"
    )


def run_phase(job: Job, name: str, records: Records) -> list[Any]:
    """Run all tasks of a phase, one after the other."""
    phase = next(phase for phase in GRAPH.phases if phase.name == name)
    return [run_task(job, phase, task) for task in tasks_of_phase(job, phase, records)]


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
    seal(job.state_path(), {})
    files.write_json(job.state_path("_summary.json"), {})


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
