"""A packed corpus gives the shards of the corpus, and proves its bytes."""

import tarfile
from pathlib import Path

import pytest

from linkbert.experiment.pack import pack_corpus, unpack_corpus
from pipeline.engine.run import run_here
from pipeline.engine.stage import Job
from pipeline.sample.config import SampleConfig
from pipeline.sample.stage import SAMPLE
from schemas.errors import StageError
from tests.pipeline.corpora import tree_digest


@pytest.fixture
def corpus(experiment_file: Path) -> Path:
    return experiment_file.parent / "corpus"


@pytest.mark.parametrize("links", ["hyperlink", "tfidf"])
def test_a_packed_corpus_gives_the_same_shards_byte_for_byte(
    links: str, corpus: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "corpus.pack"
    size = pack_corpus(str(corpus), str(packed))
    assert size == packed.stat().st_size
    (tmp_path / "b").mkdir()
    unpacked = tmp_path / "b" / "corpus"
    unpack_corpus(str(packed), str(unpacked))
    config = SampleConfig(links=links, validation_fraction=0.3)
    for root, source in ((tmp_path / "a", corpus), (tmp_path / "b/s", unpacked)):
        run_here(Job(SAMPLE, str(root), config, (str(source),)))
    # The manifests alone may tell where the corpus lay.
    first, second = (
        {name: digest for name, digest in tree_digest(root).items() if "manifest" not in name}
        for root in (tmp_path / "a", tmp_path / "b/s")
    )
    assert first == second
    assert len(first) > 3


def test_a_flipped_byte_of_an_unpacked_corpus_is_named(corpus: Path, tmp_path: Path) -> None:
    pack_corpus(str(corpus), str(tmp_path / "corpus.pack"))
    unpack_corpus(str(tmp_path / "corpus.pack"), str(tmp_path / "corpus"))
    part = tmp_path / "corpus" / "segments" / "part-00000.parquet"
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    job = Job(SAMPLE, str(tmp_path / "s"), SampleConfig(), (str(tmp_path / "corpus"),))
    with pytest.raises(StageError, match=r"found other bytes at .*segments/part-00000\.parquet"):
        run_here(job)


def test_a_pack_without_digests_is_refused(corpus: Path, tmp_path: Path) -> None:
    packed = tmp_path / "corpus.pack"
    with tarfile.open(packed, "w:xz") as tar:
        tar.add(corpus, ".")
    with pytest.raises(StageError, match="pack it again"):
        unpack_corpus(str(packed), str(tmp_path / "unpacked"))


def test_a_file_that_is_no_packed_corpus_is_refused(tmp_path: Path) -> None:
    (tmp_path / "corpus.pack").write_bytes(b"no archive")
    with pytest.raises(StageError, match="packed corpus"):
        unpack_corpus(str(tmp_path / "corpus.pack"), str(tmp_path / "corpus"))
    assert not list(tmp_path.glob("corpus*.tmp"))
