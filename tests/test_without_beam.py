"""A prepared experiment runs from a packed corpus without apache_beam and mwparserfromhell."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from linkbert.experiment.pack import pack_corpus
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
