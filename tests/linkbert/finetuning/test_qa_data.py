"""Forms of question files, distractors and halves."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from linkbert.finetuning.qa_data import Question, add_distractors, halves, read_questions
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
    assert found.answers == ("Italy", "the boot")
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


@pytest.mark.parametrize("text", ["", "{}", '{"a": 1}\n{"b": 2}\n', '{"data": []}', "plain"])
def test_a_file_of_no_known_form_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "dev.json").write_text(text)
    with pytest.raises(SchemaError, match=r"dev\.json"):
        read_questions(tmp_path / "dev.json")


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


def test_one_article_has_no_distractors(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="several articles"):
        add_distractors(questions(tmp_path)[:1], 1, 0)


def test_halves_share_no_group_and_lose_nothing(tmp_path: Path) -> None:
    plain = questions(tmp_path)
    dev, test = halves(plain)
    assert dev
    assert test
    assert not {each.group for each in dev} & {each.group for each in test}
    assert {each.question_id for each in [*dev, *test]} == {each.question_id for each in plain}
