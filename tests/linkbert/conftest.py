"""Small shards, configurations and finished runs for the tests of the training side."""

import logging
from pathlib import Path

import pytest
import torch

from linkbert.training.config import PretrainConfig, load_config
from linkbert.training.trainer import pretrain
from tests.linkbert.shards_folder import write_shards

SMALL = (
    "hidden_size=32",
    "intermediate_size=64",
    "max_position_embeddings=32",
    "batch_size=12",
    "learning_rate=0.01",
    "warmup_steps=2",  # not the preset's share: the golden curve is not about the demo
    "micro_batch_size=5",
    "hidden_dropout=0.1",
    "checkpoint_every=5",
    "validate_every=1000",
    "tensorboard=false",
    "threads=1",  # sums of floats depend on how many share them
)
"""Overrides that make the demo's model small enough for tests, with uneven micro-batches."""


def small_config(*overrides: str) -> PretrainConfig:
    return load_config("demo", [*SMALL, *overrides])


@pytest.fixture(autouse=True)
def one_thread() -> None:
    # Sums of floats depend on how many threads share them.
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def told_in_full() -> None:
    # A test that ran a command with --quiet leaves the log quiet.
    logging.getLogger("linkbert").setLevel(logging.INFO)


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("training") / "shards")


@pytest.fixture(scope="session")
def finished_run(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 20 steps with 4 checkpoints kept."""
    torch.set_num_threads(1)
    run = tmp_path_factory.mktemp("finished") / "run"
    pretrain(shards, run, small_config("max_steps=20", "keep_checkpoints=4"), seed=3)
    return run
