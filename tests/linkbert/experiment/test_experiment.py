"""The experiment as one command, in miniature: four arms, two seeds, two steps."""

import json
from pathlib import Path
from typing import Any

import numpy as np
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
from tests.linkbert.model.test_families import folder_of
from tests.pipeline.linked_corpus import make_corpus

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def finished(experiment_file: Path) -> Path:
    """Cut the experiment off in its third arm, then run the same command again."""
    out = experiment_file.parent / "out"
    argv = ["experiment", str(experiment_file), "--out", str(out), "--quiet", "--json"]
    trained: list[str] = []
    wishes = [KeyboardInterrupt]
    with pytest.MonkeyPatch.context() as patch:
        real = run_module.pretrain

        def cut_off(shards: Path, run: Path, *rest: Any, **options: Any) -> Any:
            trained.append(run.name)
            if run.name == "random-links-seed-0" and wishes:
                raise wishes.pop()
            return real(shards, run, *rest, **options)

        patch.setattr(run_module, "pretrain", cut_off)
        assert main(argv) == 130
        done = {path: path.stat().st_mtime_ns for path in (out / "scores").glob("*.json")}
        assert sorted(path.stem for path in done) == ["bert-seed-0", "linkbert-seed-0"]
        trained.clear()
        assert main(argv) == 0
    assert "bert-seed-0" not in trained
    assert "linkbert-seed-0" not in trained
    assert {path: path.stat().st_mtime_ns for path in done} == done
    return out


def results_of(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "results.json").read_text()))


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


def test_arms_of_a_seed_share_weights_and_masks_at_the_start(finished: Path) -> None:
    """The first step's masked tokens of A and weights are alike, so only B can tell them apart."""
    found = results_of(finished)
    losses = {arm: by_seed["0"]["training"]["first_loss"] for arm, by_seed in found["arms"].items()}
    # The relation loss is about ln 3 and not counted without it.
    assert losses["no-drp"] + np.log(3) == pytest.approx(losses["linkbert"], abs=0.1)
    assert max(losses.values()) - losses["no-drp"] == pytest.approx(np.log(3), abs=0.15)
    other = found["arms"]["linkbert"]["1"]["training"]["first_loss"]
    assert other != losses["linkbert"]


def test_the_results_hold_every_arm_seed_and_contrast(finished: Path) -> None:
    found = results_of(finished)
    assert list(found["arms"]) == sorted(ARMS.keys() - {"tfidf", "uniform"})
    assert all(list(by_seed) == ["0", "1"] for by_seed in found["arms"].values())
    kinds = [each["kind"] for each in found["contrasts"]]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "primary": 8, "guard": 1, "secondary": 11,
    }  # fmt: skip
    assert all(each["sentence"].endswith(").") for each in found["contrasts"])
    assert found["tokens_differ"] < 0.1
    assert set(found["ranking"]) == set(found["arms"])
    assert all(1 / 32 <= each["mrr"]["value"] <= 1 for each in found["ranking"].values())
    assert "drp" in found["arms"]["linkbert"]["0"]
    assert "drp" not in found["arms"]["bert"]["0"]


def test_the_report_says_each_hypothesis_and_shows_its_figures(finished: Path) -> None:
    report = (finished / "report.md").read_text()
    for each in results_of(finished)["contrasts"]:
        assert each["sentence"] in report
    for name in ("gain", "contiguous", "contrasts", "training"):
        assert f"figures/{name}.svg" in report
        assert (finished / "figures" / f"{name}.svg").read_text().count("<path") > 3


def test_the_same_command_again_changes_no_result(finished: Path, experiment_file: Path) -> None:
    names = ("results.json", "report.md", "figures/gain.svg", "figures/training.svg")
    before = {name: (finished / name).read_bytes() for name in names}
    assert main(["experiment", str(experiment_file), "--out", str(finished), "--quiet"]) == 0
    assert {name: (finished / name).read_bytes() for name in names} == before


def test_a_trained_arm_differs_from_another_and_from_its_start(finished: Path) -> None:
    def weights(arm: str) -> np.ndarray:  # type: ignore[type-arg]
        loaded = load_checkpoint(checkpoint_path(finished / "runs" / f"{arm}-seed-0", 2))
        return np.asarray(loaded.model["encoder.embeddings.word.weight"].numpy())

    assert not np.array_equal(weights("bert"), weights("linkbert"))


def test_another_experiment_in_the_folder_is_refused(
    finished: Path, experiment_file: Path, tmp_path: Path
) -> None:
    changed = experiment_file.with_name("changed.toml")
    changed.write_text(experiment_file.read_text().replace("passes = 1", "passes = 2"))
    assert main(["experiment", str(changed), "--out", str(finished), "--quiet"]) == 1
    (tmp_path / "mine.txt").write_text("precious")
    argv = ["experiment", str(experiment_file), "--out", str(tmp_path), "--quiet", "--overwrite"]
    assert main(argv) == 1
    assert (tmp_path / "mine.txt").read_text() == "precious"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("passes = 1", "pases = 1", "'passes'"),
        ('"no-drp"', '"no-dpr"', "no-dpr"),
        ("seeds = [0, 1]", "seeds = [0, 0]", "repetition"),
        ("max_steps = 2", "max_step = 2", "'max_steps'"),
        ("epochs = 1", "epochs = 0", "epochs"),
        ('corpus = "corpus"', "", "corpus"),
        ('corpus = "corpus"', "corpus = 3", "corpus as str"),
        ("epochs = 1", 'epochs = "1"', "epochs as int"),
        ("epochs = 1", "epochs = true", "epochs as int"),
        ("seeds = [0, 1]", "seeds = [0.5]", "seeds as a list of int"),
        ("seeds = [0, 1]", "seeds = [-1]", "seeds of at least 0"),
        ("seeds = [0, 1]", 'seeds = "01"', "seeds as a list of int"),
        ("validation_fraction = 0.3", "validation_fraction = 1.5", "validation_fraction above 0"),
        ("ranking_pairs = 8", "ranking_pairs = -1", "ranking_pairs of at least 0"),
        ("epochs = 1", "epochs = 1\nwarm_up_steps = 5", "both warm_up_corpus and warm_up_steps"),
        ("epochs = 1", 'epochs = 1\nsplits = ["train"]', "splits out of"),
        ("epochs = 1", 'epochs = 1\nmix = ["a"]', "mix as a list of float"),
        ("[set]", "set = 3\n[other]", "'set'|table|unknown"),
        ("[set]", "[warm_up_set]\nmax_steps = 2\n[set]", "warm_up_steps beside"),
    ],
)
def test_a_wrong_experiment_is_one_line(
    old: str, new: str, said: str, experiment_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "wrong.toml").write_text(experiment_file.read_text().replace(old, new, 1))
    with pytest.raises(ConfigError, match=said):
        load_experiment(tmp_path / "wrong.toml")


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
            '[warm_up_set]\nfreeze_encoder = true\n[set]\nprecision = "bf16"\nwhole_word = true',
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
    (tmp_path / "warm.toml").write_text(text.replace("warm_up_steps = 3", "warm_up_steps = 300"))
    argv[3] = str(tmp_path / "again")
    assert main(argv) == 1


def test_focus_words_that_are_no_tokens_are_named(experiment_file: Path, tmp_path: Path) -> None:
    tokenizer = experiment_file.parent / "corpus" / "tokenizer" / "tokenizer.json"
    assert len(run_module._focus_ids(tokenizer, ["river", "town"])) == 2
    with pytest.raises(ConfigError, match="'nonesuchword'"):
        run_module._focus_ids(tokenizer, ["river", "nonesuchword"])
