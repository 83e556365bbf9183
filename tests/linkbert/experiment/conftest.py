"""A small made corpus and an experiment on it."""

from pathlib import Path

import pytest

from tests.pipeline.linked_corpus import make_corpus

EXPERIMENT = """
corpus = "corpus"
arms = ["bert", "linkbert", "random-links", "no-drp"]
seeds = [0, 1]
config = "demo"
epochs = 1
validation_fraction = 0.3
passes = 1
max_pairs = 16
num_resamples = 50
ranking_pairs = 8
ranking_queries = 4

[set]
hidden_size = 16
intermediate_size = 32
num_layers = 1
max_steps = 2
batch_size = 8
validation_instances = 8
"""


@pytest.fixture(scope="session")
def experiment_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the experiment; its corpus lies beside it."""
    root = tmp_path_factory.mktemp("experiment")
    make_corpus(root / "corpus", num_documents=180)
    (root / "small.toml").write_text(EXPERIMENT)
    return root / "small.toml"
