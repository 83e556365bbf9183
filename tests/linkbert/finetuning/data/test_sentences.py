"""Tagged sentences in every form."""

import json
from pathlib import Path

import pytest

from linkbert.finetuning.data.sentences import read_sentences
from schemas.errors import SchemaError


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
        ('{"tokens": ["a"], "ner_tags": ["O", "O"]}\n', "expected tokens or words and as many"),
        ('{"tokens": "a", "ner_tags": "O"}\n', "expected tokens or words and as many"),
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
