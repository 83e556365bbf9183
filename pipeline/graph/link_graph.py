"""LinkGraph: the finished link graph of a corpus, read-only, opened in milliseconds.

The neighbour arrays stay on disk, memory-mapped, whatever their size; what a method returns is
its own copy. Analyses that need a matrix (components) take 16 bytes per edge.

    with LinkGraph.open("corpus") as graph:
        node = graph.node_of("Physics")
        graph.titles(graph.neighbours(node))
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.engine.outputs import load_finished, open_array, open_part, part_name
from pipeline.storage import files
from pipeline.wiki.title_index import MISSING, Int32Array, Int64Array, TitleIndex
from schemas.errors import GraphError

Direction = Literal["out", "in"]
Float64Array = npt.NDArray[np.float64]

_NODES_PER_CHUNK = 1 << 18
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class LinkGraph:
    """The nodes and distinct edges of a corpus.

    Attributes:
        corpus: its folder.
        out_indptr: int64 [N + 1], where the targets of a node begin in `out_indices`.
        out_indices: int32 [E], targets, sorted for each source.
        out_mentions: int32 [E], how many links make the edge.
        in_indptr: int64 [N + 1], where the sources of a node begin in `in_indices`.
        in_indices: int32 [E], sources, sorted for each target.
    """

    corpus: str
    out_indptr: Int64Array
    out_indices: Int32Array
    out_mentions: Int32Array
    in_indptr: Int64Array
    in_indices: Int32Array
    _index: TitleIndex
    _redirect_targets: Int32Array
    _nodes_per_part: int
    _stack: ExitStack
    _titles: dict[int, pa.ChunkedArray] = field(default_factory=dict)

    @classmethod
    def open(cls, corpus: str) -> LinkGraph:
        """Open the graph of a corpus folder; close it, or use it in a `with` statement.

        The arrays are not read here, so a flipped byte in one goes unnoticed: `linkbert check`
        compares all of them with their digests.

        Raises:
            StageError: the corpus has no finished graph, or files lie beside its own.
        """
        index = load_finished(files.join(corpus, "index")).extra
        load_finished(files.join(corpus, "csr"))
        nodes = load_finished(files.join(corpus, "nodes"))
        stack = ExitStack()

        def open_one(folder: str, name: str) -> npt.NDArray[Any]:
            return stack.enter_context(open_array(files.join(corpus, folder, f"{name}.npy")))

        return cls(
            corpus,
            open_one("csr", "out_indptr"),
            open_one("csr", "out_indices"),
            open_one("csr", "out_mentions"),
            open_one("csr", "in_indptr"),
            open_one("csr", "in_indices"),
            TitleIndex(
                open_one("index", "title_hashes"), open_one("index", "title_values"), index["salt"]
            ),
            open_one("index", "redirect_targets"),
            int(nodes.config["nodes_per_part"]),
            stack,
        )

    def close(self) -> None:
        """Let go of local copies of remote arrays."""
        self._stack.close()

    def __enter__(self) -> LinkGraph:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def num_nodes(self) -> int:
        """The number of documents."""
        return len(self.out_indptr) - 1

    @property
    def num_edges(self) -> int:
        """The number of distinct edges."""
        return len(self.out_indices)

    def node_of(self, title: str) -> int:
        """Return the document of a title, following redirects.

        Raises:
            GraphError: the corpus has no such title.
        """
        spellings = dict.fromkeys((title, title[:1].upper() + title[1:]))
        for value in self._index.look_up(pa.array(list(spellings), pa.string())).tolist():
            node = value if value >= 0 or value == MISSING else self._redirect_targets[-1 - value]
            if node >= 0:
                return int(node)
        raise GraphError(
            f"expected the title of a document, found none called {title!r} in {self.corpus}: "
            "check the spelling; capitals matter, and the page may have been left out"
        )

    def titles(self, nodes: npt.ArrayLike) -> list[str]:
        """Return the titles of nodes [K], in their order."""
        wanted = np.asarray(nodes, np.int64)
        found = np.empty(len(wanted), object)
        for part in np.unique(wanted // self._nodes_per_part).tolist():
            here = np.flatnonzero(wanted // self._nodes_per_part == part)
            rows = wanted[here] - part * self._nodes_per_part
            found[here] = self._titles_of_part(part).take(pa.array(rows)).to_pylist()
        return list(found)

    def _titles_of_part(self, part: int) -> pa.ChunkedArray:
        if part not in self._titles:
            with open_part(files.join(self.corpus, "nodes", part_name(part))) as nodes:
                self._titles[part] = nodes.read(columns=["title"]).column("title")
        return self._titles[part]

    def neighbours(self, node: int) -> Int32Array:
        """Return the documents a document links to, sorted: int32 [out-degree].

        Raises:
            GraphError: there is no such node.
        """
        self._check(node)
        return np.array(self.out_indices[self.out_indptr[node] : self.out_indptr[node + 1]])

    def in_neighbours(self, node: int) -> Int32Array:
        """Return the documents that link to a document, sorted: int32 [in-degree].

        Raises:
            GraphError: there is no such node.
        """
        self._check(node)
        return np.array(self.in_indices[self.in_indptr[node] : self.in_indptr[node + 1]])

    def mentions(self, node: int) -> Int32Array:
        """Return how many links make each edge to `neighbours(node)`: int32 [out-degree].

        Raises:
            GraphError: there is no such node.
        """
        self._check(node)
        return np.array(self.out_mentions[self.out_indptr[node] : self.out_indptr[node + 1]])

    def _check(self, node: int) -> None:
        # A negative index would quietly mean the end of the arrays.
        if not 0 <= node < self.num_nodes:
            raise GraphError(
                f"expected a node from 0 to {self.num_nodes - 1} of {self.corpus}, found {node}: "
                "node_of(title) gives the node of a document"
            )

    def degrees(self, direction: Direction) -> Int64Array:
        """Return the number of linked or linking documents of every node: int64 [N]."""
        return np.diff(self.out_indptr if direction == "out" else self.in_indptr)

    def degree_distribution(self, direction: Direction) -> dict[int, int]:
        """Return how many documents have each degree that occurs, by degree."""
        degrees, counts = np.unique(self.degrees(direction), return_counts=True)
        return dict(zip(degrees.tolist(), counts.tolist(), strict=True))

    def adjacent(self, nodes: Int64Array, direction: Direction) -> Int32Array:
        """Return the neighbours of many nodes laid end to end: int32 [sum of degrees]."""
        indptr = self.out_indptr if direction == "out" else self.in_indptr
        indices = self.out_indices if direction == "out" else self.in_indices
        starts, lengths = indptr[nodes], indptr[nodes + 1] - indptr[nodes]
        ends = np.cumsum(lengths)
        places = np.repeat(starts - (ends - lengths), lengths)
        return np.asarray(indices[places + np.arange(len(places))])

    def within(self, node: int, hops: int, direction: Direction = "out") -> Int64Array:
        """Return the nodes that at most `hops` links lead to (or from): int64, sorted, with itself.

        Raises:
            GraphError: there is no such node.
        """
        self._check(node)
        is_seen = np.zeros(self.num_nodes, bool)
        frontier = np.array([node], np.int64)
        is_seen[frontier] = True
        for _ in range(hops):
            reached = np.unique(self.adjacent(frontier, direction))
            frontier = reached[~is_seen[reached]].astype(np.int64)
            if not len(frontier):
                break
            is_seen[frontier] = True
        return np.flatnonzero(is_seen)

    def components(self, kind: Literal["weak", "strong"]) -> Int32Array:
        """Return the component of every node: int32 [N], 0 the largest, then by size.

        Weak components ignore the direction of links; within a strong one every document leads to
        every other.
        """
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import connected_components

        matrix = csr_array(
            (np.ones(self.num_edges), self.out_indices, self.out_indptr),
            shape=(self.num_nodes, self.num_nodes),
        )
        number, labels = connected_components(matrix, directed=True, connection=kind)
        # The largest first; among equals the one that holds the lowest node.
        _, lowest = np.unique(labels, return_index=True)
        order = np.lexsort((lowest, -np.bincount(labels, minlength=number)))
        rank = np.empty(number, np.int32)
        rank[order] = np.arange(number, dtype=np.int32)
        return np.asarray(rank[labels])

    def pagerank(
        self, damping: float = 0.85, tolerance: float = 1e-10, max_iterations: int = 200
    ) -> Float64Array:
        """Return the PageRank of every node: float64 [N], summing to 1.

        Every distinct edge counts once; a document without links leads to all alike. In-edges
        are read in order, so memory stays at 32 bytes per node.

        Raises:
            GraphError: it did not converge.
        """
        if not self.num_nodes:
            return np.zeros(0)
        out_degrees = self.degrees("out")
        is_dangling = out_degrees == 0
        ranks = np.full(self.num_nodes, 1 / self.num_nodes)
        for _ in range(max_iterations):
            spread = ranks / np.maximum(out_degrees, 1)
            base = (1 - damping + damping * ranks[is_dangling].sum()) / self.num_nodes
            changed = base + damping * self._sum_over_sources(spread)
            if np.abs(changed - ranks).sum() < tolerance:
                return np.asarray(changed / changed.sum())
            ranks = changed
        raise GraphError(
            f"expected PageRank to converge to {tolerance} within {max_iterations} iterations, "
            f"found no convergence in {self.corpus}: raise max_iterations"
        )

    def _sum_over_sources(self, values: Float64Array) -> Float64Array:
        sums = np.zeros(self.num_nodes)
        for first in range(0, self.num_nodes, _NODES_PER_CHUNK):
            bounds = self.in_indptr[first : first + _NODES_PER_CHUNK + 1]
            lengths = np.diff(bounds)
            gathered = values[self.in_indices[bounds[0] : bounds[-1]]]
            linked = np.flatnonzero(lengths)
            if len(linked):
                sums[first + linked] = np.add.reduceat(gathered, (bounds[linked] - bounds[0]))
        return sums

    def edges(self) -> Iterator[tuple[Int64Array, Int32Array, Int32Array]]:
        """Yield sources, targets and mentions of all edges, in chunks of many nodes."""
        for first in range(0, self.num_nodes, _NODES_PER_CHUNK):
            bounds = self.out_indptr[first : first + _NODES_PER_CHUNK + 1]
            sources = np.repeat(np.arange(first, first + len(bounds) - 1), np.diff(bounds))
            chosen = slice(int(bounds[0]), int(bounds[-1]))
            yield sources, np.array(self.out_indices[chosen]), np.array(self.out_mentions[chosen])

    def to_networkx(self, nodes: Sequence[int] | Int64Array | None = None) -> Any:
        """Return a networkx DiGraph with `title` and `num_mentions`, whole or of some nodes.

        networkx takes about 1 kB per edge: choose nodes from a large graph first.
        """
        import networkx

        kept = np.arange(self.num_nodes) if nodes is None else np.unique(np.asarray(nodes))
        is_kept = np.zeros(self.num_nodes, bool)
        is_kept[kept] = True
        graph = networkx.DiGraph()
        graph.add_nodes_from(
            (node, {"title": title})
            for node, title in zip(kept.tolist(), self.titles(kept), strict=True)
        )
        for sources, targets, mentions in self.edges():
            inside = is_kept[sources] & is_kept[targets]
            columns = (column[inside].tolist() for column in (sources, targets, mentions))
            graph.add_edges_from(
                (source, target, {"num_mentions": count})
                for source, target, count in zip(*columns, strict=True)
            )
        return graph

    def write_graphml(self, path: str, nodes: Sequence[int] | Int64Array | None = None) -> None:
        """Write the graph, or some nodes of it, as GraphML for Gephi, igraph and the like."""
        import networkx

        graph = self.to_networkx(nodes)
        for node, title in graph.nodes(data="title"):
            # XML holds no control characters, titles of other corpora may.
            graph.nodes[node]["title"] = _NO_XML.sub(" ", title)
        networkx.write_graphml_xml(graph, path)
