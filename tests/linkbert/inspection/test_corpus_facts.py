"""What check holds pairs against: the corpus itself, looked up segment by segment."""

from pathlib import Path

import numpy as np
import pytest

from linkbert.inspection.corpus_facts import CorpusFacts
from schemas.errors import SchemaError
from tests.pipeline.linked_corpus import make_corpus, read_rows


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("facts") / "corpus", 30)


def open_facts(corpus: Path) -> CorpusFacts:
    facts = CorpusFacts.open(corpus)
    assert facts is not None
    return facts


def test_segments_have_their_tokens_and_targets(corpus: Path) -> None:
    facts = open_facts(corpus)
    for row in read_rows(corpus / "segments"):
        key = row["node_id"], row["segment_index"]
        assert facts.tokens(*key) == row["token_ids"]
        assert facts.targets(*key).tolist() == row["target_ids"]
    assert facts.tokens(0, 10_000) is None


def test_links_have_a_direction(corpus: Path) -> None:
    facts = open_facts(corpus)
    edges = {(row["source_id"], row["target_id"]) for row in read_rows(corpus / "edges")}
    assert edges
    found = {(a, b) for a in range(30) for b in range(30) if facts.has_edge(a, b)}
    assert found == edges


def test_segments_of_documents_are_counted(corpus: Path) -> None:
    nodes = [row["node_id"] for row in read_rows(corpus / "segments")]
    found = open_facts(corpus).num_segments(np.arange(30))
    assert found.tolist() == np.bincount(nodes, minlength=30).tolist()


def test_a_corpus_that_is_gone_has_no_facts(tmp_path: Path) -> None:
    assert CorpusFacts.open(tmp_path) is None


def test_tokens_that_are_cut_are_refused(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "corpus", 30)
    path = corpus / "tokens" / "part-00001.ids"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(SchemaError, match=r"expected .* tokens, found"):
        CorpusFacts.open(corpus)
