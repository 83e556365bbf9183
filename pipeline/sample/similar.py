"""The phases `words` and `similar` of `sample --links tfidf`: the nearest documents in words.

CORPUS/tokens, tokenizer, the index ──words──▶ the TF-IDF matrix as compressed rows
                                  ──similar──▶ int32 [rows, 5] a block of documents

Blocks are tasks, so all cores work on them; each holds the matrix and a few hundred rows of
distances. The time grows with the square of the number of documents: this arm is for comparisons
on corpora of some hundred thousand.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.engine.outputs import load_manifest, open_array, save_array
from pipeline.engine.stage import Job, Record, Records, Task
from pipeline.sample.catalogue import token_paths_of
from pipeline.sample.config import TFIDF, SampleConfig
from pipeline.sample.corpus import array_name, open_index, sources_of
from pipeline.sample.gather import open_store
from pipeline.sample.pairs.partners import Int32Array, Int64Array
from pipeline.sample.pairs.similarity import NO_NEIGHBOUR, most_similar, weigh_words
from pipeline.storage import files
from pipeline.tokenizer.stage import load_tokenizer

# LinkBERT (arXiv:2203.15827), section 4.1.
_NUM_SIMILAR = 5
# A block takes some ten seconds of a core at 100,000 documents.
_BLOCK_ROWS = 2048

_MATRIX = ("data", "indices", "indptr")


def plan_words(job: Job[SampleConfig], records: Records) -> list[Task]:
    """One task a corpus whose links are TF-IDF neighbours; most often none."""
    chosen = [source for source in sources_of(job) if source.links == TFIDF]
    return [
        Task(index, {"source": source.index, "path": source.path})
        for index, source in enumerate(chosen)
    ]


def run_words(job: Job[SampleConfig], task: Task) -> Record:
    """Write the TF-IDF matrix of one corpus."""
    source, corpus = task.args["source"], task.args["path"]
    facts = load_manifest(files.join(corpus, "tokens")).extra
    vocab = load_tokenizer(corpus).get_vocab(with_added_tokens=True)
    continues = np.zeros(facts["vocab_size"], np.bool_)
    continues[[token_id for token, token_id in vocab.items() if token.startswith("##")]] = True
    with ExitStack() as stack:
        arrays = open_index(job, source, ("first", "num_tokens", "token_start"), stack)
        store = open_store(token_paths_of(corpus), np.dtype(facts["token_dtype"]))
        starts, sizes = _document_runs(arrays)
        pieces = stack.enter_context(store).slices(starts, sizes)
        documents = (np.frombuffer(piece, facts["token_dtype"]) for piece in pieces)
        matrix = weigh_words(documents, len(starts), continues)
    written: dict[str, int] = {}
    for name in _MATRIX:
        written |= save_array(job, array_name(source, f"words_{name}"), getattr(matrix, name))
    counts = {"documents": len(starts), "words": matrix.shape[1]}
    return {"counts": counts, "source": source, "files": written}


def _document_runs(arrays: dict[str, npt.NDArray[Any]]) -> tuple[Int64Array, Int64Array]:
    """Return where the tokens of each document lie; its segments lie side by side."""
    reach = np.concatenate([[0], np.cumsum(arrays["num_tokens"], dtype=np.int64)])
    first = arrays["first"]
    starts = np.append(arrays["token_start"], 0)[first[:-1]]
    return starts, reach[first[1:]] - reach[first[:-1]]


def plan_similar(job: Job[SampleConfig], records: Records) -> list[Task]:
    """One task a block of documents."""
    tasks: list[Task] = []
    for record in records["words"]:
        num_documents = record["counts"]["documents"]
        for first in range(0, num_documents, _BLOCK_ROWS):
            args = {"source": record["source"], "first": first, "shape": [num_documents]}
            args["shape"].append(record["counts"]["words"])
            tasks.append(Task(len(tasks), args, min(_BLOCK_ROWS, num_documents - first)))
    return tasks


def run_similar(job: Job[SampleConfig], task: Task) -> Record:
    """Write the nearest documents of one block."""
    from scipy.sparse import csr_matrix

    source, first = task.args["source"], task.args["first"]
    with ExitStack() as stack:
        data, indices, indptr = (
            stack.enter_context(open_array(job.path(array_name(source, f"words_{name}"))))
            for name in _MATRIX
        )
        matrix = csr_matrix((data, indices, indptr), shape=tuple(task.args["shape"]), copy=False)
        nearest = most_similar(matrix, slice(first, first + _BLOCK_ROWS), _NUM_SIMILAR)
    written = save_array(job, _block_name(source, first), nearest.ravel())
    return {"counts": {"similar": int((nearest != NO_NEIGHBOUR).sum())}, "files": written}


def _block_name(source: int, first: int) -> str:
    return array_name(source, f"similar-{first // _BLOCK_ROWS:05d}")


def open_similar(
    job: Job[SampleConfig], source: int, num_documents: int
) -> tuple[Int64Array, Int32Array]:
    """Return the nearest documents of all documents as compressed rows."""

    def blocks() -> Iterator[Int32Array]:
        for first in range(0, num_documents, _BLOCK_ROWS):
            with open_array(job.path(_block_name(source, first))) as block:
                yield np.array(block).reshape(-1, _NUM_SIMILAR)

    nearest = np.concatenate([np.zeros((0, _NUM_SIMILAR), np.int32), *blocks()])
    is_one = nearest != NO_NEIGHBOUR
    start = np.concatenate([[0], np.cumsum(is_one.sum(axis=1))]).astype(np.int64)
    return start, nearest[is_one]
