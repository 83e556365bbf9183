"""Which documents appear as B of linked pairs: as drawn, and as expected with and without weights.

LinkBERT (arXiv:2203.15827), section 4.3, draws a linked document with a weight of one over its
in-degree, so that the few that everybody links to do not crowd out the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from linkbert.inspection.corpus import Corpus
from linkbert.report import plots
from linkbert.report.markup import ReportSection, facts, figure, figures
from pipeline.sample.corpus import open_graph
from pipeline.sample.index import read_segments
from pipeline.sample.pairs.graph import Links, Segments
from pipeline.sample.pairs.linked import expected_appearances, target_weights
from schemas.manifest import MANIFEST_NAME, Manifest
from schemas.tables.instances import HELD_OUT_SPLITS, LINKED

Counts = npt.NDArray[np.float64]

_HEADING = "Which documents appear, with and without weighting"
_WEIGHTED, _UNIFORM = "weighted by 1 / in-degree", "uniform"


def appearance_sections(
    shards: Path, train: Manifest, columns: pa.Table
) -> Iterator[ReportSection]:
    """Yield a section for each corpus with linked pairs that is still in its place.

    Args:
        shards: the shards folder.
        train: the manifest of its training split.
        columns: corpus, relation, source_id, source_segment and target_id of training instances.
    """
    for number, described in enumerate(train.extra["corpora"]):
        corpus = Corpus(shards / described["path"])
        if not corpus.has("csr") or not described.get("gini"):
            continue
        is_linked = pc.equal(columns.column("relation"), LINKED)
        linked = columns.filter(pc.and_(is_linked, pc.equal(columns.column("corpus"), number)))
        drawn = np.bincount(linked.column("target_id").to_numpy(), minlength=corpus.num_nodes)
        expected: dict[str, Counts] = {}
        if described["links"] == "hyperlink" and corpus.has("segments"):
            held_out = _held_out(shards, number)
            expected = expected_by_weighting(corpus, linked, train.config["link_scope"], held_out)
        yield _section(f"appearance-{number}", corpus, described["gini"], drawn, expected)


def _section(
    name: str,
    corpus: Corpus,
    gini: dict[str, float],
    drawn: npt.NDArray[np.int64],
    expected: dict[str, Counts],
) -> ReportSection:
    rows: list[tuple[str, object]] = [
        ("Gini coefficient, as drawn", gini["weighted"]),
        ("Gini coefficient, had they been drawn uniformly", gini["uniform"]),
        ("distinct documents that were linked to", int((drawn > 0).sum())),
    ]
    if corpus.num_nodes:
        hub = int(np.argmax(corpus.degrees("in")))
        rows.append(("the most linked document", corpus.nodes_by_id([hub])[hub]["title"]))
        rows.append(("its share of linked pairs, as drawn", _share(drawn, hub)))
        rows += [(f"its share expected, {way}", _share(of, hub)) for way, of in expected.items()]
    series = {"as drawn": drawn} | {f"expected, {way}": of for way, of in expected.items()}
    caption = (
        "How often each document is B of a linked pair: as drawn, and as expected for the same "
        "segments A. A segment with a single link has no choice, whatever the weights."
    )
    plot = plots.rank_plot(name, series, "appearances")
    return ReportSection(name, _HEADING, facts(rows) + figures([figure(plot, caption)]))


def _share(counts: npt.NDArray[Any], node: int) -> str:
    return f"{counts[node] / max(counts.sum(), 1):.2%}"


def _held_out(shards: Path, corpus: int) -> npt.NDArray[np.int32]:
    """Return the documents that training must not see: those of segments A in validation."""
    is_ours = pc.field("corpus") == corpus
    found = [
        pq.read_table(shards / split, columns=["source_id"], filters=is_ours).column(0).to_numpy()
        for split in HELD_OUT_SPLITS
        if (shards / split / MANIFEST_NAME).is_file()
    ]
    return np.unique(np.concatenate([np.zeros(0, np.int32), *found]))


def expected_by_weighting(
    corpus: Corpus, linked: pa.Table, scope: str, held_out: npt.NDArray[np.int32]
) -> dict[str, Counts]:
    """Return how often each document is expected as B, with and without the diversity weighting.

    Args:
        corpus: with a finished graph and segments.
        linked: `source_id` and `source_segment` of P linked pairs.
        scope: links of A's `segment` or of its whole `document`.
        held_out: documents that are never B; those without a segment cannot be.

    Returns:
        By way of weighting, float64 [N] each, summing to P.
    """
    arrays = read_segments(str(corpus.path), corpus.num_nodes)
    segments = Segments(arrays["first"], arrays["node"])
    pool = np.diff(segments.first) > 0
    pool[held_out] = False
    source, segment = (linked.column(name).to_numpy() for name in ("source_id", "source_segment"))
    with ExitStack() as stack:
        indptr, targets = arrays["target_start"], arrays["target_ids"]
        if scope == "document":
            graph = open_graph(str(corpus.path), stack)
            indptr, targets = graph.out_indptr, graph.out_indices
        return {
            way: expected_appearances(
                segments.first[source] + segment,
                segments,
                Links(indptr, targets, scope == "document", weights),
            )
            for way, weights in (
                (_WEIGHTED, target_weights(pool, corpus.degrees("in"))),
                (_UNIFORM, target_weights(pool)),
            )
        }
