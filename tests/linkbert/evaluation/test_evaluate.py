"""The command `evaluate`, held to what training measured itself."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from linkbert.cli.commands import main
from linkbert.evaluation.evaluate import EvaluationOptions, evaluate
from linkbert.export.export import export
from linkbert.training.run_folder import finished_result
from schemas.errors import CheckpointError, ConfigError, SchemaError
from tests.linkbert.shards_folder import write_shards


@pytest.fixture(scope="module")
def model(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated") / "model"
    export(finished_run, folder)
    return folder


def test_drp_and_mlm_are_what_the_last_validation_of_training_found(
    model: Path, finished_run: Path, shards: Path
) -> None:
    finished = finished_result(finished_run, max_steps=1)
    assert finished is not None
    trained = finished["validation"]["validation"]
    options = EvaluationOptions()
    drp = evaluate("drp", model, shards, options)["validation"]
    mlm = evaluate("mlm", model, shards, options)["validation"]
    assert drp["accuracy"] == pytest.approx(trained["drp_accuracy"])
    assert drp["interval"] == pytest.approx(trained["interval"])
    assert mlm["all"]["loss"] == pytest.approx(trained["mlm_loss"], rel=1e-5)
    for name, found in trained["by_relation"].items():
        assert mlm[name]["loss"] == pytest.approx(found["mlm_loss"], rel=1e-5)
        row = drp["confusion"][name]
        assert row[name] / sum(row.values()) == pytest.approx(found["drp_accuracy"])
    assert drp["guess_from_kind_of_a"] == 0.375


@pytest.mark.parametrize("kind", ["link-context", "drp", "mlm"])
def test_the_command_prints_every_split_that_holds_instances(
    kind: str, model: Path, shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["evaluate", kind, str(model), str(shards), "--num-resamples", "20", "--json"]
    assert main(argv) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["validation"]
    assert main(argv) == 0
    assert json.loads(capsys.readouterr().out) == found


def test_a_model_without_a_relation_head_has_no_drp_but_a_gain(
    model: Path, shards: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(model, bare)
    (bare / "drp.safetensors").unlink()
    with pytest.raises(CheckpointError, match="relation head"):
        evaluate("drp", bare, shards, EvaluationOptions())
    options = EvaluationOptions(num_resamples=20)
    found = [evaluate("link-context", each, shards, options) for each in (bare, model)]
    assert found[0] == found[1]


def test_splits_and_precision_are_options(model: Path, shards: Path) -> None:
    named = EvaluationOptions(num_resamples=20, splits=("validation",))
    plain = EvaluationOptions(num_resamples=20)
    for kind in ("link-context", "mlm"):
        assert evaluate(kind, model, shards, named) == evaluate(kind, model, shards, plain)
    half = EvaluationOptions(num_resamples=20, precision="bf16")
    found = [evaluate("mlm", model, shards, each)["validation"] for each in (plain, half)]
    assert found[0] != found[1]
    assert found[0]["all"]["loss"] == pytest.approx(found[1]["all"]["loss"], rel=0.01)
    with pytest.raises(SchemaError, match="validation_closed, found none"):
        evaluate("mlm", model, shards, EvaluationOptions(splits=("validation_closed",)))


def test_other_weights_give_other_figures(model: Path, shards: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(model, changed)
    weights = load_file(changed / "model.safetensors")
    weights["bert.embeddings.word_embeddings.weight"] *= 2
    save_file(weights, changed / "model.safetensors", metadata={"format": "pt"})
    options = EvaluationOptions(num_resamples=20)
    for kind in ("link-context", "mlm"):
        assert evaluate(kind, model, shards, options) != evaluate(kind, changed, shards, options)


def test_another_vocabulary_and_nothing_held_out_are_refused(model: Path, tmp_path: Path) -> None:
    other = write_shards(tmp_path / "other", vocab_size=70)
    with pytest.raises(ConfigError, match="vocabulary"):
        evaluate("mlm", model, other, EvaluationOptions())
    with pytest.raises(ConfigError, match="kind to be one of link-context, drp, mlm, ranking"):
        evaluate("accuracy", model, other, EvaluationOptions())
    none = write_shards(tmp_path / "none")
    shutil.rmtree(none / "validation")
    with pytest.raises(SchemaError, match="--validation-fraction"):
        evaluate("mlm", model, none, EvaluationOptions())
