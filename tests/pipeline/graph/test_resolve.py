"""LinkColumns of documents become distinct edges, each with its mentions and its best kind."""

import numpy as np
import pyarrow as pa

from pipeline.graph.resolve import LinkColumns, Resolution, edge_keys, find_edges, flatten_links
from schemas.tables.mentions import FATES
from schemas.tables.pages import BODY, CAPTION, LINK, LINK_KINDS


def test_only_resolved_links_of_the_right_kind_make_edges() -> None:
    kinds = [BODY, BODY, CAPTION, BODY]
    fates = ["resolved", "redirect", "resolved", "red"]
    links = LinkColumns(
        np.array([5, 5, 5, 5], np.int32),
        np.arange(4, dtype=np.int32),
        pa.array(["A", "B", "A", "C"]),
        np.zeros(4, np.int32),
        np.array([LINK_KINDS.index(kind) for kind in kinds], np.int8),
    )
    targets = np.array([7, 7, 7, -1], np.int32)
    codes = np.array([FATES.index(fate) for fate in fates], np.int8)
    edges = find_edges(links, Resolution(codes, targets, np.full(4, -1, np.int32)))
    assert edges.keys.tolist() == edge_keys(np.array([5]), np.array([7])).tolist()
    assert edges.num_mentions.tolist() == [2]


def test_links_of_dropped_rows_are_left_out_and_counted() -> None:
    link = {"target_title": "X", "target_namespace": 0, "kind": BODY}
    rows = pa.array([[link, link], [link], []], pa.list_(LINK))
    links, num_dropped = flatten_links(rows, np.array([3, -1, 4], np.int32))
    assert (links.source_ids.tolist(), links.link_index.tolist()) == ([3, 3], [0, 1])
    assert num_dropped == 1
