"""What the stages up to the shards will take, from about a second of them on this machine.

`parse` and `segment` do nearly all of the work and are measured on slices of the real input; what
the others take beside them, and what all keep on the disk, is known from dumps of 100 MB and 10 GB
(tests/benchmarks/bench_large.py).
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.engine.outputs import load_manifest
from pipeline.engine.stage import Job, Task
from pipeline.parse.config import ParseConfig
from pipeline.parse.sources import inspect_source, source_paths
from pipeline.parse.stage import PARSE, plan_parse, run_cut, run_parse
from pipeline.segment.sentences import split_units
from pipeline.storage import files
from pipeline.tokenizer.encoder import encoder_of
from pipeline.tokenizer.stage import read_tokenizer
from schemas.errors import ConfigError

_SLICE_BYTES = 300_000  # holds a block of bz2, which is 900 kB of XML
_PLACES = (0.15, 0.4, 0.65, 0.9)  # a dump begins with its oldest and longest pages
_START_SECONDS = 3.0  # of a command: Python, Beam, workers
_WORKER_BYTES = 400_000_000  # the most that a worker of any stage took
# Seconds beside a second of `parse`, and bytes beside a byte of its tables.
_SEGMENT_SECONDS, _GRAPH_BYTES, _SEGMENT_BYTES, _SHARD_BYTES = 0.67, 0.2, 1.2, 1.1
# CPU seconds of the stages that do not grow with the text: at first, and per GB of tables.
_GRAPH_SECONDS, _SAMPLE_SECONDS = (3.0, 6.0), (4.0, 10.0)
_TOKENIZER_SECONDS_PER_MB, _TOKENIZER_MB = 0.55, 25.0  # of tables; it reads a sample of the text
_ENCODED_BYTES, _CUTTING_SECONDS = 2_000_000, 1.6  # beside a second of sentences and encoding


@dataclass(frozen=True, slots=True)
class CorpusCost:
    """What stages take: seconds on this machine, bytes that they keep and need at once."""

    seconds: float = 0.0
    disk_bytes: float = 0.0
    memory_bytes: float = 0.0

    def __add__(self, other: CorpusCost) -> CorpusCost:
        """Return what both take, one after the other."""
        memory = max(self.memory_bytes, other.memory_bytes)
        both = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        return CorpusCost(**both | {"memory_bytes": memory})


def parse_cost(dumps: Sequence[str], config: ParseConfig, workers: int) -> CorpusCost:
    """Parse slices of the dumps in a scratch folder and return what all of them will take.

    Raises:
        DumpError: one of them is missing or no dump.
        ConfigError: one cannot be read in its middle, so there is nothing to measure.
    """
    paths = source_paths(tuple(dumps))
    total_bytes = sum(inspect_source(path, config.allow_truncated).num_bytes for path in paths)
    with tempfile.TemporaryDirectory() as scratch:
        job = Job(PARSE, scratch, config, tuple(paths))
        num_bytes, seconds = 0, 0.0
        for task in _slices(job, paths):
            began = time.perf_counter()
            run_parse(job, task)
            seconds += time.perf_counter() - began
            num_bytes += task.weight
        kept = sum(path.stat().st_size for path in Path(scratch).rglob("*.parquet"))
    return _cost(seconds * total_bytes / num_bytes, kept * total_bytes / num_bytes, workers)


def _slices(job: Job[ParseConfig], paths: Sequence[str]) -> Iterator[Task]:
    """Yield tasks on slices of the largest file; the first one of all is thrown away as a start."""
    path = max(paths, key=files.size)
    if not inspect_source(path, job.config.allow_truncated).is_splittable:
        raise ConfigError(
            f"expected a dump that can be read in its middle, .xml or .bz2, found {path}: it would "
            "have to be read whole for an estimate"
        )
    alone = replace(job, sources=(path,))
    record = {**run_cut(alone, Task(0, {"path": path})), "index": 0}
    [first, *_] = plan_parse(alone, {"cut": [record]})
    size = record["num_bytes"]
    if size <= 4 * _SLICE_BYTES * len(_PLACES):
        yield Task(0, first.args | {"start": 0, "end": size}, size)
        return
    for index, place in enumerate(_PLACES):
        start = round(place * size)
        end = min(start + 4 * _SLICE_BYTES, size)
        yield Task(index, first.args | {"start": start, "end": end}, end - start)


def following_cost(parsed: CorpusCost, workers: int, epochs: int) -> CorpusCost:
    """Return what `graph`, `tokenizer`, `segment` and `sample` take after `parse`."""
    cpu_seconds = (parsed.seconds - _START_SECONDS) * _processes(workers)
    table_bytes = parsed.disk_bytes
    one = CorpusCost()
    fixed = (_GRAPH_SECONDS, _SAMPLE_SECONDS)
    for first, per_gb in fixed:
        one += CorpusCost(first + per_gb * table_bytes / 1e9 + _START_SECONDS)
    tokenizer = _TOKENIZER_SECONDS_PER_MB * min(table_bytes / 1e6, _TOKENIZER_MB)
    one += CorpusCost(tokenizer + _START_SECONDS)
    one += _cost(_SEGMENT_SECONDS * cpu_seconds, 0.0, workers)
    kept = (_GRAPH_BYTES + _SEGMENT_BYTES + epochs * _SHARD_BYTES) * table_bytes
    return one + CorpusCost(0.0, kept, 0.0)


def segment_cost(corpus: str, workers: int) -> CorpusCost:
    """Encode some pages of a corpus and return what `segment` will take.

    Raises:
        StageError: pages or tokenizer are missing.
    """
    pages, facts = load_manifest(files.join(corpus, "pages")), load_manifest(
        files.join(corpus, "tokenizer")
    ).extra  # fmt: skip
    encoder = encoder_of(read_tokenizer(corpus), facts["token_dtype"])
    total_bytes = sum(entry.num_bytes for entry in pages.files)
    part = max(pages.files, key=lambda entry: entry.num_bytes)
    texts, num_chars = [], 0
    with pq.ParquetFile(files.join(corpus, "pages", part.name)) as file:
        for batch in file.iter_batches(64, columns=["text"]):
            texts += batch.column(0).to_pylist()
            num_chars = sum(map(len, texts))
            if num_chars > _ENCODED_BYTES:
                break
        share = max(len(texts) / max(file.metadata.num_rows, 1), 1e-9)
    began = time.perf_counter()
    for text in texts:
        encoder.encode([text[unit.start_char : unit.end_char] for unit in split_units(text)])
    seconds = _CUTTING_SECONDS * (time.perf_counter() - began)
    whole = seconds / share * total_bytes / max(part.num_bytes, 1)
    return _cost(whole, _SEGMENT_BYTES * total_bytes, workers)


def sample_cost(corpora: Sequence[str], epochs: int, workers: int) -> CorpusCost:
    """Return what `sample` will take.

    Raises:
        StageError: a corpus has no segments.
    """
    total = 0
    for corpus in corpora:
        segments = load_manifest(files.join(corpus, "segments"))
        total += sum(entry.num_bytes for entry in segments.files)
    first, per_gb = _SAMPLE_SECONDS
    seconds = first + per_gb * epochs * total / 1e9
    return _cost(seconds, epochs * total, workers)


def _cost(cpu_seconds: float, disk_bytes: float, workers: int) -> CorpusCost:
    processes = _processes(workers)
    seconds = _START_SECONDS + cpu_seconds / processes
    return CorpusCost(seconds, disk_bytes, (processes + 1) * _WORKER_BYTES)


def _processes(workers: int) -> int:
    return workers or os.cpu_count() or 1
