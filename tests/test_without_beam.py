"""A prepared experiment runs from a packed corpus without apache_beam and mwparserfromhell."""

import json
import subprocess
import sys
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
from tests.pipeline.linked_corpus import make_corpus

REPOSITORY = Path(__file__).parents[1]

BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("apache_beam", "mwparserfromhell"):
            raise ImportError(f"{name} is not on this machine")

sys.meta_path.insert(0, Blocked())
from linkbert.cli.commands import main
sys.exit(main(sys.argv[1:]))
"""

EXPERIMENT = """
corpus = "corpus"
arms = ["bert", "linkbert"]
seeds = [0]
config = "mini"
epochs = 2
validation_fraction = 0.3
passes = 1
max_pairs = 20
num_resamples = 20
[set]
hidden_size = 16
num_heads = 2
intermediate_size = 32
num_layers = 1
max_steps = 2
warmup_steps = 1
batch_size = 8
validation_instances = 8
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("packed") / "corpus", num_documents=90)


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
    for root, source in ((corpus.parent / f"a-{links}", corpus), (tmp_path / "b/s", unpacked)):
        run_here(Job(SAMPLE, str(root), config, (str(source),)))
    # The manifests alone may tell where the corpus lay.
    first, second = (
        {name: digest for name, digest in tree_digest(root).items() if "manifest" not in name}
        for root in (corpus.parent / f"a-{links}", tmp_path / "b/s")
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


@pytest.mark.end_to_end
def test_the_prepared_experiment_runs_with_both_packages_blocked(
    corpus: Path, tmp_path: Path
) -> None:
    pack_corpus(str(corpus), str(tmp_path / "corpus.pack"))
    (tmp_path / "prepared.toml").write_text(EXPERIMENT)
    argv = ["experiment", str(tmp_path / "prepared.toml"), "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, *argv, "--quiet", "--json"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["arms"] == 2
    assert (tmp_path / "out" / "report.md").is_file()


def test_the_block_does_block() -> None:
    code = BLOCKED.replace("from linkbert.cli.commands import main", "import apache_beam")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "not on this machine" in done.stderr
