"""Classification from files to figures."""

import json
import lzma
from pathlib import Path

import numpy as np
import pytest

from linkbert.cli.commands import main
from linkbert.finetuning.classify import finetune_classify
from linkbert.finetuning.options import FinetuneOptions
from schemas.errors import ConfigError, SchemaError
from tests.linkbert.finetuning.conftest import Finetune

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]


def test_a_word_that_decides_the_class_is_learned_and_the_table_has_every_seed(
    model: Path, tmp_path: Path, finetune: Finetune
) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "SST-2"
    folder.mkdir()
    for name, size in (("train", 160), ("dev", 40)):
        labels = rng.integers(0, 2, size)
        noise = [" ".join(f"w{word}" for word in rng.integers(10, 50, 4)) for _ in labels]
        rows = [f"{text} w{label}\t{label}" for text, label in zip(noise, labels, strict=True)]
        text = "\n".join(["sentence\tlabel", *rows]) + "\n"
        (folder / f"{name}.tsv.xz").write_bytes(lzma.compress(text.encode()))
    argv = ["classify", model, folder, "--out", tmp_path / "out", "--seeds", 0, 1,
            "--learning-rate", "0.01", "--epochs", 6]  # fmt: skip
    found = finetune(*argv)
    assert found["best"]["dev"]["accuracy"]["mean"] > 85
    assert len(found["best"]["dev"]["accuracy"]["by_seed"]) == 2
    assert found["best"]["dev"]["accuracy"]["sd"] is not None
    assert "± " in (tmp_path / "out/results.md").read_text()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/runs").iterdir()}
    assert len(before) == 2
    assert finetune(*argv) == found
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert main([*map(str, ["finetune", *argv]), "--fraction", "0.5", "--quiet"]) == 1


def test_regression_follows_the_score(model: Path, tmp_path: Path, finetune: Finetune) -> None:
    rng = np.random.default_rng(1)
    header = "sentence1\tsentence2\tscore"
    for name, size in (("train", 120), ("dev", 30)):
        scores = rng.integers(0, 3, size)
        rows = [f"w{5 + score} w9\tw7\t{2.5 * score:.3f}" for score in scores]
        (tmp_path / f"{name}.tsv").write_text("\n".join([header, *rows]))
    found = finetune(
        "classify", model, tmp_path / "train.tsv", tmp_path / "dev.tsv", "--task", "sts-b",
        "--out", tmp_path / "out", "--learning-rate", "0.01", "--epochs", 8,
    )  # fmt: skip
    assert found["best"]["dev"]["spearman"]["mean"] > 80


def test_a_classifier_is_kept_with_the_names_of_its_labels(
    model: Path, tmp_path: Path, finetune: Finetune
) -> None:
    from transformers import AutoModelForSequenceClassification

    rows = "sentence1\tsentence2\tlabel\n" + "w1\tw2\tnot_entailment\nw2\tw1\tentailment\n" * 4
    for name in ("train", "dev"):
        (tmp_path / f"{name}.tsv").write_text(rows)
    argv = ["classify", model, tmp_path, "--task", "rte", "--out", tmp_path / "out"]
    # A fraction that holds one label only still has a head for both.
    found = finetune(*argv, "--fraction", "0.1", "--epochs", 1)
    assert found["best"]["dev"]["accuracy"]["mean"] == 50.0
    kept = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out/model")
    assert kept.config.id2label == {0: "entailment", 1: "not_entailment"}


def test_a_loss_that_is_no_number_is_warned_of(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = "sentence1\tsentence2\tscore\n" + "w1\tw2\t1.0\nw2\tw1\t2.0\n" * 20
    for name in ("train", "dev"):
        (tmp_path / f"{name}.tsv").write_text(rows)
    argv = ["finetune", "classify", model, tmp_path, "--task", "sts-b", "--out", tmp_path / "out"]
    assert main([*map(str, argv), "--learning-rate", "1e30"]) == 0
    assert "lower the learning rate" in caplog.text
    assert json.loads((tmp_path / "out/results.json").read_text())["best"]["dev"] == {
        name: {"mean": 0.0, "sd": None, "by_seed": [0.0]} for name in ("pearson", "spearman")
    }


def write_texts(folder: Path, suffix: str, header: str, rows: dict[str, list[str]]) -> None:
    folder.mkdir(exist_ok=True)
    for name, lines in rows.items():
        (folder / f"{name}.{suffix}").write_text("\n".join([header, *lines]) + "\n")


def test_any_columns_and_classes_are_learned_with_macro_and_micro_f1(
    model: Path, tmp_path: Path, finetune: Finetune
) -> None:
    rows = [f'"w{10 + n % 3} w{30 + n}, w4",{("low", "mid", "high")[n % 3]}' for n in range(27)]
    write_texts(
        tmp_path, "csv", "Tweet Text,stance", {"train": rows * 4, "dev": rows, "test": rows}
    )
    found = finetune(
        "classify", model, tmp_path, "--out", tmp_path / "out", "--text-columns", "Tweet Text",
        "--label-columns", "stance", "--epochs", 4, "--learning-rate", "0.01",
        "--metric", "macro_f1",
    )  # fmt: skip
    assert found["metric"] == "macro_f1"
    assert set(found["best"]["dev"]) == {"accuracy", "macro_f1", "micro_f1"}
    assert found["best"]["dev"]["macro_f1"]["mean"] > 90
    assert found["best"]["test"] == found["best"]["dev"]
    lines = (tmp_path / "out/predictions/dev.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    assert [each["gold"] for each in told[:3]] == ["low", "mid", "high"]
    right = sum(each["gold"] == each["prediction"] for each in told) / len(told)
    assert 100 * right == pytest.approx(found["best"]["dev"]["accuracy"]["mean"])


def test_a_negative_label_is_left_out_of_f1(
    model: Path, tmp_path: Path, finetune: Finetune
) -> None:
    """Nothing is learned at a rate of next to 0: one class is given to every text."""
    rows = [json.dumps({"sentence": f"w{n}", "label": label}) for n, label in enumerate("0012")]
    for name in ("train", "dev"):
        (tmp_path / f"{name}.json").write_text("\n".join(rows))
    argv = ["classify", model, tmp_path, "--out", tmp_path / "out", "--epochs", 1,
            "--learning-rate", "1e-12", "--negative-label"]  # fmt: skip
    found = finetune(*argv, "0")
    assert found["metric"] == "micro_f1"
    told = (tmp_path / "out/predictions/dev.jsonl").read_text().splitlines()
    predicted = {json.loads(line)["prediction"] for line in told}
    assert len(predicted) == 1
    # One of four given and of two to be found is right, if it is a finding at all.
    expected = 0.0 if predicted == {"0"} else 100 / 3
    assert found["best"]["dev"]["micro_f1"]["mean"] == pytest.approx(expected)
    assert main([*map(str, ["finetune", *argv]), "none", "--quiet"]) == 1


def test_several_labels_of_a_text_are_learned(
    model: Path, tmp_path: Path, finetune: Finetune
) -> None:
    """HoC's form: one number per label, 0 or 1."""
    kinds = ([1, 0, 0], [0, 1, 1], [1, 1, 1], [0, 0, 0])
    rows = [
        json.dumps({"id": "x", "sentence": f"w{10 + n % 4} w{20 + n % 7}", "label": kinds[n % 4]})
        for n in range(112)
    ]
    for name in ("train", "dev"):
        (tmp_path / f"{name}.json").write_text("\n".join(rows))
    found = finetune(
        "classify", model, tmp_path, "--out", tmp_path / "out", "--epochs", 40,
        "--learning-rate", "0.01",
    )  # fmt: skip
    assert found["metric"] == "micro_f1"
    assert found["best"]["dev"]["micro_f1"]["mean"] > 95
    first = json.loads((tmp_path / "out/predictions/dev.jsonl").read_text().splitlines()[0])
    assert first["gold"] == ["0"]


NLI = ("entailment", "neutral", "contradiction")


@pytest.fixture
def mnli(tmp_path: Path) -> Path:
    folder = tmp_path / "MNLI"
    labelled = [f"{n}\tw{n}\tw{n + 20}\t{NLI[n % 3]}" for n in range(9)]
    header = "index\tsentence1\tsentence2\tgold_label"
    write_texts(folder, "tsv", header, {
        "train": [*labelled, "9\tw1\tw2\t-"], "dev_matched": labelled[:6],
        "dev_mismatched": [*labelled[:3], "3\tw1\tw2\t-"],
    })  # fmt: skip
    plain = [f"{n}\tw{n}\tw{n + 20}" for n in range(4)]
    header = "index\tsentence1\tsentence2"
    write_texts(folder, "tsv", header, {
        "test_matched": plain, "test_mismatched": plain[:3], "diagnostic": plain[:2],
    })  # fmt: skip
    full = [f"logic\tw{n}\tw{n}\t{NLI[n % 3]}" for n in range(5)]
    header = "Logic\tPremise\tHypothesis\tLabel"
    write_texts(folder, "tsv", header, {"diagnostic-full": full})
    return folder


def test_mnli_tells_both_dev_files_and_writes_what_the_leaderboard_takes(
    model: Path, mnli: Path, finetune: Finetune, caplog: pytest.LogCaptureFixture
) -> None:
    out = mnli.parent / "out"
    found = finetune("classify", model, mnli, "--out", out, "--epochs", 1)
    assert found["task"] == "mnli"
    assert found["data"]["train"] == {"num_examples": 9, "num_unlabelled": 1}
    assert found["data"]["dev_mismatched"] == {"num_examples": 3, "num_unlabelled": 1}
    scored = {name for name, each in found["best"].items() if isinstance(each, dict)}
    assert scored == {"dev", "dev_mismatched", "diagnostic_full"}
    assert set(found["best"]["diagnostic_full"]) == {"matthews", "accuracy"}
    for name, size in (("MNLI-m", 4), ("MNLI-mm", 3), ("AX", 5)):
        header, *rows = (out / f"predictions/{name}.tsv").read_text().splitlines()
        assert header == "index\tprediction"
        assert [row.split("\t")[0] for row in rows] == [str(n) for n in range(size)]
        assert {row.split("\t")[1] for row in rows} <= set(NLI)


def test_scores_are_submitted_within_their_range(
    model: Path, tmp_path: Path, finetune: Finetune
) -> None:
    rows = [f"{n + 7}\tw{n}\tw7\t{100.0 * (n % 2)}" for n in range(8)]
    folder = tmp_path / "STS-B"
    write_texts(folder, "tsv", "index\tsentence1\tsentence2\tscore", {"train": rows, "dev": rows})
    plain = [row.rpartition("\t")[0] for row in rows]
    write_texts(folder, "tsv", "index\tsentence1\tsentence2", {"test": plain})
    finetune("classify", model, folder, "--out", tmp_path / "out", "--learning-rate", "0.5")
    _, *told = (tmp_path / "out/predictions/STS-B.tsv").read_text().splitlines()
    assert [row.split("\t")[0] for row in told] == [str(n + 7) for n in range(8)]
    assert all(0 <= float(row.split("\t")[1]) <= 5 for row in told)


@pytest.mark.parametrize(
    ("train", "dev", "said"),
    [
        ("w1\t0\nw2\t1", "w1\t2", "'2' in .*dev.tsv"),
        ("w1\t0\nw2\t0", "w1\t0", "at least two labels"),
        ("w1\t0\nw2\t1", "", "expected rows, found none"),
    ],
)
def test_labels_that_do_not_fit_are_told(
    train: str, dev: str, said: str, model: Path, tmp_path: Path
) -> None:
    for name, rows in (("train", train), ("dev", dev)):
        (tmp_path / f"{name}.tsv").write_text(f"sentence\tlabel\n{rows}\n")
    options = FinetuneOptions()
    with pytest.raises(SchemaError, match=said):
        finetune_classify(model, [tmp_path], tmp_path / "out", options, "sst-2")


def test_an_unknown_task_or_metric_is_refused(model: Path, tmp_path: Path) -> None:
    write_texts(tmp_path, "tsv", "sentence\tlabel", {"train": ["w1\t0", "w2\t1"], "dev": ["w1\t0"]})
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="expected --task to be one of cola"):
        finetune_classify(model, [tmp_path], out, FinetuneOptions(), "sst2")
    with pytest.raises(ConfigError, match="expected --metric to be one of accuracy"):
        finetune_classify(model, [tmp_path], out, FinetuneOptions(metric="spearman"))
    assert not out.exists()
