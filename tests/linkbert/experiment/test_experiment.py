"""The experiment as one command, in miniature: four arms, two seeds, two steps."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linkbert.cli.commands import main
from linkbert.experiment import run as run_module
from linkbert.experiment.config import ARMS
from linkbert.training.checkpoint import checkpoint_path, load_checkpoint

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
