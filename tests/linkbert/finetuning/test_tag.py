"""Tagged sentences in every form, and a tagger from files to figures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linkbert.finetuning.options import FinetuneOptions
from linkbert.finetuning.tag import finetune_tag
from schemas.errors import SchemaError
from tests.linkbert.finetuning.conftest import Finetune

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]


def test_tags_that_follow_from_words_are_learned(
    model: Path, tmp_path: Path, finetune: Finetune
) -> None:
    rng = np.random.default_rng(2)
    for name, size in (("train", 80), ("dev", 20)):
        lines = ["-DOCSTART- -X- O", ""]
        for _ in range(size):
            words = rng.integers(0, 30, 6)
            lines += [f"w{word} NN {'B-PER' if word < 10 else 'O'}" for word in words]
            lines.append("")
        (tmp_path / f"{name}.conll").write_text("\n".join(lines))
    found = finetune(
        "tag", model, tmp_path, "--out", tmp_path / "out",
        "--learning-rate", "0.02", "--epochs", 10,
    )  # fmt: skip
    assert found["metric"] == "f1"
    assert found["best"]["dev"]["f1"]["mean"] > 80
    blocks = (tmp_path / "out/predictions/dev.conll").read_text().split("\n\n")
    assert len(blocks) == 20
    assert all(len(line.split(" ")) == 3 for line in blocks[0].splitlines())


def write_tagged(folder: Path, tags: dict[str, list[list[Any]]]) -> None:
    for name, sentences in tags.items():
        rows = [
            {"tokens": [f"w{n}" for n in range(len(each))], "ner_tags": each} for each in sentences
        ]
        (folder / f"{name}.json").write_text("\n".join(map(json.dumps, rows)))


def test_bare_tags_are_scored_as_entities(model: Path, tmp_path: Path, finetune: Finetune) -> None:
    tags = [["B", "I", "O", "O"], ["O", "O", "B", "O"]]
    write_tagged(tmp_path, {"train": tags * 30, "dev": tags, "test": tags})
    found = finetune(
        "tag", model, tmp_path, "--out", tmp_path / "out", "--epochs", 1, "--learning-rate", "0.001"
    )
    assert found["metric"] == "f1"
    assert set(found["best"]["test"]) == {"f1", "accuracy"}


def test_numbers_and_parts_of_speech_have_no_f1(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number, (tags, is_told) in enumerate((([[0, 1]], True), ([["NN", "VB"]], False))):
        write_tagged(tmp_path, {"train": tags, "dev": tags})
        caplog.clear()
        out = tmp_path / f"out{number}"
        found = finetune_tag(model, [tmp_path], out, FinetuneOptions(epochs=1))
        assert found["metric"] == "accuracy"
        assert ("F1 of entities cannot be computed" in caplog.text) == is_told


def test_words_beyond_the_longest_sequence_are_counted(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tags = [["B", *["O"] * 49]]
    write_tagged(tmp_path, {"train": tags, "dev": tags})
    options = FinetuneOptions(epochs=1, max_length=12)
    finetune_tag(model, [tmp_path], tmp_path / "out", options)
    assert "40 words of dev are beyond the first 12 tokens" in caplog.text


def test_one_tag_is_nothing_to_learn(model: Path, tmp_path: Path) -> None:
    write_tagged(tmp_path, {"train": [["_"]], "dev": [["_"]]})
    with pytest.raises(SchemaError, match="expected at least two tags"):
        finetune_tag(model, [tmp_path], tmp_path / "out", FinetuneOptions())
