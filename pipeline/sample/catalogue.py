"""What the last phases of `sample` know of every segment: its document, and where its tokens lie.

The ids of all corpora are numbered as one long store, corpus by corpus and part by part.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.engine.outputs import load_manifest
from pipeline.engine.stage import Job
from pipeline.sample.config import SampleConfig
from pipeline.sample.corpus import open_index, sources_of
from pipeline.sample.gather import TokenRuns
from pipeline.sample.pairs.partners import Int32Array, Int64Array
from pipeline.storage import files
from schemas.manifest import Json

AnyArray = npt.NDArray[Any]


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
    """The index of all corpora, memory-mapped.

    Attributes:
        bases: int64 [C + 1], the number of each corpus's first segment, and of all.
        token_bases: int64 [C], where each corpus begins in the store.
        arrays: the index of each corpus.
    """

    bases: Int64Array
    token_bases: Int64Array
    arrays: list[dict[str, AnyArray]]

    @staticmethod
    def open(job: Job[SampleConfig], stack: ExitStack) -> Catalogue:
        """Open the index of every corpus until the stack closes."""
        names = ("first", "node", "num_tokens", "token_start")
        arrays = [open_index(job, source.index, names, stack) for source in sources_of(job)]
        num_segments = [int(each["first"][-1]) for each in arrays]
        num_tokens = [num_tokens_of(source.path) for source in sources_of(job)]
        return Catalogue(
            np.cumsum([0, *num_segments], dtype=np.int64),
            np.cumsum([0, *num_tokens[:-1]], dtype=np.int64),
            arrays,
        )

    def look_up(self, numbers: AnyArray) -> SegmentFacts:
        """Return what is known of segments, by their numbers over all corpora [P]."""
        numbers = numbers.astype(np.int64)
        corpus = (np.searchsorted(self.bases, numbers, side="right") - 1).astype(np.int32)
        node = np.empty(len(numbers), np.int32)
        index, starts, sizes = (np.empty(len(numbers), np.int64) for _ in range(3))
        for each, arrays in enumerate(self.arrays):
            here = np.flatnonzero(corpus == each)
            local = numbers[here] - self.bases[each]
            node[here] = arrays["node"][local]
            index[here] = local - arrays["first"][node[here]]
            starts[here] = arrays["token_start"][local] + self.token_bases[each]
            sizes[here] = arrays["num_tokens"][local]
        return SegmentFacts(corpus, node, index, TokenRuns(starts, sizes))


def token_facts(job: Job[SampleConfig]) -> dict[str, Json]:
    """Return what the first corpus says of its token ids; all corpora share the tokenizer."""
    return load_manifest(files.join(sources_of(job)[0].path, "tokens")).extra


def token_paths(job: Job[SampleConfig]) -> list[str]:
    """Return the files of flat ids of all corpora, in the order the catalogue numbers tokens."""
    return [path for source in sources_of(job) for path in token_paths_of(source.path)]


def token_paths_of(corpus: str) -> list[str]:
    """Return the files of flat ids of one corpus, part by part."""
    folder = files.join(corpus, "tokens")
    names = [entry.name for entry in load_manifest(folder).files]
    return [files.join(folder, name) for name in names if name.endswith(".ids")]


def num_tokens_of(corpus: str) -> int:
    """Return the number of tokens of a corpus."""
    return int(load_manifest(files.join(corpus, "tokens")).extra["counts"]["tokens"])
