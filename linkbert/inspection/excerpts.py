"""The demo's pairs for a reader of English: what the same stages make of excerpts of Wikipedia.

They are only shown, not trained on. The stages run in this process without Beam, in a second.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from linkbert.inspection.show import show_pairs
from pipeline.engine.run import run_here
from pipeline.engine.stage import AnyJob, Job
from pipeline.graph.config import GraphConfig
from pipeline.graph.stage import GRAPH
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.stage import INGEST
from pipeline.sample.config import SampleConfig
from pipeline.sample.stage import SAMPLE
from pipeline.segment.config import SegmentConfig
from pipeline.segment.stage import SEGMENT
from pipeline.tokenizer.config import TokenizerConfig, TokenizerSources
from pipeline.tokenizer.stage import TOKENIZER

EXCERPTS = Path(__file__).parents[1] / "data" / "enwiki-excerpts.jsonl"


def english_pairs() -> str:
    """Make shards of the excerpts in a scratch folder; return one pair of each relation."""
    with TemporaryDirectory() as scratch:
        return _pairs_in(Path(scratch))


def _pairs_in(folder: Path) -> str:
    corpus, shards = str(folder / "corpus"), str(folder / "shards")
    own = TokenizerSources((corpus,), None)
    jobs: list[AnyJob] = [
        Job(INGEST, corpus, IngestConfig(format="jsonl"), (str(EXCERPTS),)),
        Job(GRAPH, corpus, GraphConfig()),
        Job(TOKENIZER, corpus, TokenizerConfig(vocab_size=2000), own.paths()),
        Job(SEGMENT, corpus, SegmentConfig(max_tokens=62)),
        Job(SAMPLE, shards, SampleConfig(join="gather"), (corpus,)),
    ]
    for job in jobs:
        run_here(job)
    return show_pairs(folder / "shards" / "train", one_of_each=True, max_chars=600)
