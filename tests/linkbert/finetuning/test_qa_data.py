"""Forms of question files, distractors and halves."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from linkbert.finetuning.qa_data import (
    Question,
    add_distractors,
    findable,
    halves,
    read_questions,
)
from schemas.errors import SchemaError


def squad(*articles: tuple[str, list[tuple[str, str, str, int]]]) -> dict[str, Any]:
    return {
        "data": [
            {
                "title": title,
                "paragraphs": [
                    {
                        "context": context,
                        "qas": [
                            {"id": f"{title}{number}", "question": question,
                             "answers": [{"text": answer, "answer_start": start}]}
                        ],
                    }
                    for number, (context, question, answer, start) in enumerate(paragraphs)
                ],
            }
            for title, paragraphs in articles
        ]
    }  # fmt: skip


TWO = squad(
    ("Rome", [("Rome lies in Italy.", "Where is Rome?", "Italy", 13)]),
    ("Oslo", [("Oslo lies in Norway.", "Where is Oslo?", "Norway", 13)]),
    ("Bern", [("Bern lies on the Aare.", "On what?", "the Aare", 13)]),
)


def test_squad_v1_and_v2(tmp_path: Path) -> None:
    values = json.loads(json.dumps(TWO))
    values["data"][1]["paragraphs"][0]["qas"][0] |= {"is_impossible": True, "answers": []}
    (tmp_path / "dev.json").write_text(json.dumps(values, indent=1))
    found = read_questions(tmp_path / "dev.json")
    assert [each.answers for each in found] == [("Italy",), (), ("the Aare",)]
    assert [each.group for each in found] == ["Rome", "Oslo", "Bern"]


def test_mrqa_spans_include_their_end_and_several_documents_share_a_context(
    tmp_path: Path,
) -> None:
    context = "[DOC] [TLE] Rome [PAR] Rome lies in Italy. [DOC] [TLE] Oslo [PAR] Norway."
    start = context.index("Italy")
    row = {
        "id": "x", "context": context,
        "qas": [{"qid": "q1", "question": "Where?", "answers": ["Italy", "the boot"],
                 "detected_answers": [{"text": "Italy", "char_spans": [[start, start + 4]]}]}],
    }  # fmt: skip
    lines = [json.dumps({"header": {"dataset": "X"}}), json.dumps(row)]
    with gzip.open(tmp_path / "dev.jsonl.gz", "wt") as file:
        file.write("\n".join(lines) + "\n")
    [found] = read_questions(tmp_path / "dev.jsonl.gz")
    assert found.answers == ("Italy",)
    assert found.golds == ("Italy", "the boot")
    assert found.starts == (start,)


def test_hotpot_documents_stand_in_one_context(tmp_path: Path) -> None:
    row = {
        "_id": "h", "question": "Who?", "answer": "Ann", "supporting_facts": [],
        "context": [["First", ["One. ", "Two."]], ["Second", ["It was Ann."]]],
    }  # fmt: skip
    yes = row | {"_id": "y", "answer": "yes"}
    (tmp_path / "dev.jsonl").write_text("\n".join(map(json.dumps, (row, yes))))
    first, second = read_questions(tmp_path / "dev.jsonl")
    assert "First: One. Two. Second: It was Ann." in first.context
    assert first.context[first.starts[0] :].startswith("Ann")
    assert second.context[second.starts[0] :].startswith("yes")


def test_every_form_of_a_hotpot_file_reads_alike(tmp_path: Path) -> None:
    """Its own form is one list; a line separator of Unicode within a text ends no line."""
    rows = [
        {"_id": name, "question": "Who\u2028is\x85it?", "answer": "Ann", "supporting_facts": [],
         "context": [["First", ["It was Ann."]]]}
        for name in ("h", "i")
    ]  # fmt: skip
    forms = {
        "list": json.dumps(rows),
        "lines": "\n".join(json.dumps(row, ensure_ascii=False) for row in rows),
    }
    found = []
    for name, text in forms.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        found.append(read_questions(tmp_path / name))
    assert found[0] == found[1]
    assert len(found[0]) == 2
    (tmp_path / "one").write_text(json.dumps(rows[0]))
    assert read_questions(tmp_path / "one") == found[0][:1]


def test_an_answer_outside_the_context_counts_but_cannot_be_pointed_to(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    row = {"_id": "h", "question": "Who?", "answer": "Ann", "context": [["First", ["Bob."]]]}
    (tmp_path / "dev.json").write_text(json.dumps([row]))
    [lost] = read_questions(tmp_path / "dev.json")
    assert (lost.answers, lost.starts, lost.golds) == ((), (), ("Ann",))
    unanswerable, answered = replace(lost, golds=()), questions(tmp_path)[0]
    path = tmp_path / "train.json"
    assert findable([lost, unanswerable, answered], path) == [unanswerable, answered]
    assert "1 of 3 training questions left out" in caplog.text
    with pytest.raises(SchemaError, match="stand in their contexts"):
        findable([lost], path)


def test_an_id_that_stands_there_twice_is_two_questions(tmp_path: Path) -> None:
    values = json.loads(json.dumps(TWO))
    for article in values["data"]:
        article["paragraphs"][0]["qas"][0]["id"] = "same"
    (tmp_path / "dev.json").write_text(json.dumps(values))
    found = read_questions(tmp_path / "dev.json")
    assert [each.question_id for each in found] == ["same", "same#2", "same#3"]


@pytest.mark.parametrize("text", ["", "{}", '{"a": 1}\n{"b": 2}\n', '{"data": []}', "plain", "[1]"])
def test_a_file_of_no_known_form_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "dev.json").write_text(text)
    with pytest.raises(SchemaError, match=r"dev\.json"):
        read_questions(tmp_path / "dev.json")


def test_a_damaged_line_is_told_by_its_number(tmp_path: Path) -> None:
    (tmp_path / "dev.jsonl").write_text('{"header": {}}\n{"context": "x", \n')
    with pytest.raises(SchemaError, match="in line 2"):
        read_questions(tmp_path / "dev.jsonl")
    (tmp_path / "dev.jsonl").write_text('{"header": {}}\n')
    with pytest.raises(SchemaError, match="expected questions, found none"):
        read_questions(tmp_path / "dev.jsonl")


def test_an_answer_that_stands_elsewhere_is_refused(tmp_path: Path) -> None:
    wrong = squad(("Rome", [("Rome lies in Italy.", "Where?", "Italy", 12)]))
    (tmp_path / "dev.json").write_text(json.dumps(wrong))
    with pytest.raises(SchemaError, match="'Italy' at character 12"):
        read_questions(tmp_path / "dev.json")


def questions(tmp_path: Path) -> list[Question]:
    (tmp_path / "dev.json").write_text(json.dumps(TWO))
    return read_questions(tmp_path / "dev.json")


@pytest.mark.parametrize("number", [0, 1, 2])
def test_distractors_come_from_other_articles_and_answers_move_along(
    number: int, tmp_path: Path
) -> None:
    plain = questions(tmp_path)
    places = set()
    for seed in range(5):
        for before, after in zip(plain, add_distractors(plain, number, seed), strict=True):
            start = after.starts[0]
            assert after.context[start : start + len(after.answers[0])] == after.answers[0]
            added = [each for each in plain if each.context in after.context]
            assert len(added) == number + 1
            assert before.context in after.context
            places.add(after.context.index(before.context) > 0)
    assert places == ({False} if number == 0 else {True, False})


def test_more_distractors_than_there_are_contexts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"3 contexts of other articles .* found 2"):
        add_distractors(questions(tmp_path), 3, 0)


def test_one_article_has_no_distractors(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"1 contexts of other articles .* found 0"):
        add_distractors(questions(tmp_path)[:1], 1, 0)


def test_halves_share_no_group_and_lose_nothing(tmp_path: Path) -> None:
    plain = questions(tmp_path)
    dev, test = halves(plain)
    assert dev
    assert test
    assert not {each.group for each in dev} & {each.group for each in test}
    assert {each.question_id for each in [*dev, *test]} == {each.question_id for each in plain}
