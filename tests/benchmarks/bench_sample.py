"""Measure sampling on a made corpus of any size: the plan of an epoch, then gathering shards.

    python -m tests.benchmarks.bench_sample                          2.4 M segments
    python -m tests.benchmarks.bench_sample --segments 24000000      as many as English Wikipedia

A document has 1 to 6 segments and a dozen links to others, whose in-degrees follow a power law; a
segment keeps its share of them. Segments are 254 tokens long, so instances have 511. Each part
runs in a process of its own, so that its peak memory is its own; arrays are memory-mapped files.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.sample.pairs.graph import Graph, Links, Segments
from pipeline.sample.pairs.recipe import (
    Draw,
    PairCorpus,
    PairRules,
    Population,
    epoch_order,
    plan_pairs,
)
from pipeline.sample.shards import join_pairs
from pipeline.sample.token_store import TokenRuns, open_store
from schemas.counter_rng import counter_key
from schemas.pair_frame import PairFrame
from schemas.parquet import TableWriter
from schemas.tables.segments import binary_column

_LINKS_PER_DOCUMENT = 12
_SEGMENT_TOKENS = 254
_ROW_GROUP_ROWS = 4096
_FRAME = PairFrame.of_bert({"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4})


def make_corpus(folder: Path, num_segments: int) -> None:
    """Write the arrays of a made corpus."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 7, int(num_segments / 3.5))
    num_nodes = len(sizes)
    first = np.concatenate([[0], np.cumsum(sizes)])
    np.save(folder / "first.npy", first)
    np.save(folder / "node.npy", np.repeat(np.arange(num_nodes, dtype=np.int32), sizes))
    num_links = num_nodes * _LINKS_PER_DOCUMENT
    sources = np.sort(rng.integers(0, num_nodes, num_links).astype(np.int32))
    targets = (num_nodes * rng.random(num_links, np.float32) ** 4).astype(np.int32)
    targets = np.minimum(targets, num_nodes - 1)
    keys = np.unique((sources.astype(np.int64) << 32) | targets)
    _save_rows(folder, "out", keys, num_nodes)
    _save_rows(folder, "in", np.sort((keys << 32) | (keys >> 32)), num_nodes)
    sources, targets = (keys >> 32).astype(np.int32), keys.astype(np.int32)
    # Each link lies in one segment of its document.
    owners = first[sources] + (rng.random(len(keys)) * sizes[sources]).astype(np.int64)
    order = np.argsort(owners, kind="stable")
    np.save(folder / "target_ids.npy", targets[order])
    counts = np.bincount(owners, minlength=int(first[-1]))
    np.save(folder / "target_start.npy", np.concatenate([[0], np.cumsum(counts)]))


def _save_rows(folder: Path, name: str, keys: np.ndarray, num_nodes: int) -> None:
    counts = np.bincount(keys >> 32, minlength=num_nodes)
    np.save(folder / f"{name}_indptr.npy", np.concatenate([[0], np.cumsum(counts)]))
    np.save(folder / f"{name}_indices.npy", keys.astype(np.int32))


def plan_epoch(folder: Path) -> str:
    """Plan one epoch and its order; return a line."""

    def load(name: str) -> np.ndarray:
        return np.load(folder / f"{name}.npy", mmap_mode="r")

    names = ("out_indptr", "out_indices", "in_indptr", "in_indices")
    segments, graph = Segments(load("first"), load("node")), Graph(*map(load, names))
    pool = np.diff(segments.first) > 0
    weights = pool / np.maximum(np.diff(graph.in_indptr), 1)
    links = Links(load("target_start"), load("target_ids"), False, weights)
    started, cpu_started = time.perf_counter(), time.process_time()
    corpus = PairCorpus(segments, graph, links)
    pairs, by_class = plan_pairs(
        corpus, Population(pool, pool), PairRules(), Draw(0, "train", 0, 0)
    )
    order = epoch_order(pairs.segment_a, counter_key(0, "order"))
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    counts = np.bincount(pairs.relation, minlength=3).tolist()
    assert len(order) == len(segments.node), by_class
    return f"plan: {len(order):,} pairs {counts} in {seconds:.1f} s, {cpu_seconds:.1f} s of CPU"


def gather_shards(folder: Path) -> str:
    """Join and write pairs of random segments, read from the disk and from memory."""
    num_segments = 200_000
    rng = np.random.default_rng(0)
    # Ids with the entropy of text: a Zipf law over a vocabulary of 30,000.
    ids = np.minimum(rng.zipf(1.2, num_segments * _SEGMENT_TOKENS), 29_999).astype("<u2")
    path = folder / "part-00000.ids"
    ids.tofile(path)
    _drop_from_page_cache(path)
    cold, warm = (_gather(path, ids.dtype, num_segments) for _ in range(2))
    return (
        f"gather and write: {warm[1]:,.0f} instances of 511 tokens per CPU second, {warm[0]:,.0f} "
        f"by the clock; {cold[1]:,.0f} and {cold[0]:,.0f} while the store is read from the disk"
    )


def _drop_from_page_cache(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _gather(path: Path, dtype: np.dtype, num_segments: int) -> tuple[float, float]:
    """Return the instances per second by the clock, and per CPU second."""
    rng = np.random.default_rng(1)
    sizes = np.full(_ROW_GROUP_ROWS, _SEGMENT_TOKENS)
    num_rows = 0
    started, cpu_started = time.perf_counter(), time.process_time()
    with open_store([str(path)], dtype) as store:
        writer = TableWriter(io.BytesIO(), "instances")
        for _ in range(40):
            a, b = (rng.integers(0, num_segments, _ROW_GROUP_ROWS) for _ in range(2))
            runs_a, runs_b = (TokenRuns(each * _SEGMENT_TOKENS, sizes) for each in (a, b))
            joined, joined_sizes = join_pairs(store, runs_a, runs_b, _FRAME)
            others = dict.fromkeys(("epoch", "corpus", "relation"), np.zeros(len(a), np.int8))
            others |= {"instance_id": np.arange(num_rows, num_rows + len(a))}
            others |= {"num_tokens_a": sizes, "source_id": a, "source_segment": a}
            others |= {"target_id": b, "target_segment": b}
            others |= {"token_ids": binary_column(joined, joined_sizes)}
            writer.write(others | {"num_tokens": joined_sizes})
            num_rows += len(a)
        writer.close()
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    return num_rows / seconds, num_rows / cpu_seconds


def _measure(part: Callable[[Path], str], folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        line = pool.apply(_with_memory, (part, folder))
    print(line, flush=True)


def _with_memory(part: Callable[[Path], str], folder: Path) -> str:
    line = part(folder)
    # What getrusage calls the peak is inherited from the process that made the corpus.
    status = Path("/proc/self/status").read_text()
    [peak] = (row.split()[1] for row in status.splitlines() if row.startswith("VmHWM"))
    return f"{line}, peak {int(peak) / 1024:,.0f} MB"


def main() -> None:
    """Run both parts and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--segments", type=int, default=2_400_000)
    with tempfile.TemporaryDirectory() as folder:
        make_corpus(Path(folder), parser.parse_args().segments)
        _measure(plan_epoch, Path(folder))
        _measure(gather_shards, Path(folder))


if __name__ == "__main__":
    main()
