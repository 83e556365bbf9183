"""The jobs from a dump to shards, small enough to be run on every engine and every store."""

from pathlib import Path

from pipeline.engine.stage import AnyJob, Job
from pipeline.graph.config import GraphConfig
from pipeline.graph.stage import GRAPH
from pipeline.parse.config import ParseConfig
from pipeline.parse.stage import PARSE
from pipeline.sample.config import SampleConfig
from pipeline.sample.stage import SAMPLE
from pipeline.segment.config import SegmentConfig
from pipeline.segment.stage import SEGMENT
from pipeline.tokenizer.config import TokenizerConfig
from pipeline.tokenizer.stage import TOKENIZER
from tests.conftest import REPOSITORY

MINI = REPOSITORY / "tests" / "data" / "mini.xml"
LTGWIKI = REPOSITORY / "linkbert" / "data" / "ltgwiki-2017-pages-articles.xml.bz2"


def mini_chain(
    root: Path | str, dump: Path | str = MINI, join: str = "auto", *, is_short: bool = False
) -> list[AnyJob]:
    """Return the jobs from the hand-written dump to a few shards, by few tasks if `is_short`."""
    corpus, shards = f"{root}/corpus", f"{root}/shards"
    sampling = SampleConfig(
        epochs=1 if is_short else 2,
        validation_fraction=0.2,
        join=join,
        shard_bytes=20_000 if is_short else 400,
    )
    return [
        Job(PARSE, corpus, ParseConfig(), (str(dump),)),
        Job(GRAPH, corpus, GraphConfig(nodes_per_part=100 if is_short else 3)),
        Job(TOKENIZER, corpus, TokenizerConfig(vocab_size=200), (corpus,)),
        Job(SEGMENT, corpus, SegmentConfig(max_tokens=20)),
        Job(SAMPLE, shards, sampling, (corpus,)),
    ]


def ltgwiki_chain(root: Path) -> list[AnyJob]:
    """Return the jobs from the bundled dump to two epochs of shards."""
    corpus, shards = str(root / "corpus"), str(root / "shards")
    return [
        Job(PARSE, corpus, ParseConfig(), (str(LTGWIKI),)),
        Job(GRAPH, corpus, GraphConfig()),
        Job(TOKENIZER, corpus, TokenizerConfig(vocab_size=2000), (corpus,)),
        Job(SEGMENT, corpus, SegmentConfig(max_tokens=62)),
        Job(SAMPLE, shards, SampleConfig(epochs=2, validation_fraction=0.1), (corpus,)),
    ]
