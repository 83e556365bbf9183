"""Measure the TF-IDF arm: weigh the words of made documents, find the nearest of a block of them.

    python -m tests.benchmarks.bench_similarity                      100,000 documents
    python -m tests.benchmarks.bench_similarity --documents 20000

A document has 150 to 650 words, drawn by a Zipf law from a million, so that its distinct words and
their document frequencies are about those of Wikipedia articles. All blocks cost alike: the time of
all is that of one times their number, and they run on all cores.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from pipeline.sample.corpus import NUM_SIMILAR, SIMILAR_BLOCK_ROWS
from pipeline.sample.pairs.similarity import most_similar, weigh_words

_VOCABULARY = 1_000_000
_ZIPF_EXPONENT = 1.15


def make_documents(num_documents: int) -> list[np.ndarray]:
    """Return the words of each document as ids; every one begins a word."""
    rng = np.random.default_rng(0)
    weights = np.arange(1, _VOCABULARY + 1, dtype=np.float64) ** -_ZIPF_EXPONENT
    reach = np.cumsum(weights / weights.sum())
    return [
        np.searchsorted(reach, rng.random(size)).astype("<u4")
        for size in rng.integers(150, 650, num_documents).tolist()
    ]


def peak_megabytes() -> float:
    """Return the peak memory of this process."""
    status = Path("/proc/self/status").read_text()
    [peak] = (row.split()[1] for row in status.splitlines() if row.startswith("VmHWM"))
    return int(peak) / 1024


def main() -> None:
    """Print a line for each step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=100_000)
    num_documents = parser.parse_args().documents
    documents = make_documents(num_documents)
    started = time.process_time()
    matrix = weigh_words(iter(documents), num_documents, np.zeros(_VOCABULARY + 1, np.bool_))
    seconds = time.process_time() - started
    print(
        f"words weighed: {num_documents:,} documents, {sum(map(len, documents)):,} words, "
        f"{matrix.nnz / num_documents:.0f} a document kept, in {seconds:.0f} CPU s, "
        f"peak {peak_megabytes():,.0f} MB",
        flush=True,
    )
    del documents
    started = time.process_time()
    most_similar(matrix, slice(0, SIMILAR_BLOCK_ROWS), NUM_SIMILAR)
    seconds = time.process_time() - started
    total = seconds * num_documents / SIMILAR_BLOCK_ROWS
    print(
        f"nearest found: {SIMILAR_BLOCK_ROWS:,} documents in {seconds:.1f} CPU s, so all in "
        f"{total:,.0f}, peak {peak_megabytes():,.0f} MB"
    )


if __name__ == "__main__":
    main()
