"""The drawn pairs have the distribution of the recipe: exactly on a small graph, and on real ones.

Seeds are fixed, so a test that passes goes on passing; bounds are such that a right sampler would
fail about once in a thousand seeds.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import chi2

from pipeline.engine.outputs import load_manifest
from pipeline.engine.stage import Job
from pipeline.graph.config import GraphConfig
from pipeline.graph.stage import GRAPH
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.stage import INGEST
from pipeline.parse.config import ParseConfig
from pipeline.parse.stage import PARSE
from pipeline.sample.pairs.graph import Graph, Links, Segments, is_neighbour
from pipeline.sample.pairs.linked import draw_linked
from pipeline.sample.pairs.recipe import PairRules, classify
from pipeline.sample.pairs.relations import BOTH
from pipeline.sample.plan import gini
from schemas.counter_rng import counter_key
from schemas.tables.instances import CONTIGUOUS, LINKED, RANDOM
from tests.pipeline.linked_corpus import finish_corpus, read_rows
from tests.pipeline.sample.pairs.graphs import SMALL, plan, random_corpus
from tests.pipeline.sample.sampling import sample, segments_of
from tests.running import run_inline

_ALMOST_SURELY = 1e-3


def surprise(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the probability of counts as far from what is expected, by the chi-square test."""
    possible = expected > 0
    assert (found[~possible] == 0).all(), "what cannot be was drawn"
    deviation = (found[possible] - expected[possible]) ** 2 / expected[possible]
    return float(chi2.sf(deviation.sum(), possible.sum() - 1))


def test_linked_segments_on_the_small_graph_have_their_exact_distribution() -> None:
    """Document 0 links to 1 (in-degree 1) and 2 (in-degree 3), two segments each: 3/8 and 1/8."""
    epochs = 1500
    first = SMALL.segments.first
    counts = np.zeros((11, 11))
    for epoch in range(epochs):
        pairs = plan(SMALL, PairRules(shares=(0, 0, 1)), epoch=epoch)
        linked = pairs.relation == LINKED
        np.add.at(counts, (pairs.segment_a[linked], pairs.segment_b[linked]), 1)
    expected = np.zeros((11, 11))
    for document, shares in {0: {1: 3 / 4, 2: 1 / 4}, 1: {2: 1}, 3: {2: 1}}.items():
        for target, share in shares.items():
            segments = slice(first[target], first[target + 1])
            expected[first[document] : first[document + 1], segments] = share / 2
    for segment in range(11):
        if expected[segment].any():
            assert surprise(counts[segment], epochs * expected[segment]) > _ALMOST_SURELY
        else:
            assert not counts[segment].any()


def test_random_segments_on_the_small_graph_have_their_exact_distribution() -> None:
    """Uniform over the unlinked other documents, then over the segments of one."""
    epochs = 1500
    first, unlinked = SMALL.segments.first, {0: (3, 4, 5), 2: (4, 5), 5: (0, 1, 2, 3, 4)}
    counts = np.zeros((6, 11))
    for epoch in range(epochs):
        pairs = plan(SMALL, PairRules(shares=(0, 1, 0)), epoch=epoch)
        assert (pairs.relation == RANDOM).all()
        np.add.at(counts, (SMALL.segments.node[pairs.segment_a], pairs.segment_b), 1)
    for document, others in unlinked.items():
        expected = np.zeros(11)
        for other in others:
            segments = slice(first[other], first[other + 1])
            expected[segments] = 1 / len(others) / (first[other + 1] - first[other])
        num_segments = first[document + 1] - first[document]
        assert surprise(counts[document], epochs * num_segments * expected) > _ALMOST_SURELY


def test_each_segment_with_a_successor_and_a_link_could_have_been_any_relation() -> None:
    """And as often as any other of its kind."""
    corpus, epochs = random_corpus(60), 400
    assert corpus.links is not None
    ids = np.arange(len(corpus.segments.node))
    is_open = classify(ids, corpus.segments, corpus.links) == BOTH
    counts = np.zeros((3, len(ids)))
    for epoch in range(epochs):
        pairs = plan(corpus, epoch=epoch)
        np.add.at(counts, (pairs.relation, pairs.segment_a), 1)
    assert is_open.sum() > 50
    assert (counts[:, is_open] > 0).all()
    for relation in (CONTIGUOUS, RANDOM, LINKED):
        found = counts[relation, is_open]
        share = found.mean() / epochs
        # Within an epoch draws exclude each other, which makes the sum a little smaller.
        deviation = (found - found.mean()) ** 2 / (epochs * share * (1 - share))
        assert chi2.sf(deviation.sum(), len(found) - 1) > _ALMOST_SURELY


@pytest.fixture(scope="module")
def whonix(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    [dump] = (shared_data / "dumps" / "whonixwiki").glob("*.bz2")
    root = tmp_path_factory.mktemp("whonix") / "corpus"
    run_inline(Job(PARSE, str(root), ParseConfig(), (str(dump),)))
    return finish_corpus(root, max_tokens=254, vocab_size=4000)


def degrees_of(root: Path) -> np.ndarray:
    return np.asarray(pq.read_table(root / "nodes", columns=["in_degree"])["in_degree"])


def test_targets_on_a_real_wiki_follow_the_inverse_of_their_in_degree(
    whonix: Path, tmp_path: Path
) -> None:
    """Over 20 epochs of linked pairs alone, no document deviates beyond chance."""
    epochs = 20
    options: dict[str, Any] = {"mix": (0.0, 0.0, 1.0), "validation_fraction": 0.0}
    rows = sample(tmp_path / "s", whonix, epochs=epochs, **options)
    segments = segments_of(whonix)
    has_segments = {node for node, _ in segments}
    degrees = degrees_of(whonix)
    expected = np.zeros(len(degrees))
    variance = np.zeros(len(degrees))
    for segment in segments.values():
        targets = [target for target in segment["target_ids"] if target in has_segments]
        weights = 1 / degrees[targets]
        shares = weights / weights.sum()
        np.add.at(expected, targets, epochs * shares)
        np.add.at(variance, targets, epochs * shares * (1 - shares))
    found = np.bincount(
        [row["target_id"] for row in rows if row["relation"] == LINKED], minlength=len(degrees)
    )
    check_frequencies(found, expected, variance)


def check_frequencies(found: np.ndarray, expected: np.ndarray, variance: np.ndarray) -> None:
    """Hold every document's count against its binomial law, and all of them together."""
    assert found.sum() == pytest.approx(expected.sum())
    is_certain = variance < 1e-9
    assert found[is_certain] == pytest.approx(expected[is_certain])
    deviation = (found - expected)[~is_certain] / np.sqrt(variance[~is_certain])
    # A normal variable leaves 5 with probability 6e-7; rare targets are a little less normal.
    assert np.abs(deviation[expected[~is_certain] > 5]).max() < 5
    assert np.mean(deviation**2) == pytest.approx(1, abs=0.3)


@pytest.mark.end_to_end
def test_targets_on_english_wikipedia_follow_the_inverse_of_their_in_degree(
    shared_data: Path, tmp_path: Path
) -> None:
    """Every link of every document, 200 draws per document: 2,210 documents, 26,201 edges."""
    folder = shared_data / "linked" / "enwiki-linked"
    documents = sorted(map(str, folder.glob("documents-*")))[:2]
    config = IngestConfig(format="jsonl", only_exact_links=True)
    sources = (*documents, str(folder / "redirects.jsonl.xz"))
    run_inline(Job(INGEST, str(tmp_path), config, sources))
    run_inline(Job(GRAPH, str(tmp_path), GraphConfig()))
    degrees = degrees_of(tmp_path)
    names = ("out_indptr", "out_indices", "in_indptr", "in_indices")
    graph = Graph(*(np.load(tmp_path / "csr" / f"{name}.npy") for name in names))
    assert (np.diff(graph.in_indptr) == degrees).all()
    draws = 200
    linking = np.flatnonzero(np.diff(graph.out_indptr))
    sizes = np.where(np.diff(graph.out_indptr) > 0, draws, 0)
    first = np.concatenate([[0], np.cumsum(sizes)])
    segments = Segments(first, np.repeat(np.arange(len(degrees), dtype=np.int32), sizes))
    links = Links(graph.out_indptr, graph.out_indices, True, 1 / np.maximum(degrees, 1))
    drawn = draw_linked(np.arange(first[-1]), segments, links, counter_key(0, "statistics"))
    assert is_neighbour(graph, segments.node, drawn).all()
    expected, variance = np.zeros(len(degrees)), np.zeros(len(degrees))
    for document in linking:
        targets = graph.out_indices[graph.out_indptr[document] : graph.out_indptr[document + 1]]
        shares = (1 / degrees[targets]) / (1 / degrees[targets]).sum()
        expected[targets] += draws * shares
        variance[targets] += draws * shares * (1 - shares)
    check_frequencies(np.bincount(drawn, minlength=len(degrees)), expected, variance)
    # Chosen without weights, the same documents appear less evenly.
    uniform = Links(graph.out_indptr, graph.out_indices, True, np.ones(len(degrees)))
    unweighted = draw_linked(np.arange(first[-1]), segments, uniform, counter_key(0, "uniform"))
    unevenness = [
        gini(np.bincount(each, minlength=len(degrees))[degrees > 0]) for each in (drawn, unweighted)
    ]
    assert unevenness[0] < unevenness[1] - 0.1


@pytest.fixture(scope="module")
def whonix_shards(whonix: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whonix") / "shards"
    sample(out, whonix, validation_fraction=0.2)
    return out


def test_pairs_of_a_real_wiki_are_what_their_relation_says(
    whonix: Path, whonix_shards: Path
) -> None:
    segments = segments_of(whonix)
    texts = {row["page_id"]: row["text"] for row in read_rows(whonix / "pages")}
    pages = {row["node_id"]: texts[row["page_id"]] for row in read_rows(whonix / "nodes")}
    edges = {(row["source_id"], row["target_id"]) for row in read_rows(whonix / "edges")}
    counts = np.zeros(3, int)
    for split in ("train", "validation", "validation_closed"):
        for row in read_rows(whonix_shards / split):
            counts[row["relation"]] += 1
            ends = row["source_id"], row["target_id"]
            a = segments[row["source_id"], row["source_segment"]]
            b = segments[row["target_id"], row["target_segment"]]
            assert row["num_tokens"] <= 511
            if row["relation"] == CONTIGUOUS:
                assert ends[0] == ends[1]
                assert pages[ends[0]][a["end_char"] : b["start_char"]].strip() == ""
                assert a["end_char"] <= b["start_char"]
            elif row["relation"] == RANDOM:
                assert ends[0] != ends[1]
                assert not {ends, ends[::-1]} & edges
            else:
                assert ends[0] != ends[1]
                assert ends[1] in a["target_ids"]
    assert counts.min() > 500


def test_a_real_wiki_has_the_exact_mix_and_the_weighting_flattens_it(whonix_shards: Path) -> None:
    extra = load_manifest(str(whonix_shards / "train")).extra
    counts = list(extra["relations"].values())
    assert max(counts) - min(counts) <= 1
    found = extra["corpora"][0]["gini"]
    assert found["weighted"] < found["uniform"] - 0.05
