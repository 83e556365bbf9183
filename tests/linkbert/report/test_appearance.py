"""How often each document is expected as B, by hand and as drawn."""

from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from linkbert.inspection.corpus import Corpus
from linkbert.report.appearance import _held_out, expected_by_weighting
from schemas.manifest import read_manifest
from schemas.tables.instances import LINKED


@pytest.mark.end_to_end
@pytest.mark.parametrize("scope", ["segment", "document"])
def test_expected_appearances_sum_to_the_pairs_and_follow_the_weights(
    demo: Path, scope: str
) -> None:
    corpus = Corpus(demo / "corpus")
    in_degrees, no_segment = corpus.degrees("in"), set(range(corpus.num_nodes))
    rows = pq.read_table(corpus.path / "segments").to_pylist()
    no_segment -= {row["node_id"] for row in rows}
    held_out = np.array([rows[0]["node_id"], rows[-1]["node_id"]], np.int32)
    closed = no_segment | set(held_out.tolist())
    linked: list[dict[str, int]] = []
    by_hand = {"weighted by 1 / in-degree": Counter(), "uniform": Counter()}
    linked_from = cache(lambda node: corpus.neighbours(node, "out").tolist())
    for row in rows:
        node = row["node_id"]
        found = row["target_ids"] if scope == "segment" else linked_from(node)
        targets = [target for target in found if target not in closed and target != node]
        if not targets:
            continue
        linked += [{"source_id": node, "source_segment": row["segment_index"]}] * 2
        total = sum(1 / in_degrees[target] for target in targets)
        for target in targets:
            by_hand["uniform"][target] += 2 / len(targets)
            by_hand["weighted by 1 / in-degree"][target] += 2 / in_degrees[target] / total
    expected = expected_by_weighting(corpus, pa.Table.from_pylist(linked), scope, held_out)
    assert no_segment
    assert len(linked) > 1_000
    for way, values in by_hand.items():
        assert expected[way].sum() == pytest.approx(len(linked))
        assert expected[way] == pytest.approx(np.array([values[n] for n in range(len(in_degrees))]))


@pytest.mark.end_to_end
def test_what_was_drawn_is_what_was_expected(demo: Path) -> None:
    columns = pq.read_table(demo / "shards" / "train")
    linked = columns.filter(pc.equal(columns.column("relation"), LINKED))
    corpus, held_out = Corpus(demo / "corpus"), _held_out(demo / "shards", 0)
    scope = read_manifest(demo / "shards" / "train").config["link_scope"]
    expected = expected_by_weighting(corpus, linked, scope, held_out)["weighted by 1 / in-degree"]
    drawn = np.bincount(linked.column("target_id").to_numpy(), minlength=corpus.num_nodes)
    assert not drawn[expected == 0].any()
    assert (np.abs(drawn - expected) < 1 + 5 * np.sqrt(expected)).all()
