"""Tagged sentences in every form, and a tagger from files to figures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linkbert.finetuning.options import FinetuneOptions
from linkbert.finetuning.tag import finetune_tag, read_sentences
from schemas.errors import SchemaError
from tests.linkbert.finetuning.conftest import Finetune

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]


def words_and_tags(path: Path, text: str) -> list[tuple[list[str], list[str]]]:
    path.write_text(text, encoding="utf-8", newline="")
    return [(each.words, each.tags) for each in read_sentences(path)]


ROME = [(["In", "Rome", "."], ["O", "B", "O"]), (["Hm"], ["O"])]


@pytest.mark.parametrize(
    "text",
    [
        "In\tO\nRome\tB\n.\tO\n\nHm\tO\n",
        "-DOCSTART- -X- O\r\n\r\nIn IN O\r\nRome NNP B\r\n. . O\r\n\r\nHm UH O\r\n",
        "# id 8f-1\tdomain=en\nIn\tO\nRome\tB\n.\tO\n\n# id 8f-2\tdomain=en\nHm\tO\n",
        # As many columns as the words have, but no tag.
        "# id x 7\nIn _ _ O\nRome _ _ B\n. _ _ O\n\n# id y 8\nHm _ _ O\n",
        "Token\tTag\nIn\tO\nRome\tB\n.\tO\n\nHm\tO\n",
        "# text = In Rome . O\nIn O\nRome B\n. O\n\nHm O\n",
        json.dumps({"tokens": ["In", "Rome", "."], "ner_tags": ["O", "B", "O"]})
        + "\n" + json.dumps({"id": 1, "tokens": ["Hm"], "ner_tags": ["O"]}),
        json.dumps([{"words": each[0], "tags": each[1]} for each in ROME], indent=1),
    ],
)  # fmt: skip
def test_every_form_gives_the_same_sentences(text: str, tmp_path: Path) -> None:
    assert words_and_tags(tmp_path / "dev.txt", text) == ROME


def test_a_word_may_hold_blanks_where_tabs_part_columns(tmp_path: Path) -> None:
    text = "-DOCSTART- -X- O\n\n# id 3\nNew York\tB\nis\t O\n"
    assert words_and_tags(tmp_path / "dev.txt", text) == [(["New York", "is"], ["B", "O"])]


def test_conllu_gives_words_with_their_parts_of_speech(tmp_path: Path) -> None:
    rows = [
        "# sent_id = 1", "# text = Vámonos al mar",
        "1-2\tVámonos\t_\t_\t_\t_\t_\t_\t_\t_",
        "1\tVamos\tir\tVERB\t_\t_\t0\troot\t_\t_",
        "2\tnos\tnosotros\tPRON\t_\t_\t1\tobj\t_\tSpaceAfter=No",
        "2.1\tvan\tir\tVERB\t_\t_\t_\t_\t0:root\t_",
        "3\ta el\ta el\tADP\t_\t_\t1\tx\t_\t_", "",
    ]  # fmt: skip
    found = words_and_tags(tmp_path / "dev.conllu", "\n".join(rows))
    assert found == [(["Vamos", "nos", "a el"], ["VERB", "PRON", "ADP"])]


def test_a_word_may_be_a_hash_or_begin_with_one(tmp_path: Path) -> None:
    found = words_and_tags(tmp_path / "dev.conll", "# O\n#rome B-NEW\nx O\n")
    assert found == [(["#", "#rome", "x"], ["O", "B-NEW", "O"])]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lonely\n", "line 1 of .*dev.txt, found 'lonely'"),
        ("", "expected sentences, found none"),
        ("#begin document (x); part 000\nx 0 0 Rome NNP *\n", "found CoNLL-2012"),
        ("Rome|NNP|B is|VBZ|O\nIn|IN|O Rome|NNP|B .|.|O\n", "2 columns in the first and 3 in"),
        ("# from x\n1\tRome\tB\n2\tis\tO\n\n1\tHm\tO\n", "found numbers of words"),
        ('{"text": "x", "label": 1}\n', "object 1 of .* found text, label"),
        ('{"tokens": ["a"], "ner_tags": ["O", "O"]}\n', "equally many tokens"),
        ('{"tokens": "a", "ner_tags": "O"}\n', "equally many tokens"),
    ],
)
def test_other_forms_are_refused_with_the_place(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=said):
        words_and_tags(tmp_path / "dev.txt", text)


def test_words_may_hold_unicode_blanks_and_line_separators(tmp_path: Path) -> None:
    (tmp_path / "dev.conll").write_text("5\u00a0km\tO\r\nx\u2028y NN B-LOC\r\n\r\nz O\n")
    first, second = read_sentences(tmp_path / "dev.conll")
    assert first.words == ["5\u00a0km", "x\u2028y"]
    assert first.tags == ["O", "B-LOC"]
    assert second.words == ["z"]


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
        assert ("F1 of entities is not told" in caplog.text) == is_told


def test_words_beyond_the_longest_sequence_are_counted(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tags = [["B", *["O"] * 49]]
    write_tagged(tmp_path, {"train": tags, "dev": tags})
    options = FinetuneOptions(epochs=1, max_length=12)
    finetune_tag(model, [tmp_path], tmp_path / "out", options)
    assert "40 words of dev lie beyond 12 tokens" in caplog.text


def test_one_tag_is_nothing_to_learn(model: Path, tmp_path: Path) -> None:
    write_tagged(tmp_path, {"train": [["_"]], "dev": [["_"]]})
    with pytest.raises(SchemaError, match="expected two tags or more"):
        finetune_tag(model, [tmp_path], tmp_path / "out", FinetuneOptions())
