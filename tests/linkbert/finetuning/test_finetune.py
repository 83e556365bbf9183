"""Fine-tuning end to end on tiny models: what can be learned is learned."""

import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from linkbert.cli import main
from linkbert.export import export
from linkbert.finetuning.classify import TASKS, read_examples, score_labels
from linkbert.finetuning.options import FinetuneOptions, Hyper
from linkbert.finetuning.qa import answer_tokens, best_answers, cut_windows
from linkbert.finetuning.qa_data import Question
from linkbert.finetuning.tag import read_sentences, score_tags
from linkbert.trainer import pretrain
from schemas.errors import ConfigError, SchemaError
from tests.linkbert.conftest import small_config
from tests.linkbert.shards_folder import write_shards

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A barely trained model of 64 positions whose vocabulary is w0 to w58."""
    root = tmp_path_factory.mktemp("finetuned")
    shards = write_shards(root / "shards")
    torch.set_num_threads(1)
    config = small_config("max_steps=2", "hidden_dropout=0.0", "max_position_embeddings=64")
    pretrain(shards, root / "run", config)
    export(root / "run", root / "model")
    return root / "model"


def run(capsys: pytest.CaptureFixture[str], *argv: Any) -> dict[str, Any]:
    assert main(["finetune", *map(str, argv), "--quiet", "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_a_word_that_decides_the_class_is_learned_and_the_table_has_every_seed(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
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
    found = run(capsys, *argv)
    assert found["best"]["dev"]["accuracy"]["mean"] > 85
    assert len(found["best"]["dev"]["accuracy"]["by_seed"]) == 2
    assert found["best"]["dev"]["accuracy"]["sd"] is not None
    assert "± " in (tmp_path / "out/results.md").read_text()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/runs").iterdir()}
    assert len(before) == 2
    assert run(capsys, *argv) == found
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert main([*map(str, ["finetune", *argv]), "--fraction", "0.5", "--quiet"]) == 1


def test_regression_follows_the_score(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(1)
    header = "sentence1\tsentence2\tscore"
    for name, size in (("train", 120), ("dev", 30)):
        scores = rng.integers(0, 3, size)
        rows = [f"w{5 + score} w9\tw7\t{2.5 * score:.3f}" for score in scores]
        (tmp_path / f"{name}.tsv").write_text("\n".join([header, *rows]))
    found = run(
        capsys, "classify", model, tmp_path / "train.tsv", tmp_path / "dev.tsv", "--task", "sts-b",
        "--out", tmp_path / "out", "--learning-rate", "0.01", "--epochs", 8,
    )  # fmt: skip
    assert found["best"]["dev"]["spearman"]["mean"] > 80


def test_tags_that_follow_from_words_are_learned(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(2)
    for name, size in (("train", 80), ("dev", 20)):
        lines = ["-DOCSTART- -X- O", ""]
        for _ in range(size):
            words = rng.integers(0, 30, 6)
            lines += [f"w{word} NN {'B-PER' if word < 10 else 'O'}" for word in words]
            lines.append("")
        (tmp_path / f"{name}.conll").write_text("\n".join(lines))
    found = run(
        capsys, "tag", model, tmp_path, "--out", tmp_path / "out",
        "--learning-rate", "0.02", "--epochs", 10,
    )  # fmt: skip
    assert found["metric"] == "f1"
    assert found["best"]["dev"]["f1"]["mean"] > 80


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    """Questions whose answer is the one word after w1, in contexts that need several windows."""
    rng = np.random.default_rng(3)
    for name, size in (("train", 60), ("dev", 15)):
        articles = []
        for number in range(size):
            words = [f"w{word}" for word in rng.integers(20, 50, 80)]
            place = int(rng.integers(0, 78))
            words[place : place + 2] = ["w1", "w2"]
            start = len(" ".join(words[: place + 1])) + 1
            qa = {"id": f"{name}{number}", "question": "w1 w3",
                  "answers": [{"text": "w2", "answer_start": start}]}  # fmt: skip
            paragraph = {"context": " ".join(words), "qas": [qa]}
            articles.append({"title": str(number), "paragraphs": [paragraph]})
        (tmp_path / f"{name}.json").write_text(json.dumps({"data": articles}))
    return tmp_path


def test_a_findable_answer_is_found_in_long_contexts(
    model: Path, questions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(
        capsys, "qa", model, questions, "--out", questions / "out", "--distractors", 1,
        "--learning-rate", "0.02", "--epochs", 8, "--batch-size", 8,
    )  # fmt: skip
    assert found["best"]["dev"]["exact_match"]["mean"] > 60
    assert (questions / "out/model/model.safetensors").is_file()


@pytest.fixture
def tokenizer(model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model)


def question_of(context: str, answer: str, starts: tuple[int, ...] | None = None) -> Question:
    found = (context.index(answer),) if starts is None else starts
    return Question("q", "w1 w2", context, (answer,) if found else (), found, "g")


def test_windows_cover_the_context_and_only_those_with_the_answer_point_to_it(
    tokenizer: Any,
) -> None:
    context = " ".join(f"w{word}" for word in range(10, 50))
    question = question_of(context, "w30 w31")
    windows = cut_windows([question], tokenizer, 16, 4, is_training=True)
    assert len(windows.features) > 3
    covered = {span for offsets in windows.offsets for span in offsets if span is not None}
    assert len(covered) == 40
    pointed = 0
    for feature, offsets in zip(windows.features, windows.offsets, strict=True):
        first, last = feature["start_positions"], feature["end_positions"]
        if first == 0:
            assert last == 0
            continue
        begin, stop = offsets[first], offsets[last]
        assert begin is not None
        assert stop is not None
        assert context[begin[0] : stop[1]] == "w30 w31"
        pointed += 1
    assert 1 <= pointed < len(windows.features)
    assert answer_tokens(question_of(context, "", ()), windows.offsets[0]) is None


def test_the_best_span_over_all_windows_is_the_answer_or_none(tokenizer: Any) -> None:
    context = " ".join(f"w{word}" for word in range(10, 50))
    question = question_of(context, "w30 w31")
    windows = cut_windows([question], tokenizer, 16, 4, is_training=True)
    width = max(len(feature["input_ids"]) for feature in windows.features)
    starts = np.zeros((len(windows.features), width), np.float32)
    ends = np.zeros_like(starts)
    for row, feature in enumerate(windows.features):
        if feature["start_positions"]:
            starts[row, feature["start_positions"]] = ends[row, feature["end_positions"]] = 5.0
            # An end before the start, and a place in the question, are no answers.
            ends[row, feature["start_positions"] - 1] = starts[row, 1] = 9.0
    found = best_answers([question], windows, starts, ends, may_be_empty=True)
    assert found == {"q": "w30 w31"}
    starts[:, 0] = ends[:, 0] = 50.0
    assert best_answers([question], windows, starts, ends, may_be_empty=True) == {"q": ""}
    assert best_answers([question], windows, starts, ends, may_be_empty=False) == found


def test_the_papers_grids(model: Path, tmp_path: Path) -> None:
    tiny = FinetuneOptions(grid="paper").settings(model, is_question_answering=True)
    assert len(tiny) == 18
    assert Hyper(3e-4, 64, 10) in tiny
    for hidden, learning_rates, batches in ((768, {2e-5, 3e-5}, {12, 24}),
                                            (1024, {1e-5, 2e-5}, {16, 32})):  # fmt: skip
        (tmp_path / "config.json").write_text(json.dumps({"hidden_size": hidden}))
        found = FinetuneOptions(grid="paper").settings(tmp_path, is_question_answering=True)
        assert {each.learning_rate for each in found} == learning_rates
        assert {each.batch_size for each in found} == batches
        assert {each.epochs for each in found} == {2, 4}


@pytest.mark.parametrize(
    ("task", "predicted", "gold", "expected"),
    [
        ("sst-2", [1, 0, 1, 1], [1, 0, 0, 1], {"accuracy": 75.0}),
        # 2 of 3 found, 2 of 2 right: F1 0.8
        ("mrpc", [1, 1, 0, 0], [1, 1, 1, 0], {"accuracy": 75.0, "f1": 80.0}),
        # (2*1 - 1*0) / sqrt(3*2*1*2)
        ("cola", [1, 1, 1, 0], [1, 1, 0, 0], {"matthews": 100 * 2 / 12**0.5}),
        ("sts-b", [1.0, 2.0, 4.0], [0.0, 1.0, 2.0], {"spearman": 100.0, "pearson": 98.198}),
        ("sts-b", [1.0, 1.0, 1.0], [0.0, 1.0, 2.0], {"spearman": 0.0, "pearson": 0.0}),
    ],
)
def test_metrics_by_hand(
    task: str, predicted: list[float], gold: list[float], expected: dict[str, float]
) -> None:
    found = score_labels(task, np.array(predicted), np.array(gold))
    assert found == pytest.approx(expected, abs=1e-3)


def test_entities_count_whole() -> None:
    gold = [["B-PER", "I-PER", "O"], ["B-LOC", "O", "O"]]
    assert score_tags(gold, gold) == {"f1": 100.0, "accuracy": 100.0}
    found = score_tags([["B-PER", "O", "O"], ["B-LOC", "O", "O"]], gold)
    assert found["f1"] == pytest.approx(50.0)
    assert found["accuracy"] == pytest.approx(100 * 5 / 6)
    assert score_tags([["NN"]], [["NN"]]) == {"accuracy": 100.0}


def test_bad_data_is_told_with_its_place(tmp_path: Path, model: Path) -> None:
    bad = tmp_path / "train.tsv"
    bad.write_text("sentence\twrong\nx\t1\n")
    with pytest.raises(SchemaError, match="'label'"):
        read_examples(bad, TASKS["sst-2"])
    bad.write_text("a\tb\n")
    with pytest.raises(SchemaError, match="at least 4 columns"):
        read_examples(bad, TASKS["cola"])
    bad.write_text("lonely\n")
    with pytest.raises(SchemaError, match="line 1"):
        read_sentences(bad)
    assert main(["finetune", "classify", str(model), str(tmp_path), "--out", "x", "--quiet"]) == 1
    for wrong in ({"fraction": 0.0}, {"seeds": (1, 1)}, {"epochs": 0}, {"learning_rate": 0.0}):
        with pytest.raises(ConfigError):
            FinetuneOptions(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("task", ["SST-2", "CoLA", "MRPC", "STS-B"])
def test_the_real_files_are_read_whole(task: str, shared_data: Path) -> None:
    sizes = {"SST-2": 872, "CoLA": 1043, "MRPC": 408, "STS-B": 1500}
    path = shared_data / "glue" / task / "dev.tsv.xz"
    assert len(read_examples(path, TASKS[task.lower()])) == sizes[task]


def test_the_real_questions_are_read_whole(shared_data: Path) -> None:
    from linkbert.finetuning.qa_data import read_questions

    sizes = {
        "squad2-cs224n-dev.json": 6078, "squad-part-dev.json": 810, "squad-part-train.json": 269,
        "hotpotqa-distractor-100-amor-dev.jsonl": 100,
    }  # fmt: skip
    for name, size in sizes.items():
        assert len(read_questions(shared_data / "qa" / name)) == size
