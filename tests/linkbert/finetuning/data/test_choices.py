"""Questions with options in every form."""

import json
from pathlib import Path
from typing import Any

import pytest

from linkbert.finetuning.data.choices import Choice, read_choices
from schemas.errors import SchemaError


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.json", {"sent1": "Why?", "sent2": "", "ending0": "a", "ending1": "b", "label": 1}),
        ("x.json", {"question": "Why?", "options": {"A": "a", "B": "b"}, "answer_idx": "B"}),
        ("x.json", {"question": "Why?", "choices": ["a", "b"], "answer": 1}),
        ("x.json", {"question": "Why?", "options": ["a", "b"], "answer": "B"}),
        ("x.json", {"question": "Why?", "choices": ["a", "b"], "answer": "b"}),
        ("x.json", {"question": "Why?", "choices": {"text": ["a", "b"], "label": ["1", "2"]},
                    "answerKey": "2"}),
        ("x.json", {"question": {"stem": "Why?", "choices": [{"text": "a", "label": "A"},
                                                             {"text": "b", "label": "B"}]},
                    "answerKey": "B"}),
        ("x.csv", "Why?,a,b,B\n"),
        ("x.csv", "question,A,B,answer\nWhy?,a,b,B\n"),
        ("x.csv", "video-id,sent1,sent2,ending0,ending1,label\n1,Why?,,a,b,1\n"),
    ],
)  # fmt: skip
def test_every_form_gives_the_same_question(name: str, text: Any, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text if isinstance(text, str) else json.dumps(text))
    assert read_choices(tmp_path / name) == [Choice("0", "Why?", ("a", "b"), 1)]


def test_swag_continues_its_second_sentence(tmp_path: Path) -> None:
    row = {"id": 7, "sent1": "A dog.", "sent2": "It", "ending0": "barks", "ending1": "sings"}
    (tmp_path / "x.json").write_text(json.dumps(row))
    assert read_choices(tmp_path / "x.json") == [
        Choice("7", "A dog.", ("It barks", "It sings"), None)
    ]


def test_a_passage_is_read_with_the_question_beside_each_option(tmp_path: Path) -> None:
    row = {"article": "Long.", "question": "Why?", "options": ["a", "b"], "answer": "A"}
    (tmp_path / "x.json").write_text(json.dumps(row))
    assert read_choices(tmp_path / "x.json") == [Choice("0", "Long.", ("Why? a", "Why? b"), 0)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("question,A,answer\nWhy?,a,A\n", "1 options"),
        ("Why?,a,b,B\nWho?,a,b,c,C\n", "expected 2 options in row 2"),
        ("Why?,a,b,C\n", "row 1 of .*no option 'C'"),
        ("Why?,a,b,2\n", "row 1 of .*no option number 2"),
        ("Why?,a,b,what\n", "row 1"),
        ("Why?,a\n", "2 columns"),
        ("", "found none in"),
    ],
)
def test_bad_rows_are_told_with_their_place(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(SchemaError, match=said):
        read_choices(tmp_path / "x.csv")
