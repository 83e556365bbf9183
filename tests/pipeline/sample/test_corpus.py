"""What the phases know of the corpora: one numbering over all of them, opened once."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np

from pipeline.engine.lifecycle import open_job, run_task, tasks_of_phase
from pipeline.engine.outputs import load_manifest
from pipeline.engine.stage import Job, Records
from pipeline.sample.config import SampleConfig
from pipeline.sample.corpus import Catalogue, open_corpora, token_facts, token_paths
from pipeline.sample.token_store import open_store
from tests.pipeline.linked_corpus import read_rows
from tests.pipeline.sample.sampling import sample_job


def indexed(job: Job[SampleConfig]) -> Job[SampleConfig]:
    """Run the phases up to the split."""
    opened, records = open_job(job), Records()
    for phase in job.stage.phases[:3]:
        tasks = tasks_of_phase(opened, phase, records)
        records[phase.name] = [run_task(opened, phase, task) for task in tasks]
    return opened


def test_segments_of_all_corpora_have_one_numbering(
    corpus: Path, other_corpus: Path, tmp_path: Path
) -> None:
    job = indexed(sample_job(tmp_path / "s", corpus, f"{other_corpus}:none"))
    rows = [
        (number, row)
        for number, path in enumerate((corpus, other_corpus))
        for row in sorted(
            read_rows(path / "segments"), key=lambda row: (row["node_id"], row["segment_index"])
        )
    ]
    with ExitStack() as stack:
        facts = Catalogue.open(job, stack).look_up(np.arange(len(rows)))
        dtype = np.dtype(token_facts(job)["token_dtype"])
        store = stack.enter_context(open_store(token_paths(job), dtype))
        found = [bytes(piece) for piece in store.slices(facts.runs)]
    assert facts.corpus.tolist() == [number for number, _ in rows]
    assert facts.node.tolist() == [row["node_id"] for _, row in rows]
    assert facts.index.tolist() == [row["segment_index"] for _, row in rows]
    assert found == [row["token_ids"] for _, row in rows]


def test_a_corpus_is_opened_with_its_graph_links_and_split(corpus: Path, tmp_path: Path) -> None:
    job = indexed(sample_job(tmp_path / "s", corpus))
    num_nodes = load_manifest(str(corpus / "nodes")).rows_out
    with open_corpora(job) as [opened]:
        assert len(opened.graph.out_indptr) == num_nodes + 1
        assert opened.similar is None
        assert opened.in_degree.tolist() == np.diff(opened.graph.in_indptr).tolist()
        assert set(opened.held_out.tolist()) == {0, 1, 2}
        targets = np.split(opened.target_ids, opened.target_start[1:-1])
    for row in read_rows(corpus / "segments"):
        number = opened.index.segments.first[row["node_id"]] + row["segment_index"]
        assert targets[number].tolist() == row["target_ids"]


def test_tokens_of_a_document_are_those_of_its_segments(corpus: Path, tmp_path: Path) -> None:
    job = indexed(sample_job(tmp_path / "s", corpus))
    with open_corpora(job) as [opened]:
        runs = opened.index.document_runs()
        sizes = np.bincount(opened.index.segments.node, opened.index.num_tokens)
    assert runs.sizes.tolist() == sizes.astype(int).tolist()
    assert runs.starts.tolist() == [0, *np.cumsum(runs.sizes)[:-1].tolist()]
