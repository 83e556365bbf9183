"""What the stages up to the shards will take, measured for about a second on this machine.

`parse`, `tokenizer` and `segment` do nearly all of the work and are timed on slices of the real
input. The time of `graph` and `sample`, and the disk space relative to the tables of `parse`, are
constants from whole wikis and 136.5 MB of English articles (docs/benchmarks.md).
"""

from __future__ import annotations

import math
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.engine.outputs import load_manifest, read_batches
from pipeline.engine.stage import Job, Task
from pipeline.parse.config import ParseConfig
from pipeline.parse.sources import DumpFile, inspect_source, source_paths
from pipeline.parse.stage import PARSE, run_cut, run_parse, tasks_of_parse
from pipeline.segment.sentences import split_units
from pipeline.storage import files
from pipeline.storage.decompress import decompress, to_utf8
from pipeline.tokenizer.config import TokenizerConfig
from pipeline.tokenizer.encoder import SentenceEncoder, encoder_of
from pipeline.tokenizer.stage import read_tokenizer
from pipeline.tokenizer.wordpiece import train_wordpiece
from schemas.errors import ConfigError

_SLICE_BYTES = 300_000  # holds a block of bz2, which is 900 kB of XML
_SAMPLED_BYTES = 16 * _SLICE_BYTES  # of XML, from a file that can only be read from the beginning
_PLACES = (0.15, 0.4, 0.65, 0.9)  # a dump begins with its oldest and longest pages
_START_SECONDS = 3.0  # to start a command: Python, Beam, workers
_WORKER_BYTES = 400_000_000  # the most memory that a worker of any stage took
# Bytes per byte of the tables of `parse`; the last one: bytes of shards per byte of segments, of
# which each pair has two.
_GRAPH_BYTES, _SEGMENT_BYTES, _SHARD_BYTES, _PAIR_BYTES = 0.15, 1.5, 1.2, 2.0
# CPU seconds of the stages that never read the text: fixed, and per GB of tables.
_GRAPH_SECONDS, _SAMPLE_SECONDS = (5.0, 6.0), (6.0, 10.0)
_TRAINED_BYTES, _FEW_PIECES = 2_000_000, 1000  # to measure how fast a vocabulary is trained
_WORD = re.compile(r"[\u2e80-\u9fff]|[^\W\u2e80-\u9fff]+|[^\w\s]")
_PIECES_PER_WORD, _FILLED = 1.25, 0.85  # with 30,000 pieces; how full sentences fill a segment
# CPU seconds of `segment` per CPU second of encoding a sample of equal size. It is below 1 because
# a sample meets most of its words for the first time: 0.6 on shintowiki, 0.7 to 0.95 on English.
_ENCODED_BYTES, _CUTTING_SECONDS = 2_000_000, 0.75


@dataclass(frozen=True, slots=True)
class CorpusCost:
    """What stages take: seconds on this machine, bytes of disk, and peak bytes of memory."""

    seconds: float = 0.0
    disk_bytes: float = 0.0
    memory_bytes: float = 0.0

    def __add__(self, other: CorpusCost) -> CorpusCost:
        """Return the cost of running both, one after the other."""
        memory = max(self.memory_bytes, other.memory_bytes)
        both = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        return CorpusCost(**both | {"memory_bytes": memory})


@dataclass(frozen=True, slots=True)
class ParseSample:
    """What slices of dumps took, and how large all of the dumps are relative to them.

    Attributes:
        cpu_seconds: spent on the slices, in work that processes share.
        serial_seconds: that one process needs alone, for all of the dumps.
        kept_bytes: size of the tables made from the slices.
        temporary_bytes: size of the pieces of all dumps that cannot be split.
        words: number of words per page of the slices; punctuation and Han characters count too.
        times: size of the dumps as a multiple of the slices.
        text_bytes: size of the pages in the slices, in UTF-8.
        texts: some of those pages, about `_TRAINED_BYTES`.
    """

    cpu_seconds: float
    serial_seconds: float
    kept_bytes: float
    temporary_bytes: float
    words: Sequence[int]
    times: float
    text_bytes: int
    texts: Sequence[str]

    def cost(self, workers: int) -> CorpusCost:
        """Return what `parse` will take."""
        shared = _cost(self.cpu_seconds * self.times, self.kept_bytes * self.times, workers)
        return shared + CorpusCost(self.serial_seconds, self.temporary_bytes)

    def segments(self, max_tokens: int) -> tuple[float, float]:
        """Return how many segments the dumps make, and their mean number of tokens."""
        tokens = [_PIECES_PER_WORD * count for count in self.words]
        num = sum(math.ceil(count / (_FILLED * max_tokens)) for count in tokens)
        return num * self.times, sum(tokens) / max(num, 1)


def parse_sample(dumps: Sequence[str], config: ParseConfig) -> ParseSample:
    """Parse slices of the largest of the dumps in a scratch folder.

    Raises:
        DumpError: one of them is missing or is not a dump.
        ConfigError: one is a .7z, of which no part can be read alone.
    """
    sources = [inspect_source(path, config.allow_truncated) for path in source_paths(tuple(dumps))]
    total_bytes = sum(source.num_bytes for source in sources)
    with tempfile.TemporaryDirectory() as scratch:
        source = max(sources, key=lambda source: source.num_bytes)
        excerpt = _excerpt(source, scratch)
        job = Job(PARSE, f"{scratch}/corpus", excerpt.config(config), (excerpt.path,))
        num_bytes, seconds = 0, 0.0
        for task in _slices(job):
            began = time.process_time()
            run_parse(job, task)
            seconds += time.process_time() - began
            num_bytes += task.weight
        tables = list(Path(job.root).rglob("*.parquet"))
        texts = list(_texts(job))
        text_bytes = sum(len(text.encode()) for text in texts)
        return ParseSample(
            cpu_seconds=seconds,
            serial_seconds=excerpt.seconds_per_byte * total_bytes,
            kept_bytes=sum(path.stat().st_size for path in tables),
            temporary_bytes=0.0 if source.is_splittable else total_bytes,
            words=[len(_WORD.findall(text)) for text in texts],
            times=excerpt.bytes_per_byte * total_bytes / num_bytes,
            text_bytes=text_bytes,
            texts=texts[:: math.ceil(text_bytes / _TRAINED_BYTES) or 1],
        )


@dataclass(frozen=True, slots=True)
class _Excerpt:
    """A file whose slices can be parsed: a dump, or the unpacked beginning of one."""

    path: str
    bytes_per_byte: float = 1.0  # bytes of XML per byte of the dump
    seconds_per_byte: float = 0.0  # to unpack a byte of the dump

    def config(self, config: ParseConfig) -> ParseConfig:
        return replace(config, allow_truncated=True) if self.seconds_per_byte else config


def _excerpt(source: DumpFile, scratch: str) -> _Excerpt:
    """Unpack the beginning of a dump that cannot be read from anywhere else."""
    if source.is_splittable:
        return _Excerpt(source.path)
    if source.compression == "7z":
        raise ConfigError(
            f"expected a dump that can be read in part, found {source.path}: a .7z must be read "
            "whole, so unpack it first"
        )
    path, began = f"{scratch}/head.xml", time.process_time()
    read = written = 0
    with files.open_read(source.path) as file, open(path, "wb") as head:
        for piece in to_utf8(decompress(file, source.compression), source.is_utf16):
            if file.tell() > read:  # everything read before has been written
                if written >= _SAMPLED_BYTES:
                    break
                read = file.tell()
            written += head.write(piece)
    return _Excerpt(path, written / read, (time.process_time() - began) / read)


def _slices(job: Job[ParseConfig]) -> Iterator[Task]:
    """Yield tasks for slices of a job's file."""
    [path] = job.sources
    record = {**run_cut(job, Task(0, {"path": path})), "index": 0}
    [first, *_] = tasks_of_parse(job, {"cut": [record]})
    size = record["num_bytes"]
    slice_bytes = 4 * _SLICE_BYTES
    if size <= slice_bytes * len(_PLACES):
        yield Task(0, first.args | {"start": 0, "end": size}, size)
        return
    for index, place in enumerate(_PLACES):
        start = round(place * size)
        end = min(start + slice_bytes, size)
        yield Task(index, first.args | {"start": start, "end": end}, end - start)


def _texts(job: Job[ParseConfig]) -> Iterator[str]:
    for path in sorted(Path(job.path("pages")).glob("*.parquet")):
        yield from pq.read_table(path, columns=["text"]).column(0).to_pylist()


def following_cost(
    sample: ParseSample, config: TokenizerConfig, *, is_trained: bool, epochs: int, workers: int
) -> CorpusCost:
    """Return what the stages from `graph` to `sample` will take, after training on some pages.

    Args:
        sample: what `parse` made of slices of the dumps.
        config: of the tokenizer.
        is_trained: whether `tokenizer` trains a vocabulary; adopting one costs next to nothing.
        epochs: of `sample`.
        workers: worker processes; 0 means one per core.
    """
    table_bytes = sample.kept_bytes * sample.times
    one = CorpusCost()
    for first, per_gb in (_GRAPH_SECONDS, _SAMPLE_SECONDS):
        one += CorpusCost(first + per_gb * table_bytes / 1e9 + _START_SECONDS)
    text_bytes = sample.text_bytes * sample.times
    pace = _pace(sample.texts, config)
    trained_bytes = min(text_bytes, config.sample_bytes) if is_trained else 0.0
    one += CorpusCost(pace.training_seconds(trained_bytes) + _START_SECONDS)
    one += _cost(_CUTTING_SECONDS * pace.encoding * text_bytes, 0.0, workers)
    kept = (_GRAPH_BYTES + _SEGMENT_BYTES + epochs * _SHARD_BYTES) * table_bytes
    return one + CorpusCost(0.0, kept, 0.0)


@dataclass(frozen=True, slots=True)
class _Pace:
    """CPU seconds per byte for counting words, merging and encoding `num_bytes` of text."""

    num_bytes: int
    counting: float
    merging: float
    encoding: float

    def training_seconds(self, num_bytes: float) -> float:
        """Return the time to train a vocabulary; distinct words grow as a root (Heaps' law)."""
        merged_bytes = math.sqrt(num_bytes * self.num_bytes)
        return self.counting * num_bytes + self.merging * merged_bytes


def _pace(texts: Sequence[str], config: TokenizerConfig) -> _Pace:
    """Train a vocabulary on texts, with few merges and with all, and encode them with it."""
    num_bytes = max(sum(len(text.encode()) for text in texts), 1)
    began = time.process_time()
    train_wordpiece(lambda: texts, _FEW_PIECES)
    counted = time.process_time()
    tokenizer = train_wordpiece(lambda: texts, config.vocab_size)
    trained = time.process_time()
    _encode(texts, encoder_of(tokenizer.to_str(), "<u4"))
    encoding = time.process_time() - trained
    counting = counted - began
    merging = max(trained - counted - counting, 0.0)
    return _Pace(num_bytes, counting / num_bytes, merging / num_bytes, encoding / num_bytes)


def _encode(texts: Sequence[str], encoder: SentenceEncoder) -> None:
    for text in texts:
        encoder.encode([text[unit.start_char : unit.end_char] for unit in split_units(text)])


def segment_cost(corpus: str, workers: int) -> CorpusCost:
    """Encode some pages of a corpus and return what `segment` will take.

    Raises:
        StageError: pages or tokenizer are missing.
    """
    pages = load_manifest(files.join(corpus, "pages"))
    facts = load_manifest(files.join(corpus, "tokenizer")).extra
    encoder = encoder_of(read_tokenizer(corpus), facts["token_dtype"])
    total_bytes = sum(entry.num_bytes for entry in pages.files)
    part = max(pages.files, key=lambda entry: entry.num_bytes)
    texts, num_chars = [], 0
    for batch in read_batches(files.join(corpus, "pages", part.name), ["text"], batch_rows=64):
        texts += batch.column(0).to_pylist()
        num_chars = sum(map(len, texts))
        if num_chars > _ENCODED_BYTES:
            break
    share = max(len(texts) / max(part.num_rows, 1), 1e-9)
    began = time.process_time()  # not the clock: encoding may use several threads, a worker one
    _encode(texts, encoder)
    seconds = _CUTTING_SECONDS * (time.process_time() - began)
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
    return _cost(seconds, epochs * _PAIR_BYTES * total, workers)


def _cost(cpu_seconds: float, disk_bytes: float, workers: int) -> CorpusCost:
    processes = workers or os.cpu_count() or 1
    seconds = _START_SECONDS + cpu_seconds / processes
    return CorpusCost(seconds, disk_bytes, (processes + 1) * _WORKER_BYTES)
