"""What the phases of `sample` know of its corpora, as memory-mapped arrays.

    Source          one corpus: its folder, and its kind of links
    SegmentArrays   its segments in canonical order, and where their tokens lie
    CorpusArrays    that, its graph, its links and which documents are held out: all that a plan
                    looks at, opened once
    Catalogue       the segments of all corpora under one numbering

Canonical order is (node_id, segment_index): it does not depend on how pages were cut into parts.
The arrays lie in the job's state folder; `pipeline.sample.index` writes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.engine.outputs import load_manifest, open_array, part_paths
from pipeline.engine.stage import Job
from pipeline.sample.config import TFIDF, SampleConfig, split_source
from pipeline.sample.pairs.graph import Graph, Int32Array, Int64Array, Segments
from pipeline.sample.pairs.similarity import NO_NEIGHBOUR
from pipeline.sample.token_store import TokenRuns
from pipeline.storage import files
from schemas.manifest import Json

AnyArray = npt.NDArray[Any]
Int8Array = npt.NDArray[np.int8]
SampleJob = Job[SampleConfig]

GRAPH_ARRAYS = ("out_indptr", "out_indices", "in_indptr", "in_indices")

# LinkBERT (arXiv:2203.15827), section 4.1: the top five documents.
NUM_SIMILAR = 5
# A block of documents takes some ten seconds of a core at 100,000 documents.
SIMILAR_BLOCK_ROWS = 2048


@dataclass(frozen=True, slots=True)
class Source:
    """One corpus of the job: its place among the sources, its folder, and its kind of links."""

    index: int
    path: str
    links: str


def sources_of(job: SampleJob) -> list[Source]:
    """Return the corpora of the job."""
    return [
        Source(index, *split_source(source, job.config.links))
        for index, source in enumerate(job.sources)
    ]


def array_name(source: int, name: str) -> str:
    """Return the path under the root of an array of the index."""
    return f"_state/sample/index/{source}-{name}.npy"


def similar_name(source: int, first: int) -> str:
    """Return the path under the root of the nearest documents of one block."""
    return array_name(source, f"similar-{first // SIMILAR_BLOCK_ROWS:05d}")


@dataclass(frozen=True, slots=True)
class SegmentArrays:
    """The segments of one corpus [S].

    Attributes:
        segments: the document of each, and the first of each document.
        num_tokens: int32 [S].
        token_start: int64 [S], in the corpus's flat ids, all parts one after the other.
    """

    segments: Segments
    num_tokens: Int32Array
    token_start: Int64Array

    def document_runs(self) -> TokenRuns:
        """Return where the tokens of each document lie: its segments lie side by side."""
        reach = np.concatenate([[0], np.cumsum(self.num_tokens, dtype=np.int64)])
        first = self.segments.first
        starts = np.append(self.token_start, 0)[first[:-1]]
        return TokenRuns(starts, reach[first[1:]] - reach[first[:-1]])


def open_segments(job: SampleJob, source: int, stack: ExitStack) -> SegmentArrays:
    """Open the segments of a corpus until the stack closes."""
    names = ("first", "node", "num_tokens", "token_start")
    first, node, num_tokens, token_start = _open_index(job, source, names, stack)
    return SegmentArrays(Segments(first, node), num_tokens, token_start)


def _open_index(
    job: SampleJob, source: int, names: tuple[str, ...], stack: ExitStack
) -> list[AnyArray]:
    paths = (job.path(array_name(source, name)) for name in names)
    return [stack.enter_context(open_array(path)) for path in paths]


@dataclass(frozen=True, slots=True)
class CorpusArrays:
    """All that a plan looks at in one corpus of N documents and S segments.

    Attributes:
        source: which corpus.
        index: its segments.
        graph: the links between its documents.
        target_start: int64 [S + 1], where the targets of each segment begin in `target_ids`.
        target_ids: int32 [T], the documents that segments link to.
        in_degree: int32 [N].
        held_out: int8 [N], see `pipeline.sample.pairs.held_out`.
        similar: the nearest documents of each as compressed rows, with --links tfidf.
    """

    source: Source
    index: SegmentArrays
    graph: Graph
    target_start: Int64Array
    target_ids: Int32Array
    in_degree: Int32Array
    held_out: Int8Array
    similar: tuple[Int64Array, Int32Array] | None


@contextmanager
def open_corpora(job: SampleJob) -> Iterator[list[CorpusArrays]]:
    """Open the arrays of all corpora, in their order, until the block ends."""
    with ExitStack() as stack:
        yield [_open_corpus(job, source, stack) for source in sources_of(job)]


def _open_corpus(job: SampleJob, source: Source, stack: ExitStack) -> CorpusArrays:
    index = open_segments(job, source.index, stack)
    graph = open_graph(source.path, stack)
    names = ("target_start", "target_ids", "in_degree", "split")
    starts, targets, in_degree, held_out = _open_index(job, source.index, names, stack)
    similar = _read_similar(job, source.index, len(in_degree)) if source.links == TFIDF else None
    return CorpusArrays(source, index, graph, starts, targets, in_degree, held_out, similar)


def open_graph(corpus: str, stack: ExitStack) -> Graph:
    """Open the graph of a corpus until the stack closes."""
    paths = (files.join(corpus, "csr", f"{name}.npy") for name in GRAPH_ARRAYS)
    return Graph(*(stack.enter_context(open_array(path)) for path in paths))


def _read_similar(job: SampleJob, source: int, num_documents: int) -> tuple[Int64Array, Int32Array]:
    """Return the nearest documents of all documents as compressed rows."""
    blocks = [np.zeros((0, NUM_SIMILAR), np.int32)]
    for first in range(0, num_documents, SIMILAR_BLOCK_ROWS):
        with open_array(job.path(similar_name(source, first))) as block:
            blocks.append(np.array(block).reshape(-1, NUM_SIMILAR))
    nearest = np.concatenate(blocks)
    is_one = nearest != NO_NEIGHBOUR
    start = np.concatenate([[0], np.cumsum(is_one.sum(axis=1))]).astype(np.int64)
    return start, nearest[is_one]


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """What the index knows of some segments [P]; `runs` say where their tokens lie."""

    corpus: Int32Array
    node: Int32Array
    index: Int64Array
    runs: TokenRuns

    def part(self, here: slice) -> SegmentFacts:
        """Return those of a slice."""
        runs = TokenRuns(self.runs.starts[here], self.runs.sizes[here])
        return SegmentFacts(self.corpus[here], self.node[here], self.index[here], runs)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The segments of all corpora under one numbering, corpus by corpus; so are their tokens.

    Attributes:
        bases: int64 [C + 1], the number of each corpus's first segment, and of all.
        token_bases: int64 [C], where each corpus begins in the store.
        corpora: the segments of each corpus.
    """

    bases: Int64Array
    token_bases: Int64Array
    corpora: list[SegmentArrays]

    @staticmethod
    def open(job: SampleJob, stack: ExitStack) -> Catalogue:
        """Open the segments of every corpus until the stack closes."""
        corpora = [open_segments(job, source.index, stack) for source in sources_of(job)]
        num_segments = [len(each.num_tokens) for each in corpora]
        num_tokens = [_num_tokens(source.path) for source in sources_of(job)]
        return Catalogue(
            np.cumsum([0, *num_segments], dtype=np.int64),
            np.cumsum([0, *num_tokens[:-1]], dtype=np.int64),
            corpora,
        )

    def look_up(self, numbers: AnyArray) -> SegmentFacts:
        """Return what is known of segments, by their numbers over all corpora [P]."""
        numbers = numbers.astype(np.int64)
        corpus = (np.searchsorted(self.bases, numbers, side="right") - 1).astype(np.int32)
        node = np.empty(len(numbers), np.int32)
        index, starts, sizes = (np.empty(len(numbers), np.int64) for _ in range(3))
        for each, arrays in enumerate(self.corpora):
            here = np.flatnonzero(corpus == each)
            local = numbers[here] - self.bases[each]
            node[here] = arrays.segments.node[local]
            index[here] = local - arrays.segments.first[node[here]]
            starts[here] = arrays.token_start[local] + self.token_bases[each]
            sizes[here] = arrays.num_tokens[local]
        return SegmentFacts(corpus, node, index, TokenRuns(starts, sizes))


def _num_tokens(corpus: str) -> int:
    return int(load_manifest(files.join(corpus, "tokens")).extra["counts"]["tokens"])


def token_facts(job: SampleJob) -> dict[str, Json]:
    """Return what the first corpus says of its token ids; all corpora share the tokenizer."""
    return load_manifest(files.join(sources_of(job)[0].path, "tokens")).extra


def token_paths(job: SampleJob) -> list[str]:
    """Return the files of flat ids of all corpora, in the order the catalogue numbers tokens."""
    return [path for source in sources_of(job) for path in token_paths_of(source.path)]


def token_paths_of(corpus: str) -> list[str]:
    """Return the files of flat ids of one corpus, part by part."""
    return [path for path in part_paths(files.join(corpus, "tokens")) if path.endswith(".ids")]
