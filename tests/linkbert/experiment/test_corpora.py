"""An experiment that cuts its corpus anew, and a pack that was cut otherwise."""

from dataclasses import replace
from pathlib import Path

import pytest

from linkbert.experiment.config import ExperimentConfig
from linkbert.experiment.corpora import prepare_corpora
from linkbert.experiment.pack import pack_corpus
from pipeline.engine.run import run_here
from pipeline.engine.stage import Job
from pipeline.sample.config import SampleConfig
from pipeline.sample.stage import SAMPLE
from schemas.errors import ConfigError, StageError
from tests.pipeline.linked_corpus import read_rows


def test_a_corpus_is_cut_anew_beside_the_experiment_and_can_be_sampled(
    experiment_file: Path, tmp_path: Path
) -> None:
    given = experiment_file.parent / "corpus"
    config = ExperimentConfig(str(given), warm_up_corpus=str(given), warm_up_steps=1)
    assert prepare_corpora(config, tmp_path / "out") == config
    shorter = prepare_corpora(replace(config, max_tokens=20), tmp_path / "out")
    assert shorter.corpus == str(tmp_path / "out.corpus")
    assert shorter.warm_up_corpus == str(tmp_path / "out.warm-up")
    before, after = (read_rows(Path(each) / "segments") for each in (given, shorter.corpus))
    assert max(row["num_tokens"] for row in before) > 40
    assert max(row["num_tokens"] for row in after) <= 20
    assert sum(row["num_tokens"] for row in before) == sum(row["num_tokens"] for row in after)
    run_here(Job(SAMPLE, str(tmp_path / "shards"), SampleConfig(), (shorter.corpus,)))
    assert len(read_rows(tmp_path / "shards" / "train")) > len(before)
    longer = replace(config, max_tokens=30)
    with pytest.raises(StageError, match="--overwrite"):
        prepare_corpora(longer, tmp_path / "out")
    assert prepare_corpora(longer, tmp_path / "out", overwrite=True).corpus == shorter.corpus


def test_a_pack_that_is_cut_otherwise_is_refused(experiment_file: Path, tmp_path: Path) -> None:
    pack_corpus(str(experiment_file.parent / "corpus"), str(tmp_path / "corpus.pack"))
    config = ExperimentConfig(str(tmp_path / "corpus"), max_tokens=62)
    assert prepare_corpora(config, tmp_path / "out").corpus == str(tmp_path / "out.corpus")
    with pytest.raises(ConfigError, match="max_tokens = 20, found 62"):
        prepare_corpora(replace(config, max_tokens=20), tmp_path / "out")
