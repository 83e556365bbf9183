"""The jobs from a dump to shards, small enough to be run on every engine and every store."""

from pathlib import Path

from pipeline.engine.run import run_job
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
from tests.pipeline.engine.counting_stage import tree_bytes
from tests.running import run_inline

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


STEPS = ("corpus", "shuffle", "gather")
"""What is compared on an engine: the stages of a corpus, and `sample` by each of its joins."""


def assert_same_bytes(folder: Path, beam_args: tuple[str, ...], step: str) -> None:
    """Run a step of the mini chain on an engine, the rest in this process; compare every byte."""
    for job in mini_chain(folder / "inline"):
        run_inline(job)
    *corpus, sample = mini_chain(folder / "out", join="auto" if step == "corpus" else step)
    for job in corpus:
        if step == "corpus":
            run_job(job, beam_args=beam_args)
        else:
            run_inline(job)
    if step == "corpus":
        assert tree_bytes(folder / "out") == _bytes_of_corpus(folder / "inline")
        return
    run_job(sample, beam_args=beam_args)
    expected, found = tree_bytes(folder / "inline"), tree_bytes(folder / "out")
    assert sorted(found) == sorted(expected)
    # A manifest holds what was asked for, the join with the rest.
    others = [name for name in expected if found[name] != expected[name]]
    assert all(name.startswith("shards/") and "_manifest" in name for name in others)


def _bytes_of_corpus(root: Path) -> dict[str, bytes]:
    return {name: data for name, data in tree_bytes(root).items() if name.startswith("corpus/")}
