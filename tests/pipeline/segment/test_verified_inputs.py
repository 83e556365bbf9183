"""Each stage compares what it reads with the digests of the stage that wrote it."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.stage import Job
from pipeline.graph.config import GraphConfig, SubsetConfig
from pipeline.graph.stage import GRAPH
from pipeline.graph.subset import SUBSET
from pipeline.segment.config import SegmentConfig
from pipeline.segment.stage import SEGMENT
from pipeline.tokenizer.config import TokenizerConfig
from schemas.errors import StageError
from tests.pipeline.linked_corpus import make_corpus
from tests.running import run_inline, tokenizer_job


def job_of(stage: str, corpus: Path) -> Job[Any]:
    if stage == "graph":
        return Job(GRAPH, str(corpus), GraphConfig())
    if stage == "tokenizer":
        return tokenizer_job([str(corpus)], TokenizerConfig(vocab_size=200))
    if stage == "subset":
        config = SubsetConfig(around="Document 0", size=9)
        return Job(SUBSET, f"{corpus}-subset", config, (str(corpus),))
    return Job(SEGMENT, str(corpus), SegmentConfig(max_tokens=62, min_tokens=8))


@pytest.mark.parametrize(
    ("stage", "read"),
    [
        ("graph", "pages/part-00001.parquet"),
        ("graph", "redirects/part-00000.parquet"),
        ("tokenizer", "pages/part-00002.parquet"),
        ("segment", "pages/part-00001.parquet"),
        ("segment", "mentions/part-00002.parquet"),
        ("segment", "nodes/part-00000.parquet"),
        ("segment", "tokenizer/tokenizer.json"),
        ("subset", "csr/out_indices.npy"),
        ("subset", "index/title_values.npy"),
    ],
)
def test_flipped_bits_stop_the_stage_that_reads_them(tmp_path: Path, stage: str, read: str) -> None:
    corpus = make_corpus(tmp_path / "corpus", num_documents=30)
    path = corpus / read
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(StageError, match=rf"found other bytes at .*{read}: run `linkbert"):
        run_inline(job_of(stage, corpus), overwrite=True)
