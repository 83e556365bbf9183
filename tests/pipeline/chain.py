"""The jobs from a dump to shards, small enough to be run on every engine and every store."""

import bz2
import shutil
from dataclasses import replace
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


def some_pages(every: int, title: str = "Latgola") -> bytes:
    """Return the bundled dump, packed, with one page in so many and the one of a title."""
    header, *pages = bz2.decompress(LTGWIKI.read_bytes()).split(b"  <page>")
    wanted = f"<title>{title}<".encode()
    kept = [page for k, page in enumerate(pages) if k % every == 0 or wanted in page]
    whole = b"  <page>".join([header, *kept])
    return bz2.compress(whole.removesuffix(b"</mediawiki>\n") + b"</mediawiki>\n")


def ltgwiki_chain(root: Path, dump: Path = LTGWIKI) -> list[AnyJob]:
    """Return the jobs from the bundled dump, or part of it, to two epochs of shards."""
    corpus, shards = str(root / "corpus"), str(root / "shards")
    return [
        Job(PARSE, corpus, ParseConfig(), (str(dump),)),
        Job(GRAPH, corpus, GraphConfig()),
        Job(TOKENIZER, corpus, TokenizerConfig(vocab_size=2000), (corpus,)),
        Job(SEGMENT, corpus, SegmentConfig(max_tokens=62)),
        Job(SAMPLE, shards, SampleConfig(epochs=2, validation_fraction=0.1), (corpus,)),
    ]


STEPS = ("corpus", "shuffle", "gather")
"""What is compared on an engine: the stages of a corpus, and `sample` by each of its joins."""


def sample_job(inline: Path, out: Path, **config: object) -> AnyJob:
    """Copy the corpus of a mini chain that has run; return the last job of one in the copy."""
    shutil.copytree(inline / "corpus", out / "corpus")
    sample = mini_chain(out)[-1]
    return replace(sample, config=replace(sample.config, **config))


def assert_same_bytes(inline: Path, out: Path, beam_args: tuple[str, ...], step: str) -> None:
    """Run a step of the mini chain on an engine; compare every byte with the chain run inline."""
    if step == "corpus":
        for job in mini_chain(out)[:-1]:
            run_job(job, beam_args=beam_args)
        assert tree_bytes(out / "corpus") == tree_bytes(inline / "corpus")
        return
    run_job(sample_job(inline, out, join=step), beam_args=beam_args)
    expected, found = tree_bytes(inline / "shards"), tree_bytes(out / "shards")
    assert sorted(found) == sorted(expected)
    # A manifest holds what was asked for, the join with the rest.
    others = [name for name in expected if found[name] != expected[name]]
    assert all("_manifest" in name for name in others)
