"""Documents of a part of pages come with the links that lead from them, and where they stand."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.engine.stage import Job
from pipeline.graph.config import GraphConfig
from pipeline.graph.stage import GRAPH
from pipeline.segment.config import SegmentConfig
from pipeline.segment.inputs import NO_PLACE, LinkedText, read_nodes, read_pages
from pipeline.segment.stage import SEGMENT
from schemas.errors import StageError
from tests.pipeline.corpora import link, page, write_corpus
from tests.running import run_inline

TEXT = "Alpha and Beta and Gone."
LINKS = [
    link("Beta", start_char=10, end_char=14),
    link("Alpha", start_char=0, end_char=5),
    link("Gone", start_char=19, end_char=23),
    link("Beta", "citation"),
    link("Beta", "caption", start_char=6, end_char=9),
    link("Beta", "hatnote"),
]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job[SegmentConfig]:
    """A corpus whose pages lie in another order than their ids, one of them twice."""
    root = tmp_path_factory.mktemp("inputs")
    first = [
        page(9, "Main", ["Beta"]),
        page(9, "Main", LINKS, text=TEXT),
        page(4, "Alpha", ["Beta"]),
    ]
    write_corpus(root, [first, [page(2, "Beta", ["Main"])]])
    run_inline(Job(GRAPH, str(root), GraphConfig()))
    return Job(SEGMENT, str(root), SegmentConfig())


def documents(job: Job[SegmentConfig], part: int) -> list[LinkedText]:
    batches = read_pages(job, part, read_nodes(job, part), batch_pages=2)
    return [each for batch in batches for each in batch]


def test_documents_come_in_the_order_of_their_rows_and_the_last_of_an_id_counts(
    job: Job[SegmentConfig],
) -> None:
    nodes = read_nodes(job, 0)
    assert (nodes.rows.tolist(), nodes.node_ids.tolist()) == ([1, 2], [2, 1])
    assert [each.node_id for each in documents(job, 0)] == [2, 1]
    [beta] = documents(job, 1)
    assert (beta.node_id, beta.link_targets.tolist(), beta.num_unplaced) == (0, [], 1)


def test_links_that_make_edges_have_their_place_and_all_anchors_are_known(
    job: Job[SegmentConfig],
) -> None:
    main = documents(job, 0)[0]
    assert main.text == TEXT
    assert main.anchors == [(0, 5), (6, 9), (10, 14), (19, 23)]
    found = list(zip(main.link_starts.tolist(), main.link_targets.tolist(), strict=True))
    assert found == [(10, 0), (0, 1), (NO_PLACE, 0)]
    assert main.num_unplaced == 1  # the hatnote: a citation is of the whole page


def test_mentions_in_another_order_than_pages_are_refused(job: Job[SegmentConfig]) -> None:
    path = Path(job.path("mentions")) / "part-00000.parquet"
    before, table = path.read_bytes(), pq.read_table(path)
    pq.write_table(table.take([*range(len(table))][::-1]), path)
    try:
        with pytest.raises(StageError, match="mentions in the order of their pages"):
            documents(job, 0)
    finally:
        path.write_bytes(before)
