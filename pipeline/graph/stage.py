"""graph: titles become node ids, links become edges (LinkBERT, arXiv:2203.15827, section 4.1).

    CORPUS/pages, CORPUS/redirects
      ──index──▶   CORPUS/index       sorted hashes of all titles, redirects followed to their end
      ──resolve──▶ CORPUS/mentions    one row per link: where it leads, or why nowhere
      ──merge──▶   CORPUS/edges       one row per distinct edge, weighted by its mentions
      ──nodes──▶   CORPUS/nodes       one row per document, with its degrees
      ──csr──▶     CORPUS/csr         neighbours both ways, memory-mapped by `LinkGraph`

The one idea: the index of titles is a small sorted file that every task maps, so nothing is ever
joined; see `pipeline.wiki.title_index`.
"""

from __future__ import annotations

from pipeline.engine.outputs import load_finished, load_manifest, sum_counts, write_folder_manifest
from pipeline.engine.stage import Job, Phase, Record, Records, Stage
from pipeline.graph.config import GraphConfig
from pipeline.graph.documents import run_index, tasks_of_index
from pipeline.graph.edges import (
    run_csr,
    run_merge,
    run_nodes,
    tasks_of_csr,
    tasks_of_merge,
    tasks_of_nodes,
)
from pipeline.graph.resolve import run_resolve, tasks_of_resolve
from pipeline.storage import files
from schemas.manifest import Json
from schemas.tables.mentions import FATES, REDIRECT, RESOLVED, SELF

_LOST = tuple(fate for fate in FATES if fate not in (RESOLVED, REDIRECT))


def fingerprint_inputs(job: Job[GraphConfig]) -> dict[str, str]:
    """Return the fingerprints of pages and redirects.

    Raises:
        StageError: one of them is not there or not finished.
    """
    return {name: load_finished(job.path(name)).fingerprint() for name in ("pages", "redirects")}


def finish(job: Job[GraphConfig], records: Records) -> dict[str, Json]:
    """Write the manifests, delete the spills and sum up what became of every link."""
    everything = [record for phase in records.values() for record in phase]
    [index] = records["index"]
    totals = sum_counts(everything)
    links = sum_counts(records["resolve"])
    graph = {key: index[key] for key in ("num_nodes", "num_titles", "num_redirects", "salt")}
    write_folder_manifest(job, "index", everything, extra={**graph, "counts": index["counts"]})
    write_folder_manifest(
        job,
        "nodes",
        everything,
        table="nodes",
        rows_in=load_manifest(job.path("pages")).rows_out,
        drops={"duplicate_page": index["counts"]["duplicate_page"]},
    )
    write_folder_manifest(
        job,
        "mentions",
        everything,
        table="mentions",
        rows_in=links["links"],
        drops={"duplicate_page": links["duplicate_page"]},
        extra={"fates": {fate: links[fate] for fate in FATES}},
    )
    _write_edges_manifest(job, everything, links)
    write_folder_manifest(job, "csr", everything, extra=graph | {"num_edges": links["edges"]})
    files.remove_tree(job.state_path("spill"))
    return _summary(index, links, totals)


def _write_edges_manifest(
    job: Job[GraphConfig], records: list[Record], links: dict[str, int]
) -> None:
    drops = {reason: links[reason] for reason in (*_LOST, "caption")}
    # Several mentions of one document on another are one edge.
    drops["repeated"] = links["edge_mentions"] - links["edges"]
    kinds = {key: links[key] for key in ("body_edges", "citation_edges", "hatnote_edges")}
    write_folder_manifest(
        job,
        "edges",
        records,
        table="edges",
        rows_in=links["links"] - links["duplicate_page"],
        drops=drops,
        extra=kinds,
    )


def _summary(index: Record, links: dict[str, int], totals: dict[str, int]) -> dict[str, Json]:
    num_mentions = links["links"] - links["duplicate_page"]
    num_found = links[RESOLVED] + links[REDIRECT] + links[SELF]
    return {
        "nodes": index["num_nodes"],
        "edges": links["edges"],
        "body_edges": links["body_edges"],
        "citation_edges": links["citation_edges"],
        # Edges that only hatnotes make; they come on top of the links people put into prose.
        "hatnote_edges": links["hatnote_edges"],
        "mentions": num_mentions,
        "mentions_by_fate": {fate: links[fate] for fate in FATES},
        "links_resolved_share": round(num_found / num_mentions, 4) if num_mentions else 0.0,
        "disambiguation_nodes": totals["disambiguation"],
        "isolated_nodes": totals["isolated"],
        **index["counts"],
    }


GRAPH = Stage(
    name="graph",
    phases=(
        Phase("index", tasks_of_index, run_index),
        Phase("resolve", tasks_of_resolve, run_resolve, unit="pages"),
        Phase("merge", tasks_of_merge, run_merge),
        Phase("nodes", tasks_of_nodes, run_nodes),
        Phase("csr", tasks_of_csr, run_csr),
    ),
    outputs=("nodes", "edges", "mentions", "index", "csr"),
    fingerprint_inputs=fingerprint_inputs,
    finish=finish,
)
