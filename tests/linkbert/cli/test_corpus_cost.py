"""What a dump will take, from slices of it; times are of a machine that may be busy."""

import gzip
import shutil
from pathlib import Path

import pytest

import linkbert
from linkbert.cli.chain import _bundled_dump
from linkbert.cli.corpus_cost import (
    CorpusCost,
    following_cost,
    parse_cost,
    sample_cost,
    segment_cost,
)
from pipeline.engine.stage import Job
from pipeline.parse.config import ParseConfig
from pipeline.sample.config import SampleConfig
from pipeline.sample.stage import SAMPLE
from schemas.errors import ConfigError, DumpError, StageError
from tests.pipeline.linked_corpus import make_corpus
from tests.running import run_inline


def test_the_disk_of_parse_is_that_of_the_tables(tmp_path: Path) -> None:
    dump = str(_bundled_dump())
    cost = parse_cost([dump], ParseConfig(), 2)
    linkbert.parse(dump, tmp_path / "corpus", workers=1)
    kept = sum(path.stat().st_size for path in (tmp_path / "corpus").glob("*/*.parquet"))
    assert kept / 1.5 < cost.disk_bytes < 1.5 * kept
    assert cost.seconds > 0


def test_slices_of_a_larger_dump_stand_for_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump = str(_bundled_dump())
    whole = parse_cost([dump], ParseConfig(), 2)
    monkeypatch.setattr("linkbert.cli.corpus_cost._SLICE_BYTES", 25_000)
    sliced = parse_cost([dump], ParseConfig(), 2)
    assert whole.disk_bytes / 1.6 < sliced.disk_bytes < 1.6 * whole.disk_bytes
    assert sliced.disk_bytes != whole.disk_bytes


def test_two_dumps_are_twice_as_much(tmp_path: Path) -> None:
    copy = tmp_path / "copy.xml.bz2"
    shutil.copy(_bundled_dump(), copy)
    one, two = (
        parse_cost(paths, ParseConfig(), 2)
        for paths in ([str(copy)], [str(copy), str(_bundled_dump())])
    )
    assert two.disk_bytes == pytest.approx(2 * one.disk_bytes, rel=0.01)


def test_what_cannot_be_measured_is_one_line(tmp_path: Path, mini_dump: Path) -> None:
    packed = tmp_path / "mini.xml.gz"
    packed.write_bytes(gzip.compress(mini_dump.read_bytes()))
    with pytest.raises(ConfigError, match="can be read in its middle"):
        parse_cost([str(packed)], ParseConfig(), 1)
    with pytest.raises(DumpError):
        parse_cost([str(tmp_path / "none.xml")], ParseConfig(), 1)
    with pytest.raises(StageError):
        segment_cost(str(tmp_path), 1)


def test_stages_add_their_time_and_disk_and_share_their_memory() -> None:
    one, other = CorpusCost(1.0, 10.0, 100.0), CorpusCost(2.0, 20.0, 50.0)
    assert one + other == CorpusCost(3.0, 30.0, 100.0)
    parsed = CorpusCost(100.0, 1e9, 1e9)
    few, many = following_cost(parsed, 2, 1), following_cost(parsed, 2, 4)
    assert many.disk_bytes - few.disk_bytes == pytest.approx(3 * 1.1e9)
    longer = following_cost(CorpusCost(200.0, 1e9, 1e9), 2, 1)
    assert longer.seconds - few.seconds == pytest.approx(67.0)  # segment beside parse


def test_segment_and_sample_are_known_from_their_corpus(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "corpus", 120)
    segments = sum(p.stat().st_size for p in (tmp_path / "corpus/segments").glob("*.parquet"))
    assert segment_cost(str(corpus), 2).seconds > 0
    cost = sample_cost([str(corpus)], 3, 2)
    assert cost.disk_bytes == 3 * segments
    run_inline(Job(SAMPLE, str(tmp_path / "shards"), SampleConfig(epochs=3), (str(corpus),)))
    kept = sum(p.stat().st_size for p in (tmp_path / "shards").glob("*/*.parquet"))
    assert cost.disk_bytes / 5 < kept < 5 * cost.disk_bytes  # tiny files are mostly footers
