"""The phases `words` and `similar` of `sample --links tfidf`: the nearest documents in words.

CORPUS/tokens, tokenizer, the index ──words──▶ the TF-IDF matrix as compressed rows
                                  ──similar──▶ int32 [rows, 5] per block of documents

Blocks are tasks, so all cores work on them; each holds the matrix and a few hundred rows of
distances. The time grows with the square of the number of documents: this arm is for comparisons
on corpora of some hundred thousand.
"""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np

from pipeline.engine.outputs import load_manifest, open_array, save_array
from pipeline.engine.stage import Record, Records, Task
from pipeline.sample.config import TFIDF
from pipeline.sample.corpus import (
    NUM_SIMILAR,
    SIMILAR_BLOCK_ROWS,
    SampleJob,
    array_name,
    open_segments,
    similar_name,
    sources_of,
    token_paths_of,
)
from pipeline.sample.pairs.similarity import NO_NEIGHBOUR, most_similar, weigh_words
from pipeline.sample.token_store import open_store
from pipeline.storage import files
from pipeline.tokenizer.stage import load_tokenizer
from schemas.word_marks import begins_word

_MATRIX = ("data", "indices", "indptr")


def has_similar(job: SampleJob) -> bool:
    """Tell whether any corpus takes its links from documents with similar words."""
    return any(source.links == TFIDF for source in sources_of(job))


def tasks_of_words(job: SampleJob, records: Records) -> list[Task]:
    """Make one task per corpus whose links are TF-IDF neighbours; most often none."""
    chosen = [source for source in sources_of(job) if source.links == TFIDF]
    return [
        Task(index, {"source": source.index, "path": source.path})
        for index, source in enumerate(chosen)
    ]


def run_words(job: SampleJob, task: Task) -> Record:
    """Write the TF-IDF matrix of one corpus."""
    source, corpus = task.args["source"], task.args["path"]
    facts = load_manifest(files.join(corpus, "tokens")).extra
    continues = ~begins_word(load_tokenizer(corpus))
    with ExitStack() as stack:
        runs = open_segments(job, source, stack).document_runs()
        store = open_store(token_paths_of(corpus), np.dtype(facts["token_dtype"]))
        pieces = stack.enter_context(store).slices(runs)
        documents = (np.frombuffer(piece, facts["token_dtype"]) for piece in pieces)
        matrix = weigh_words(documents, len(runs.starts), continues)
    written: dict[str, int] = {}
    for name in _MATRIX:
        written |= save_array(job, array_name(source, f"words_{name}"), getattr(matrix, name))
    counts = {"documents": len(runs.starts), "words": matrix.shape[1]}
    return {"counts": counts, "source": source, "files": written}


def tasks_of_similar(job: SampleJob, records: Records) -> list[Task]:
    """Make one task per block of documents."""
    tasks: list[Task] = []
    for record in records["words"]:
        num_documents = record["counts"]["documents"]
        for first in range(0, num_documents, SIMILAR_BLOCK_ROWS):
            args = {"source": record["source"], "first": first, "shape": [num_documents]}
            args["shape"].append(record["counts"]["words"])
            tasks.append(Task(len(tasks), args, min(SIMILAR_BLOCK_ROWS, num_documents - first)))
    return tasks


def run_similar(job: SampleJob, task: Task) -> Record:
    """Write the nearest documents of one block."""
    from scipy.sparse import csr_matrix

    source, first = task.args["source"], task.args["first"]
    with ExitStack() as stack:
        data, indices, indptr = (
            stack.enter_context(open_array(job.path(array_name(source, f"words_{name}"))))
            for name in _MATRIX
        )
        matrix = csr_matrix((data, indices, indptr), shape=tuple(task.args["shape"]), copy=False)
        nearest = most_similar(matrix, slice(first, first + SIMILAR_BLOCK_ROWS), NUM_SIMILAR)
    written = save_array(job, similar_name(source, first), nearest.ravel())
    return {"counts": {"similar": int((nearest != NO_NEIGHBOUR).sum())}, "files": written}
