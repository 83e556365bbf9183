"""Run `sample` in the process, and read what it wrote."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.engine.stage import Job
from pipeline.sample.config import SampleConfig
from pipeline.sample.stage import SAMPLE
from tests.pipeline.linked_corpus import read_rows
from tests.running import run_inline

Row = dict[str, Any]


def sample_job(out: Path, *sources: object, **options: Any) -> Job:
    config = SampleConfig(**{"validation_fraction": 0.2, **options})
    return Job(SAMPLE, str(out), config, tuple(map(str, sources)))


def sample(out: Path, *sources: object, **options: Any) -> list[Row]:
    run_inline(sample_job(out, *sources, **options))
    return read_rows(out / "train")


def segments_of(corpus: Path) -> dict[tuple[int, int], Row]:
    rows = read_rows(corpus / "segments")
    return {(row["node_id"], row["segment_index"]): row for row in rows}


def all_splits(shards: Path) -> Iterator[tuple[str, list[Row]]]:
    for split in ("train", "validation", "validation_closed"):
        yield split, read_rows(shards / split)
