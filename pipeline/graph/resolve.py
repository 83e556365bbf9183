"""The second phase of `graph`: give every link of a part of pages its fate, and find the edges.

    pages part k ──▶ mentions part k, and a spill of the distinct edges that leave its documents

A document lies in one part, so an edge is found in one part only: the spills need no adding up.
Everything is vectorised over the links of a batch of documents; no link is a Python object.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.outputs import (
    AnyArray,
    open_array,
    page_parts,
    part_writer,
    read_batches,
    save_array,
    spill_name,
    verify_part,
)
from pipeline.engine.stage import Job, Record, Records, Task
from pipeline.graph.config import GraphConfig
from pipeline.graph.documents import Int8Array
from pipeline.wiki.title_index import MISSING, Int32Array, Int64Array, TitleIndex
from schemas.tables import pages
from schemas.tables.mentions import FATES, INTERWIKI, OTHER_NAMESPACE, RED, RESOLVED, SELF

BoolArray = npt.NDArray[np.bool_]

_PAGES_PER_READ = 1 << 12
_FATE_NAMES = pa.array(FATES)
_HAS_TARGET = np.array([fate in ("resolved", "redirect", "self") for fate in FATES])
_MAKES_EDGE = np.array([fate in ("resolved", "redirect") for fate in FATES])
_LINK_COLUMNS = [
    f"links.list.element.{name}" for name in ("target_title", "target_namespace", "kind")
]


@dataclass(frozen=True, slots=True)
class GraphIndex:
    """What `pipeline.graph.documents` wrote, memory-mapped: titles and the ends of redirects."""

    titles: TitleIndex
    redirect_page_ids: Int64Array
    redirect_targets: Int32Array
    redirect_fates: Int8Array


@dataclass(frozen=True, slots=True)
class LinkColumns:
    """The links of some documents, one element per link [L].

    Attributes:
        source_ids: int32, the document.
        link_index: int32, the place among the document's links.
        target_titles: string array.
        target_namespaces: int32.
        kinds: int8, index into `schemas.tables.pages.LINK_KINDS`.
    """

    source_ids: Int32Array
    link_index: Int32Array
    target_titles: pa.Array
    target_namespaces: Int32Array
    kinds: Int8Array


@dataclass(frozen=True, slots=True)
class Resolution:
    """What became of links: fates int8 [L] (index into FATES), targets and redirects int32 [L]."""

    fates: Int8Array
    # -1 where there is none.
    target_ids: Int32Array
    redirects: Int32Array


@dataclass(frozen=True, slots=True)
class Edges:
    """Distinct edges, sorted.

    Attributes:
        keys: int64 [E], source_id * 2^32 + target_id.
        num_mentions: int32 [E].
        kinds: uint8 [E], the bit 1 << code of each kind of link that makes the edge.
    """

    keys: Int64Array
    num_mentions: Int32Array
    kinds: npt.NDArray[np.uint8]


def tasks_of_resolve(job: Job[GraphConfig], records: Records) -> list[Task]:
    """Make one task per part of pages."""
    [index] = records["index"]
    tasks, first_row = [], 0
    for number, (name, num_rows) in enumerate(page_parts(job)):
        args = {"part": name, "first_row": first_row, "salt": index["salt"]}
        tasks.append(Task(number, args, num_rows))
        first_row += num_rows
    return tasks


def run_resolve(job: Job[GraphConfig], task: Task) -> Record:
    """Write mentions part k and its spill of edges; count links by fate and edges by kind."""
    verify_part(job.path("pages"), task.args["part"].removeprefix("pages/"))
    counts = dict.fromkeys(("links", "duplicate_page", "caption", *FATES), 0)
    found: list[Edges] = []
    with (
        ExitStack() as stack,
        part_writer(job, "mentions", task.index) as writer,
    ):
        index, row_nodes = _open_index(job, stack, task.args["salt"])
        for links, num_dropped in _read_links(job, task, row_nodes):
            resolution = resolve(links, index)
            writer.write(mention_columns(links, resolution, index))
            found.append(find_edges(links, resolution))
            _count(counts, links, resolution, num_dropped)
        num_mentions = writer.num_rows
    edges = _concatenate(found)
    keys_name = spill_name(job, "edge_keys", task.index)
    weights_name = spill_name(job, "edge_mentions", task.index)
    written = {f"mentions/part-{task.index:05d}.parquet": num_mentions}
    written |= save_array(job, keys_name, edges.keys)
    written |= save_array(job, weights_name, edges.num_mentions)
    span = [int(edges.keys[0] >> 32), int(edges.keys[-1] >> 32)] if len(edges.keys) else [0, -1]
    counts |= _count_edges(edges)
    return {"counts": counts, "files": written, "sources": span}


def resolve(links: LinkColumns, index: GraphIndex) -> Resolution:
    """Give every link its fate and, where it leads to a document, its target."""
    values = index.titles.look_up(links.target_titles)
    through = (values < 0) & (values != MISSING)
    redirects = np.where(through, -1 - values, -1).astype(np.int32)
    fates = np.where(links.target_namespaces != 0, _code(OTHER_NAMESPACE), _code(RED))
    fates = np.where(values >= 0, _code(RESOLVED), fates).astype(np.int8)
    targets = np.where(values >= 0, values, -1).astype(np.int32)
    fates[through] = index.redirect_fates[redirects[through]]
    targets[through] = index.redirect_targets[redirects[through]]
    is_local = pc.equal(pc.binary_length(links.target_titles), 0).to_numpy(zero_copy_only=False)
    targets[is_local] = links.source_ids[is_local]
    redirects[is_local] = -1
    fates[targets == links.source_ids] = _code(SELF)
    is_interwiki = links.kinds == pages.LINK_KINDS.index(pages.INTERWIKI)
    fates[is_interwiki] = _code(INTERWIKI)
    targets[is_interwiki] = redirects[is_interwiki] = -1
    return Resolution(fates, targets, redirects)


def mention_columns(
    links: LinkColumns, resolution: Resolution, index: GraphIndex
) -> dict[str, pa.Array]:
    """Return the columns of the mentions table."""
    has_no_redirect = resolution.redirects < 0
    page_ids = np.zeros(len(resolution.redirects), np.int64)
    page_ids[~has_no_redirect] = index.redirect_page_ids[resolution.redirects[~has_no_redirect]]
    return {
        "source_id": pa.array(links.source_ids),
        "link_index": pa.array(links.link_index),
        "target_id": pa.array(resolution.target_ids, mask=~_HAS_TARGET[resolution.fates]),
        "fate": _FATE_NAMES.take(pa.array(resolution.fates)),
        "redirect_page_id": pa.array(page_ids, mask=has_no_redirect),
    }


def find_edges(links: LinkColumns, resolution: Resolution) -> Edges:
    """Return the distinct edges of the links of whole documents.

    Body, hatnote and citation links make edges; captions and links without a document do not.
    """
    chosen = _MAKES_EDGE[resolution.fates] & _EDGE_KIND[links.kinds]
    keys = edge_keys(links.source_ids[chosen], resolution.target_ids[chosen])
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    kinds = np.left_shift(1, links.kinds[chosen][order]).astype(np.uint8)
    firsts = np.flatnonzero(np.diff(keys, prepend=-1))
    return Edges(
        keys[firsts],
        np.diff(firsts, append=len(keys)).astype(np.int32),
        np.bitwise_or.reduceat(kinds, firsts) if len(firsts) else kinds,
    )


def edge_keys(first_ids: Int32Array, second_ids: Int32Array) -> Int64Array:
    """Pack two ids into one key that sorts by both.

    >>> edge_keys(np.array([1], np.int32), np.array([2], np.int32)).tolist()
    [4294967298]
    """
    return (first_ids.astype(np.int64) << 32) | second_ids.astype(np.int64)


def _open_index(
    job: Job[GraphConfig], stack: ExitStack, salt: int
) -> tuple[GraphIndex, Int32Array]:
    def open_one(name: str) -> AnyArray:
        return stack.enter_context(open_array(job.path("index", f"{name}.npy")))

    titles = TitleIndex(open_one("title_hashes"), open_one("title_values"), salt)
    redirects = (open_one(f"redirect_{name}") for name in ("page_ids", "targets", "fates"))
    return GraphIndex(titles, *redirects), open_one("row_nodes")


def _read_links(
    job: Job[GraphConfig], task: Task, row_nodes: Int32Array
) -> Iterator[tuple[LinkColumns, int]]:
    """Yield the links of batches of documents, and how many were on dropped rows."""
    row = task.args["first_row"]
    waiting: list[pa.ListArray] = []
    num_links = 0
    for batch in read_batches(job.path(task.args["part"]), _LINK_COLUMNS, _PAGES_PER_READ):
        waiting.append(batch.column(0))
        num_links += pc.sum(batch.column(0).value_lengths()).as_py() or 0
        if num_links >= job.config.links_per_batch:
            links = pa.concat_arrays(waiting)
            yield flatten_links(links, row_nodes[row : row + len(links)])
            row += len(links)
            waiting, num_links = [], 0
    if waiting:
        links = pa.concat_arrays(waiting)
        yield flatten_links(links, row_nodes[row : row + len(links)])


def flatten_links(links: pa.ListArray, node_ids: Int32Array) -> tuple[LinkColumns, int]:
    """Lay the links of documents end to end, leaving out those of dropped rows.

    Args:
        links: column `links` of pages [P].
        node_ids: int32 [P], -1 for a dropped row.

    Returns:
        The links and the number left out.
    """
    lengths = links.value_lengths().to_numpy()
    starts = np.cumsum(lengths) - lengths
    source_ids = np.repeat(node_ids, lengths)
    link_index = np.arange(len(source_ids)) - np.repeat(starts, lengths)
    flat = links.flatten()
    num_dropped = int((source_ids < 0).sum())
    if num_dropped:
        kept = source_ids >= 0
        flat = flat.filter(pa.array(kept))
        source_ids, link_index = source_ids[kept], link_index[kept]
    kinds = pc.index_in(pc.struct_field(flat, "kind"), pa.array(pages.LINK_KINDS))
    found = LinkColumns(
        source_ids,
        link_index.astype(np.int32),
        pc.struct_field(flat, "target_title"),
        pc.struct_field(flat, "target_namespace").to_numpy(),
        kinds.to_numpy().astype(np.int8),
    )
    return found, num_dropped


def _count(
    counts: dict[str, int], links: LinkColumns, resolution: Resolution, num_dropped: int
) -> None:
    counts["links"] += len(links.source_ids) + num_dropped
    counts["duplicate_page"] += num_dropped
    makes_edge = _MAKES_EDGE[resolution.fates]
    counts["caption"] += int((makes_edge & ~_EDGE_KIND[links.kinds]).sum())
    for code, num in enumerate(np.bincount(resolution.fates, minlength=len(FATES)).tolist()):
        counts[FATES[code]] += num


def _concatenate(found: list[Edges]) -> Edges:
    keys = np.concatenate([np.zeros(0, np.int64), *(edges.keys for edges in found)])
    weights = np.concatenate([np.zeros(0, np.int32), *(edges.num_mentions for edges in found)])
    kinds = np.concatenate([np.zeros(0, np.uint8), *(edges.kinds for edges in found)])
    order = np.argsort(keys, kind="stable")
    return Edges(keys[order], weights[order], kinds[order])


def _count_edges(edges: Edges) -> dict[str, int]:
    """Count edges by the best link that makes them: body, else citation, else hatnote."""
    body, citation = _bit(pages.BODY), _bit(pages.CITATION)
    has_body = (edges.kinds & body) != 0
    has_citation = ~has_body & ((edges.kinds & citation) != 0)
    return {
        "edges": len(edges.keys),
        "body_edges": int(has_body.sum()),
        "citation_edges": int(has_citation.sum()),
        "hatnote_edges": int((~has_body & ~has_citation).sum()),
        "edge_mentions": int(edges.num_mentions.sum()),
    }


def _code(fate: str) -> int:
    return FATES.index(fate)


def _bit(kind: str) -> int:
    return 1 << pages.LINK_KINDS.index(kind)


_EDGE_KIND = np.array([kind in pages.EDGE_KINDS for kind in pages.LINK_KINDS])
