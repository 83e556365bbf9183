"""A corpus, another one with its tokenizer, and shards of the first."""

from pathlib import Path

import pytest

from tests.pipeline.linked_corpus import make_corpus
from tests.pipeline.sample.sampling import sample


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("sample") / "corpus")


@pytest.fixture(scope="session")
def other_corpus(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    root = tmp_path_factory.mktemp("sample") / "books"
    return make_corpus(root, 60, seed=5, taken_from=str(corpus))


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    out = tmp_path_factory.mktemp("sample") / "shards"
    sample(out, corpus, epochs=2, shard_bytes=40_000)
    return out
