"""Measure `segment` on a dump: text to segments of token ids, one process.

    python -m tests.benchmarks.bench_segment [DUMP.xml.bz2]

The second pass has seen the words of the first: what a worker does after its first parts of a large
wiki. Beside it stands the tokenizers package alone on the same sentences, which is the limit for a
tokenizer whose words cannot be kept.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.engine.lifecycle import open_job, tasks_of_phase
from pipeline.engine.stage import Job
from pipeline.graph.config import GraphConfig
from pipeline.graph.stage import GRAPH
from pipeline.parse.config import ParseConfig
from pipeline.parse.stage import PARSE
from pipeline.segment.config import SegmentConfig
from pipeline.segment.sentences import split_units
from pipeline.segment.stage import SEGMENT, run_segment
from pipeline.tokenizer.config import TokenizerConfig
from pipeline.tokenizer.stage import load_tokenizer
from tests.benchmarks.__main__ import BUNDLED
from tests.running import run_inline, tokenizer_job


def main() -> None:
    """Print a line for each pass."""
    dump = sys.argv[1] if len(sys.argv) > 1 else str(BUNDLED)
    with tempfile.TemporaryDirectory() as folder:
        run_inline(Job(PARSE, folder, ParseConfig(), (dump,)))
        run_inline(Job(GRAPH, folder, GraphConfig()))
        run_inline(tokenizer_job([folder], TokenizerConfig()))
        job = open_job(Job(SEGMENT, folder, SegmentConfig()))
        tasks = tasks_of_phase(job, SEGMENT.phases[0], {})
        for name in ("segment, first pass", "segment, words seen"):
            started = time.process_time()
            counts = [run_segment(job, task)["counts"] for task in tasks]
            seconds = time.process_time() - started
            num_tokens = sum(each["tokens"] for each in counts)
            print(f"{name}: {num_tokens / seconds:,.0f} tokens per CPU second", flush=True)
        _encode_alone(folder, num_tokens)


def _encode_alone(folder: str, num_tokens: int) -> None:
    tokenizer = load_tokenizer(folder)
    texts = pq.read_table(Path(folder) / "pages", columns=["text"]).column("text").to_pylist()
    sentences = [text[u.start_char : u.end_char] for text in texts for u in split_units(text)]
    started = time.process_time()
    tokenizer.encode_batch_fast(sentences, add_special_tokens=False)
    seconds = time.process_time() - started
    print(f"the tokenizers package alone: {num_tokens / seconds:,.0f} tokens per CPU second")


if __name__ == "__main__":
    main()
