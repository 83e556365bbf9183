"""Every real stage, from dump to shards, gives the same bytes on every runner."""

from pathlib import Path

import pytest

from pipeline.graph import GRAPH, GraphConfig
from pipeline.jobs import run_job
from pipeline.parse import PARSE, ParseConfig
from pipeline.sample import SAMPLE, SampleConfig
from pipeline.segment import SEGMENT, SegmentConfig
from pipeline.stage import Job
from pipeline.tokenizer import TOKENIZER, TokenizerConfig
from tests.pipeline.counting_stage import tree_bytes
from tests.pipeline.test_jobs import LOOPBACK, PROCESSES
from tests.running import run_inline

REPOSITORY = Path(__file__).parents[2]
DUMP = REPOSITORY / "linkbert/data/ltgwiki-2017-pages-articles.xml.bz2"

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]


def chain(root: Path, dump: str = str(DUMP), join: str = "gather") -> list[Job]:
    """Return the jobs from the bundled dump to two epochs of shards."""
    corpus, shards = str(root / "corpus"), str(root / "shards")
    return [
        Job(PARSE, corpus, ParseConfig(), (dump,)),
        Job(GRAPH, corpus, GraphConfig()),
        Job(TOKENIZER, corpus, TokenizerConfig(vocab_size=2000), (corpus,)),
        Job(SEGMENT, corpus, SegmentConfig(max_tokens=62)),
        Job(SAMPLE, shards, SampleConfig(epochs=2, validation_fraction=0.1, join=join), (corpus,)),
    ]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("inline")
    for job in chain(root):
        run_inline(job)
    return tree_bytes(root)


@pytest.mark.parametrize(
    ("workers", "beam_args"),
    [(1, ()), (3, ()), (1, PROCESSES), (1, LOOPBACK)],
    ids=["one worker", "three workers", "multi_processing", "portable"],
)
def test_the_chain_gives_the_same_bytes_on_every_runner(
    tmp_path: Path, expected: dict[str, bytes], workers: int, beam_args: tuple[str, ...]
) -> None:
    for job in chain(tmp_path):
        run_job(job, workers=workers, beam_args=beam_args)
    found = tree_bytes(tmp_path)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
    assert any(name.startswith("shards/train/part-001") for name in found)


def test_another_seed_gives_other_shards_and_the_same_corpus(
    tmp_path: Path, expected: dict[str, bytes]
) -> None:
    jobs = chain(tmp_path)
    for job in jobs[:-1]:
        run_inline(job)
    config = SampleConfig(epochs=2, validation_fraction=0.1, seed=1)
    run_inline(Job(SAMPLE, jobs[-1].root, config, jobs[-1].sources))
    found = tree_bytes(tmp_path)
    changed = {name.split("/")[0] for name in expected if found.get(name) != expected[name]}
    assert changed == {"shards"}
