"""Question answering from files to figures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linkbert.finetuning import qa as qa_module
from linkbert.finetuning.options import FinetuneOptions
from linkbert.finetuning.qa import answer, finetune_qa
from schemas.errors import CheckpointError, ConfigError
from tests.linkbert.finetuning.conftest import Finetune

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]


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
    model: Path, questions: Path, finetune: Finetune
) -> None:
    found = finetune(
        "qa", model, questions, "--out", questions / "out", "--distractors", 1,
        "--learning-rate", "0.01", "--epochs", 8, "--batch-size", 8,
    )  # fmt: skip
    assert found["best"]["dev"]["exact_match"]["mean"] > 60
    assert (questions / "out/model/model.safetensors").is_file()
    predicted = json.loads((questions / "out/predictions/dev.json").read_text())
    right = sum(text == "w2" for text in predicted.values()) / len(predicted)
    assert 100 * right == pytest.approx(found["best"]["dev"]["exact_match"]["mean"])
    context = " ".join(["w30 w31 w1 w2", *(f"w{word}" for word in range(32, 50))])
    assert answer(questions / "out/model", "w1 w3", context) in context


FLAT = [
    {"id": str(n), "question": "w1 w3", "context": f"w{n + 5} w1 w2 w9",
     "answers": {"answer_start": [6], "text": ["w2"]}}
    for n in range(4)
]  # fmt: skip


def write_lines(path: Path, rows: list[Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_test_file_beside_dev_makes_fixed_splits(
    model: Path, tmp_path: Path, finetune: Finetune
) -> None:
    """The released repository's forms; a test may keep its answers back."""
    for name in ("train", "dev"):
        write_lines(tmp_path / f"{name}.json", FLAT)
    write_lines(tmp_path / "test.json", FLAT[:3])
    found = finetune("qa", model, tmp_path, "--out", tmp_path / "out", "--epochs", 1)
    assert set(found["best"]) >= {"dev", "test"}
    assert found["data"]["test"] == {
        "num_questions": 3, "num_answers": 3, "num_moved": 0, "num_lost": 0,
    }  # fmt: skip
    assert len(json.loads((tmp_path / "out/predictions/dev.json").read_text())) == 4
    kept_back = [row | {"answers": {"answer_start": [], "text": []}} for row in FLAT[:3]]
    write_lines(tmp_path / "test.json", kept_back)
    found = finetune("qa", model, tmp_path, "--out", tmp_path / "again", "--epochs", 1)
    assert "test" not in found["best"]
    assert len(json.loads((tmp_path / "again/predictions/test.json").read_text())) == 3


def mrqa_row(number: int) -> dict[str, Any]:
    found = [{"text": "w2", "char_spans": [[3, 4]]}]
    qa = {"qid": str(number), "question": "w1 w3", "answers": ["w2"], "detected_answers": found}
    return {"context": f"w1 w2 w{number + 5}", "qas": [qa]}


def test_only_mrqas_dev_file_is_halved_and_only_without_a_test_file(
    model: Path, tmp_path: Path, finetune: Finetune
) -> None:
    rows = [{"header": {}}, *(mrqa_row(number) for number in range(6))]
    for name in ("train", "dev"):
        write_lines(tmp_path / f"{name}.jsonl", rows)
    finetune("qa", model, tmp_path, "--out", tmp_path / "out", "--epochs", 1)
    halves = [
        set(json.loads((tmp_path / f"out/predictions/{name}.json").read_text()))
        for name in ("dev", "test")
    ]
    assert [len(half) for half in halves] == [3, 3]
    assert not halves[0] & halves[1]
    write_lines(tmp_path / "test.jsonl", rows[:3])
    found = finetune("qa", model, tmp_path, "--out", tmp_path / "fixed", "--epochs", 1)
    assert found["data"]["test"]["num_questions"] == 2
    assert len(json.loads((tmp_path / "fixed/predictions/dev.json").read_text())) == 6


def test_misplaced_answers_are_refused_where_that_is_asked(
    model: Path, tmp_path: Path, finetune: Finetune, capsys: pytest.CaptureFixture[str]
) -> None:
    from linkbert.cli.commands import main

    wrong = [row | {"answers": {"answer_start": [4], "text": ["w2"]}} for row in FLAT]
    for name in ("train", "dev"):
        write_lines(tmp_path / f"{name}.json", wrong)
    argv = ["qa", model, tmp_path, "--out", tmp_path / "out", "--epochs", 1]
    found = finetune(*argv)
    assert found["data"]["train"]["num_moved"] == 4
    assert main([*map(str, ["finetune", *argv]), "--strict", "--quiet"]) == 1
    assert "leave out --strict" in capsys.readouterr().err


@pytest.mark.parametrize(("num_positions", "window"), [(512, (384, 128)), (64, (64, 21))])
def test_windows_share_the_papers_stride(
    num_positions: int, window: tuple[int, int], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """384 tokens with 128 shared; in a model of 64 positions a third of a window."""
    monkeypatch.setattr(qa_module, "longest_sequence", lambda _, wanted: min(wanted, num_positions))
    assert qa_module._window(model, FinetuneOptions(max_length=384)) == window


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
