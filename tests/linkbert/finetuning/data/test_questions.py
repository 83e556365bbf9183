"""Every form in which question files are distributed, and answers at the wrong place."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from linkbert.finetuning.data.questions import FLAT, HOTPOT, MRQA, SQUAD, read_questions
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
    found = read_questions(tmp_path / "dev.json").questions
    assert [each.answers for each in found] == [("Italy",), (), ("the Aare",)]
    assert [each.group for each in found] == ["Rome", "Oslo", "Bern"]
    assert read_questions(tmp_path / "dev.json").form == SQUAD


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
    [found] = read_questions(tmp_path / "dev.jsonl.gz").questions
    assert found.answers == ("Italy",)
    assert found.golds == ("Italy", "the boot")
    assert found.starts == (start,)
    assert read_questions(tmp_path / "dev.jsonl.gz").form == MRQA


def test_hotpot_documents_stand_in_one_context(tmp_path: Path) -> None:
    row = {
        "_id": "h", "question": "Who?", "answer": "Ann", "supporting_facts": [],
        "context": [["First", ["One. ", "Two."]], ["Second", ["It was Ann."]]],
    }  # fmt: skip
    yes = row | {"_id": "y", "answer": "yes"}
    (tmp_path / "dev.jsonl").write_text("\n".join(map(json.dumps, (row, yes))))
    first, second = read_questions(tmp_path / "dev.jsonl").questions
    assert "First: One. Two. Second: It was Ann." in first.context
    assert first.context[first.starts[0] :].startswith("Ann")
    assert second.context[second.starts[0] :].startswith("yes")
    assert read_questions(tmp_path / "dev.jsonl").form == HOTPOT


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
        found.append(read_questions(tmp_path / name).questions)
    assert found[0] == found[1]
    assert len(found[0]) == 2
    (tmp_path / "one").write_text(json.dumps(rows[0]))
    assert read_questions(tmp_path / "one").questions == found[0][:1]


def test_an_id_that_stands_there_twice_is_two_questions(tmp_path: Path) -> None:
    values = json.loads(json.dumps(TWO))
    for article in values["data"]:
        article["paragraphs"][0]["qas"][0]["id"] = "same"
    (tmp_path / "dev.json").write_text(json.dumps(values))
    found = read_questions(tmp_path / "dev.json").questions
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


FLAT_ROW = {
    "id": "a", "question": "Where?", "context": "Rome lies in Italy.",
    "answers": {"answer_start": [13], "text": ["Italy"]},
}  # fmt: skip


@pytest.mark.parametrize(
    "answers",
    [
        {"answer_start": [13], "text": ["Italy"]},
        {"answer_start": 13, "text": "Italy"},
        [{"answer_start": 13, "text": "Italy"}],
        {"text": ["Italy"]},
        ["Italy"],
        "Italy",
        {"answer_start": [13], "text": ["italy"]},
    ],
)
def test_flat_lines_of_the_released_repository(answers: Any, tmp_path: Path) -> None:
    (tmp_path / "dev.json").write_text(json.dumps(FLAT_ROW | {"answers": answers}) + "\n")
    found = read_questions(tmp_path / "dev.json")
    assert found.form == FLAT
    assert [(each.answers, each.starts) for each in found.questions] == [(("Italy",), (13,))]


def test_a_test_may_keep_its_answers_back_and_nothing_else_may(tmp_path: Path) -> None:
    flat = {key: FLAT_ROW[key] for key in ("question", "context")}
    hotpot = {"_id": "h", "question": "Who?", "context": [["First", ["Ann."]]]}
    paragraph = {"context": "x", "qas": [{"id": "a", "question": "Why?"}]}
    for row in (
        flat,
        hotpot,
        {"paragraphs": [paragraph]},
        paragraph | {"qas": [{"qid": "m", "question": "Why?"}]},
    ):
        (tmp_path / "x.json").write_text(json.dumps(row))
        [found] = read_questions(tmp_path / "x.json", is_test=True).questions
        assert (found.answers, found.golds) == ((), ())
        with pytest.raises(SchemaError, match=r"x\.json, found"):
            read_questions(tmp_path / "x.json")


def test_a_key_that_is_not_there_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"question": "Who?"}')
    with pytest.raises(SchemaError, match="found one without 'context'"):
        read_questions(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"question": None}, "None in place of a text"),
        ({"answers": {"text": ["Italy"], "answer_start": [13, 1]}}, "1 answers with 2 places"),
        ({"answers": None}, "no answers of question a"),
    ],
)
def test_what_of_a_question_is_wrong_is_told(
    change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    (tmp_path / "x.json").write_text(json.dumps(FLAT_ROW | change))
    with pytest.raises(SchemaError, match=said):
        read_questions(tmp_path / "x.json")


def test_a_span_of_mrqa_that_is_off_is_moved(tmp_path: Path) -> None:
    found = [{"text": "Italy", "char_spans": [[12, 16]]}]
    qa = {"qid": "q", "question": "Where?", "answers": ["Italy"], "detected_answers": found}
    row = {"context": "Rome lies in Italy.", "qas": [qa]}
    (tmp_path / "dev.jsonl").write_text(json.dumps(row))
    read = read_questions(tmp_path / "dev.jsonl")
    assert [(each.answers, each.starts) for each in read.questions] == [(("Italy",), (13,))]
    assert read.counts["num_moved"] == 1


def test_flat_lines_without_an_answer_are_unanswerable(tmp_path: Path) -> None:
    rows = [FLAT_ROW, FLAT_ROW | {"id": "b", "answers": {"answer_start": [], "text": []}}]
    (tmp_path / "dev.json").write_text(json.dumps({"data": rows}))
    found = read_questions(tmp_path / "dev.json").questions
    assert [each.golds for each in found] == [("Italy",), ()]
    assert found[0].context is found[1].context


def test_hotpot_as_hugging_face_writes_it_reads_alike(tmp_path: Path) -> None:
    own = {
        "_id": "h", "question": "Who?", "answer": "Ann",
        "supporting_facts": [["Second", 1]],
        "context": [["First", ["Ann. "]], ["Second", ["Bob. ", "Ann."]]],
    }  # fmt: skip
    columns = {
        "id": "h", "question": "Who?", "answer": "Ann",
        "supporting_facts": {"title": ["Second"], "sent_id": [1]},
        "context": {"title": ["First", "Second"], "sentences": [["Ann. "], ["Bob. ", "Ann."]]},
    }  # fmt: skip
    (tmp_path / "own.json").write_text(json.dumps([own]))
    (tmp_path / "columns.json").write_text(json.dumps(columns))
    [question] = read_questions(tmp_path / "own.json").questions
    assert question.context[question.starts[0] - 5 :] == "Bob. Ann."
    assert read_questions(tmp_path / "columns.json").questions == [question]


def test_a_misplaced_answer_is_moved_counted_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = squad(
        ("Rome", [("Rome lies in Italy.", "Where?", "Italy", 10)]),
        ("Oslo", [("Oslo lies in Norway.", "Where?", "Sweden", 13)]),
        ("Bern", [("Bern lies on the Aare.", "On what?", "the Aare", 13)]),
    )
    (tmp_path / "dev.json").write_text(json.dumps(wrong))
    found = read_questions(tmp_path / "dev.json")
    assert [each.starts for each in found.questions] == [(13,), (), (13,)]
    assert [each.golds for each in found.questions] == [("Italy",), ("Sweden",), ("the Aare",)]
    assert found.counts == {"num_questions": 3, "num_answers": 3, "num_moved": 1, "num_lost": 1}
    assert (
        "of 3 answers 1 were moved to their nearest occurrence, 1 were found nowhere" in caplog.text
    )
    with pytest.raises(SchemaError, match="'Italy' at character 10"):
        read_questions(tmp_path / "dev.json", is_strict=True)


def test_the_real_questions_are_read_whole(shared_data: Path) -> None:
    sizes = {
        "squad2-cs224n-dev.json": 6078, "squad-part-dev.json": 810, "squad-part-train.json": 269,
        "hotpotqa-distractor-100-amor-dev.jsonl": 100,
    }  # fmt: skip
    for name, size in sizes.items():
        found = read_questions(shared_data / "qa" / name)
        assert [found.counts[f"num_{name}"] for name in ("questions", "moved", "lost")] == [
            size,
            0,
            0,
        ]
