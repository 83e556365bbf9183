"""A corpus is looked up by title, by link and by row, as its tables say."""

from pathlib import Path

import pytest

from linkbert.inspection.corpus import Corpus
from schemas.errors import GraphError
from tests.linkbert.inspection.odd_corpus import TITLES, write_odd_corpus
from tests.pipeline.corpora import page, write_corpus
from tests.pipeline.linked_corpus import read_rows


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(write_odd_corpus(tmp_path_factory.mktemp("odd")))


def test_a_title_is_found_directly_and_through_a_redirect(corpus: Corpus) -> None:
    assert [corpus.node_by_title(title)["node_id"] for title in TITLES] == list(range(len(TITLES)))
    assert corpus.titles() == TITLES
    assert corpus.node_by_title("Old & <new>")["title"] == TITLES[1]
    with pytest.raises(GraphError, match=r"found no '\$X_1\$' \(there is '\$x_1\$ "):
        corpus.node_by_title("$X_1$")


def test_neighbours_and_degrees_are_those_of_the_edges(corpus: Corpus) -> None:
    edges = {(row["source_id"], row["target_id"]) for row in read_rows(corpus.path / "edges")}
    for node in (0, 3, 9):
        out, into = (set(corpus.neighbours(node, way).tolist()) for way in ("out", "in"))
        assert out == {target for source, target in edges if source == node}
        assert into == {source for source, target in edges if target == node}
        assert (corpus.degrees("out")[node], corpus.degrees("in")[node]) == (len(out), len(into))
    linked = corpus.most_linked_neighbours(3, "out", 2)
    assert [row["node_id"] for row in linked] == [0, 4]  # every hatnote leads to the first
    assert corpus.most_linked(1)[0]["node_id"] == 0


def test_a_page_is_read_from_its_row_and_one_beyond_the_end_is_told(corpus: Corpus) -> None:
    for node in corpus.nodes_by_id([0, 3, 4, 9]).values():
        assert corpus.page(node)["title"] == node["title"]
        assert len(corpus.mentions(node)) == len(corpus.page(node)["links"])
    with pytest.raises(GraphError, match=r"expected row 99 in part 1 .*, found fewer"):
        corpus.page({"part": 1, "row": 99})


def test_a_corpus_without_its_graph_says_what_to_run(tmp_path: Path) -> None:
    write_corpus(tmp_path, [[page(1, "Cat")]])
    with pytest.raises(GraphError, match=r"no nodes in .*: run `linkbert graph "):
        Corpus(tmp_path).node_by_title("Cat")
