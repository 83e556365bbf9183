"""Fine-tuning end to end on tiny models: what can be learned is learned."""

import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from linkbert.cli.commands import main
from linkbert.export.export import export
from linkbert.finetuning import qa as qa_module
from linkbert.finetuning import training
from linkbert.finetuning.classify import TASKS, finetune_classify, read_examples, score_labels
from linkbert.finetuning.options import FinetuneOptions, Hyper
from linkbert.finetuning.qa import answer_tokens, best_answers, cut_windows, finetune_qa
from linkbert.finetuning.qa_data import Question
from linkbert.finetuning.tag import read_sentences, score_tags
from linkbert.finetuning.training import Job, Trained, run_table
from linkbert.training.trainer import pretrain
from schemas.errors import CheckpointError, ConfigError, SchemaError
from tests.linkbert.conftest import small_config
from tests.linkbert.shards_folder import write_shards

pytestmark = pytest.mark.end_to_end


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
        "--learning-rate", "0.01", "--epochs", 8, "--batch-size", 8,
    )  # fmt: skip
    assert found["best"]["dev"]["exact_match"]["mean"] > 60
    assert (questions / "out/model/model.safetensors").is_file()


def test_the_model_of_the_best_run_is_kept_whatever_came_after(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seeds 0 to 2 score 10, 30, 20; the run of seed 1 is cut off once between model and scores."""
    (tmp_path / "data.tsv").write_text("")
    scores = {0: 10.0, 1: 30.0, 2: 20.0}

    def run_one(hyper: Hyper, seed: int) -> Trained:
        ran.append(seed)
        return Trained({"dev": {"f1": scores[seed]}}, Saved(f"model {seed}"), Saved("tokenizer"))

    ran: list[int] = []
    job = Job("made", model, (tmp_path / "data.tsv",), "f1")
    options = FinetuneOptions(seeds=(0, 1, 2))
    settings = [Hyper(1e-3, 8, 1)]
    with monkeypatch.context() as patch:
        patch.setattr(training, "write_json", cut_off_at("seed1", training.write_json))
        with pytest.raises(KeyboardInterrupt):
            run_table(job, options, settings, run_one, tmp_path / "out")
    found = run_table(job, options, settings, run_one, tmp_path / "out")
    assert ran == [0, 1, 1, 2]
    assert (tmp_path / "out/model/model 1").is_file()
    assert not (tmp_path / "out/model/model 2").exists()
    assert found["best"]["dev"]["f1"] == {"mean": 20.0, "sd": 10.0, "by_seed": [10.0, 30.0, 20.0]}


class Saved:
    """A model or a tokenizer that leaves its name in the folder where it is saved."""

    def __init__(self, name: str) -> None:
        self.name = name

    def save_pretrained(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / self.name).touch()


def cut_off_at(word: str, write: Callable[..., None]) -> Callable[..., None]:
    def write_or_stop(path: Path, value: Any) -> None:
        if word in path.name:
            raise KeyboardInterrupt
        write(path, value)

    return write_or_stop


def test_a_classifier_is_kept_with_the_names_of_its_labels(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModelForSequenceClassification

    rows = "sentence1\tsentence2\tlabel\n" + "w1\tw2\tnot_entailment\nw2\tw1\tentailment\n" * 4
    for name in ("train", "dev"):
        (tmp_path / f"{name}.tsv").write_text(rows)
    argv = ["classify", model, tmp_path, "--task", "rte", "--out", tmp_path / "out"]
    # A fraction that holds one label only still has a head for both.
    found = run(capsys, *argv, "--fraction", "0.1", "--epochs", 1)
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
    assert "lower the rate" in caplog.text
    assert json.loads((tmp_path / "out/results.json").read_text())["best"]["dev"] == {
        name: {"mean": 0.0, "sd": None, "by_seed": [0.0]} for name in ("pearson", "spearman")
    }


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


@pytest.mark.parametrize(("num_positions", "window"), [(512, (384, 128)), (64, (64, 21))])
def test_windows_share_the_papers_stride(
    num_positions: int,
    window: tuple[int, int],
    model: Path,
    questions: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """384 tokens with 128 shared; in a model of 64 positions a third of a window."""

    class CutError(Exception):
        pass

    def with_positions(factory: Any, folder: Path) -> Any:
        loaded = factory.from_pretrained(folder)
        if hasattr(loaded, "config"):
            loaded.config.max_position_embeddings = num_positions
        return loaded

    def stop(rows: Any, tokenizer: Any, *asked: int, **rest: Any) -> None:
        raise CutError(asked)

    monkeypatch.setattr(qa_module, "load", with_positions)
    monkeypatch.setattr(qa_module, "cut_windows", stop)
    with pytest.raises(CutError) as found:
        finetune_qa(model, [questions], questions / "out", FinetuneOptions(max_length=384))
    assert found.value.args == (window,)


@pytest.mark.parametrize("num_words", [29, 30, 31, 58, 62, 200])
def test_a_long_question_leaves_room_for_the_context(num_words: int, tokenizer: Any) -> None:
    context = " ".join(f"w{word}" for word in range(10, 50))
    question = Question("q", "w5 " * num_words, context, ("w30",), (context.index("w30"),), "g")
    windows = cut_windows([question], tokenizer, 64, 21, is_training=True)
    assert all(len(feature["input_ids"]) <= 64 for feature in windows.features)
    covered = {span for offsets in windows.offsets for span in offsets if span is not None}
    assert len(covered) == 40
    assert any(feature["start_positions"] for feature in windows.features)


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
        found = FinetuneOptions(grid="paper").settings(tmp_path, is_question_answering=False)
        assert {each.learning_rate for each in found} == {5e-6, 1e-5, 2e-5, 3e-5, 5e-5}
        assert {each.batch_size for each in found} == {16, 32, 64}
        assert {each.epochs for each in found} == {3, 5, 10}


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
    scores = tmp_path / "scores.tsv"
    for score in ("x", "nan", ""):
        scores.write_text(f"sentence1\tsentence2\tscore\na\tb\t1.0\na\tb\t{score}\n")
        with pytest.raises(SchemaError, match="score in row 2"):
            read_examples(scores, TASKS["sts-b"])
    bad.write_text("lonely\n")
    with pytest.raises(SchemaError, match="line 1"):
        read_sentences(bad)
    assert main(["finetune", "classify", str(model), str(tmp_path), "--out", "x", "--quiet"]) == 1
    scores.unlink()
    for wrong in ({"fraction": 0.0}, {"seeds": (1, 1)}, {"epochs": 0}, {"learning_rate": 0.0}):
        with pytest.raises(ConfigError):
            FinetuneOptions(**wrong)  # type: ignore[arg-type]


def test_a_few_rows_without_all_columns_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = ["id\tquestion1\tquestion2\tis_duplicate", *["1\ta\tb\t0"] * 199, "2\ta"]
    (tmp_path / "train.tsv").write_text("\n".join(rows))
    assert len(read_examples(tmp_path / "train.tsv", TASKS["qqp"])) == 199
    assert "1 rows" in caplog.text
    (tmp_path / "train.tsv").write_text("\n".join([*rows[:90], "2\ta"]))
    with pytest.raises(SchemaError, match="found 2 in row 90"):
        read_examples(tmp_path / "train.tsv", TASKS["qqp"])


@pytest.mark.parametrize(
    ("train", "dev", "said"),
    [
        ("w1\t0\nw2\t1", "w1\t2", "'2' in .*dev.tsv"),
        ("w1\t0\nw2\t0", "w1\t0", "two labels or more"),
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


def test_a_folder_that_is_no_model_is_told_without_a_word_of_a_network(
    tmp_path: Path, questions: Path
) -> None:
    with pytest.raises(CheckpointError, match="found none at nowhere"):
        finetune_qa(Path("nowhere"), [questions], tmp_path / "out", FinetuneOptions())


def test_windows_too_short_for_a_question_and_a_context_are_refused(
    model: Path, questions: Path
) -> None:
    with pytest.raises(ConfigError, match="at least 16 tokens"):
        finetune_qa(model, [questions], questions / "out", FinetuneOptions(max_length=8))


def test_words_may_hold_unicode_blanks_and_line_separators(tmp_path: Path) -> None:
    (tmp_path / "dev.conll").write_text("5\u00a0km\tO\r\nx\u2028y NN B-LOC\r\n\r\nz O\n")
    first, second = read_sentences(tmp_path / "dev.conll")
    assert first.words == ["5\u00a0km", "x\u2028y"]
    assert first.tags == ["O", "B-LOC"]
    assert second.words == ["z"]


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
