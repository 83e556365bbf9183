"""What an experiment does before it trains, and where all its arms start."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from linkbert.cli.commands import main
from linkbert.experiment import run as run_module
from linkbert.experiment.config import ARMS, load_experiment
from linkbert.training.checkpoint import checkpoint_path, load_checkpoint
from pipeline.engine.run import run_here
from pipeline.engine.stage import Job
from pipeline.sample.config import SampleConfig
from pipeline.sample.stage import SAMPLE
from schemas.errors import ConfigError
from tests.linkbert.experiment.test_experiment import results_of
from tests.linkbert.model.test_families import folder_of
from tests.pipeline.linked_corpus import make_corpus

pytestmark = pytest.mark.end_to_end


def test_every_arm_reads_the_same_a_in_the_same_order(
    experiment_file: Path, tmp_path: Path
) -> None:
    config = load_experiment(experiment_file)
    sequences, relations = [], {}
    for name in dict.fromkeys(arm.shards for arm in ARMS.values()):
        options = SampleConfig(**config.sampling(name, seed=1))
        run_here(Job(SAMPLE, str(tmp_path / name), options, (config.corpus,)))
        rows = pq.read_table(tmp_path / name / "train").to_pylist()
        sequences.append([(row["source_id"], row["source_segment"]) for row in rows])
        relations[name] = {row["relation"] for row in rows}
    assert len(sequences) == 5
    assert len(sequences[0]) > 100
    assert all(sequence == sequences[0] for sequence in sequences)
    assert relations.pop("bert") == {0, 1}
    assert all(found == {0, 1, 2} for found in relations.values())


def test_too_few_epochs_are_told_with_their_number(
    experiment_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = experiment_file.read_text().replace("max_steps = 2", "max_steps = 2000")
    longer = experiment_file.with_name("longer.toml")
    longer.write_text(text)
    assert main(["experiment", str(longer), "--out", str(tmp_path / "x"), "--quiet"]) == 1
    assert "set epochs = " in capsys.readouterr().err


def test_all_arms_start_from_one_warm_up_of_another_family_on_another_corpus(
    experiment_file: Path, tmp_path: Path
) -> None:
    tokenizer = experiment_file.parent / "corpus" / "tokenizer" / "tokenizer.json"
    size = len(json.loads(tokenizer.read_text())["model"]["vocab"])
    positions = {"vocab_size": size, "max_position_embeddings": 130}
    folder_of("modernbert", tmp_path / "hf", tokenizer, **positions)
    make_corpus(tmp_path / "other", num_documents=60, seed=5, taken_from=str(tokenizer))
    text = experiment_file.read_text()
    for old, new in (
        ('corpus = "corpus"', f'corpus = "{experiment_file.parent / "corpus"}"'),
        (
            "epochs = 1",
            'epochs = 1\ninit = "hf"\nwarm_up_corpus = "other"\nwarm_up_steps = 3\n'
            'mix = [1, 1, 2]\ntarget_segment = "lead"\nmix_policy = "independent"\n'
            'splits = ["validation"]',
        ),
        (text[text.index("arms") : text.index("config")], 'arms = ["bert"]\nseeds = [0]\n'),
        ("ranking_pairs = 8", "ranking_pairs = 0\ncurve_pairs = 4"),
        (
            "[set]",
            '[warm_up_set]\nfreeze_encoder = true\n[set]\nprecision = "bf16"\nwhole_word = true\n'
            "warmup_steps = 1",
        ),
    ):
        text = text.replace(old, new)
    (tmp_path / "warm.toml").write_text(text)
    out = tmp_path / "out"
    argv = ["experiment", str(tmp_path / "warm.toml"), "--out", str(out), "--quiet"]
    assert main(argv) == 0
    run = json.loads((out / "runs" / "bert-seed-0" / "run.json").read_text())
    warm = json.loads((out / "runs" / "warm-up" / "run.json").read_text())
    assert warm["identity"]["config"]["max_steps"] == 3
    moments = load_checkpoint(checkpoint_path(out / "runs" / "warm-up", 3)).optimizer
    trained = {name.split("/")[1] for name in moments}
    assert trained >= {"masked_lm.head.dense.weight", "pooler.weight", "classifier.bias"}
    assert not any(name.startswith("masked_lm.model.") for name in trained)
    assert warm["identity"]["init"] not in (None, run["identity"]["init"])
    assert run["model"]["family"]["values"]["model_type"] == "modernbert"
    scored = json.loads((out / "scores" / "bert-seed-0.json").read_text())
    assert scored["precision"] == "bf16"
    assert list(scored["mlm"]) == ["validation"]
    curve = results_of(out)["curve"]
    told = {run: [(each["step"], each["pairs"]) for each in curve[run]] for run in curve}
    assert told == {"warm-up": [(0, 4), (3, 4)], "bert-seed-0": [(0, 4), (2, 4)]}
    # The arms begin where the warm-up ended.
    assert curve["warm-up"][1]["nll_alone"] == pytest.approx(curve["bert-seed-0"][0]["nll_alone"])
    assert "| bert-seed-0 | 2 | " in (out / "report.md").read_text()
    config = json.loads(
        (out / "shards" / "linkbert-seed-0" / "train" / "_manifest.json").read_text()
    )
    assert config["config"]["target_segment"] == "lead"
    assert config["config"]["mix"] == [1.0, 1.0, 2.0]
    models = (out / "models" / "warm-up" / "model.safetensors").read_bytes()
    (tmp_path / "warm.toml").write_text(text.replace("max_steps = 2", "max_steps = 4"))
    assert main(argv) == 0
    # The warm-up was done with half of its steps; a quarter is what four steps of an arm would say.
    assert json.loads((out / "runs" / "warm-up" / "run.json").read_text()) == warm
    assert (out / "models" / "warm-up" / "model.safetensors").read_bytes() == models
    longer = results_of(out)
    assert longer["arms"]["bert"]["0"]["training"]["step"] == 4
    assert [each["step"] for each in longer["curve"]["bert-seed-0"]] == [0, 2, 4]
    (tmp_path / "warm.toml").write_text(text.replace("warm_up_steps = 3", "warm_up_steps = 300"))
    argv[3] = str(tmp_path / "again")
    assert main(argv) == 1


def test_an_arm_that_comes_later_passes_through_the_steps_of_those_before(
    experiment_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_experiment(experiment_file)
    out, trained = tmp_path / "out", []

    def stages_of(max_steps: int, *overrides: str) -> list[int]:
        wanted = (*config.overrides, f"max_steps={max_steps}", "warmup_steps=1", *overrides)
        return run_module._stages(replace(config, overrides=wanted), out, "corpus")

    assert stages_of(2) == stages_of(2) == [2]
    for name in ("scores", "models"):
        (out / name).mkdir()
    assert stages_of(5, "keep_checkpoints=9") == [2, 5]
    assert not (out / "scores").exists()
    for steps, *overrides in ((4,), (5, "learning_rate=0.5")):
        with pytest.raises(ConfigError, match=r"max_steps was 5|learning_rate was"):
            stages_of(steps, *overrides)
    monkeypatch.setattr(
        run_module, "pretrain", lambda *given, **_: trained.append(given[2].max_steps)
    )
    monkeypatch.setattr(run_module, "export", lambda *_: None)
    run_module._train(config, run_module.Place(out, "bert", 7), None, [2, 5], quiet=True)
    assert trained == [2, 5]


def test_focus_words_that_are_no_tokens_are_named(experiment_file: Path, tmp_path: Path) -> None:
    tokenizer = experiment_file.parent / "corpus" / "tokenizer" / "tokenizer.json"
    assert len(run_module._focus_ids(tokenizer, ["river", "town"])) == 2
    with pytest.raises(ConfigError, match="'nonesuchword'"):
        run_module._focus_ids(tokenizer, ["river", "nonesuchword"])
