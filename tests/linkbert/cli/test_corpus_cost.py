"""What a dump will take, from slices of it; times are of a machine that may be busy."""

import bz2
import gzip
import lzma
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from linkbert.cli.chain import _bundled_dump
from linkbert.cli.corpus_cost import (
    CorpusCost,
    ParseSample,
    _excerpt,
    _Pace,
    _pace,
    following_cost,
    parse_sample,
    sample_cost,
    segment_cost,
)
from pipeline.engine.stage import Job
from pipeline.parse.config import ParseConfig
from pipeline.parse.sources import DumpFile
from pipeline.parse.stage import PARSE
from pipeline.sample.config import SampleConfig
from pipeline.sample.stage import SAMPLE
from pipeline.tokenizer.config import TokenizerConfig
from schemas.errors import ConfigError, DumpError, StageError
from tests.pipeline.linked_corpus import make_corpus
from tests.running import run_inline

BUNDLED = str(_bundled_dump())


@pytest.fixture(scope="module")
def whole() -> ParseSample:
    """What the bundled dump tells, which is small enough to be read whole."""
    return parse_sample([BUNDLED], ParseConfig())


def test_the_disk_of_parse_is_that_of_the_tables(tmp_path: Path, mini_dump: Path) -> None:
    cost = parse_sample([str(mini_dump)], ParseConfig()).cost(2)
    run_inline(Job(PARSE, str(tmp_path / "corpus"), ParseConfig(), (str(mini_dump),)))
    kept = sum(path.stat().st_size for path in (tmp_path / "corpus").glob("*/*.parquet"))
    assert kept / 1.5 < cost.disk_bytes < 1.5 * kept
    assert cost.seconds > 0


def test_slices_of_a_larger_dump_stand_for_the_whole(
    whole: ParseSample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linkbert.cli.corpus_cost._SLICE_BYTES", 25_000)
    sliced = parse_sample([BUNDLED], ParseConfig())
    assert sliced.times > 1 == whole.times
    assert whole.kept_bytes / 1.6 < sliced.kept_bytes * sliced.times < 1.6 * whole.kept_bytes


def test_two_dumps_are_twice_as_much(tmp_path: Path, mini_dump: Path) -> None:
    copy = str(shutil.copy(mini_dump, tmp_path / "copy.xml"))
    one, two = (
        parse_sample(paths, ParseConfig()).cost(2) for paths in ([copy], [copy, str(mini_dump)])
    )
    assert two.disk_bytes == pytest.approx(2 * one.disk_bytes, rel=0.01)


@pytest.mark.parametrize(
    "pack", [partial(gzip.compress, compresslevel=1), partial(lzma.compress, preset=0)]
)
def test_a_dump_that_cannot_be_split_is_measured_from_its_beginning(
    pack: Callable[[bytes], bytes], whole: ParseSample, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("linkbert.cli.corpus_cost._SAMPLED_BYTES", 2_000_000)
    packed = tmp_path / "ltg.packed"
    packed.write_bytes(pack(bz2.decompress(_bundled_dump().read_bytes())))
    found = parse_sample([str(packed)], ParseConfig())
    kept = found.kept_bytes * found.times
    assert whole.kept_bytes / 1.6 < kept < 1.6 * whole.kept_bytes
    assert found.temporary_bytes == packed.stat().st_size
    assert found.serial_seconds > 0 == whole.serial_seconds


def test_the_segments_of_a_dump_are_told_from_its_words(whole: ParseSample) -> None:
    num, mean = whole.segments(62)
    # What the demo makes of it: 3,630 segments of 47.3 tokens, with a vocabulary of 8,000.
    assert 3630 / 1.5 < num < 1.5 * 3630
    assert 47.3 / 1.5 < mean < 1.5 * 47.3


def test_what_cannot_be_measured_is_one_line(tmp_path: Path) -> None:
    archive = tmp_path / "a.7z"
    source = DumpFile(str(archive), 9, "7z", False, b"")
    with pytest.raises(ConfigError, match="must be read whole"):
        _excerpt(source, str(tmp_path))
    with pytest.raises(DumpError):
        parse_sample([str(tmp_path / "none.xml")], ParseConfig())
    with pytest.raises(StageError):
        segment_cost(str(tmp_path), 1)


def test_stages_add_their_time_and_disk_and_share_their_memory() -> None:
    one, other = CorpusCost(1.0, 10.0, 100.0), CorpusCost(2.0, 20.0, 50.0)
    assert one + other == CorpusCost(3.0, 30.0, 100.0)


def test_the_stages_after_parse_are_measured_on_its_pages(
    whole: ParseSample, monkeypatch: pytest.MonkeyPatch
) -> None:
    pace = _Pace(1000, 3e-6, 1e-6, 2e-6)
    monkeypatch.setattr("linkbert.cli.corpus_cost._pace", lambda *_: pace)
    config, text = TokenizerConfig(sample_bytes=100_000), whole.text_bytes

    def cost(is_trained: bool, epochs: int, workers: int) -> CorpusCost:
        return following_cost(whole, config, is_trained=is_trained, epochs=epochs, workers=workers)

    trained, taken = cost(True, 1, 1), cost(False, 1, 1)
    # Of a sample of the text, 100 times what was measured: ten times as many words to merge.
    assert trained.seconds - taken.seconds == pytest.approx(0.3 + 0.01)
    assert taken.seconds - cost(False, 1, 2).seconds == pytest.approx(0.75e-6 * text)
    more = cost(False, 4, 1).disk_bytes - taken.disk_bytes
    assert more == pytest.approx(3 * 1.2 * whole.kept_bytes)


def test_training_and_encoding_are_told_per_byte_of_text(whole: ParseSample) -> None:
    assert len("".join(whole.texts).encode()) == whole.text_bytes  # less than is looked at
    pace = _pace(whole.texts[:90], TokenizerConfig(vocab_size=2000))
    assert min(pace.counting, pace.encoding) > 1e-8
    assert max(pace.counting, pace.merging, pace.encoding) < 1e-4


def test_segment_and_sample_are_known_from_their_corpus(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "corpus", 120)
    segments = sum(p.stat().st_size for p in (tmp_path / "corpus/segments").glob("*.parquet"))
    assert segment_cost(str(corpus), 2).seconds > 0
    cost = sample_cost([str(corpus)], 3, 2)
    assert cost.disk_bytes == 3 * 2 * segments  # a pair has two of them
    run_inline(Job(SAMPLE, str(tmp_path / "shards"), SampleConfig(epochs=3), (str(corpus),)))
    kept = sum(p.stat().st_size for p in (tmp_path / "shards").glob("*/*.parquet"))
    assert cost.disk_bytes / 5 < kept < 5 * cost.disk_bytes  # tiny files are mostly footers
