"""JSON lines give documents and redirects, and a bad line a reason with its place."""

import json

import pytest

from pipeline.ingest.entries import Document, Malformed, Redirect
from pipeline.ingest.jsonl import read_jsonl, spell_title


def read(*records: object) -> list[object]:
    return list(read_jsonl((index, json.dumps(r).encode()) for index, r in enumerate(records)))


def test_documents_and_redirects_are_told_apart() -> None:
    document, redirect = read(
        {"id": "7", "title": "cat", "text": "A pet.", "links": [{"target": "#Care"}]},
        {"source": "felis", "target": "cat#Care"},
    )
    assert isinstance(document, Document)
    assert (document.key, document.is_number, document.title) == ("7", False, "Cat")
    assert [(link.target_title, link.target_fragment) for link in document.links] == [("", "Care")]
    assert redirect == Redirect("Felis", "Cat", "Care")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ([], "not_an_object"),
        ({"id": 1, "title": "", "text": ""}, "empty_title"),
        ({"id": True, "title": "A", "text": ""}, "bad_id"),
        ({"id": -1, "title": "A", "text": ""}, "bad_id"),
        ({"id": 1, "title": "A"}, "no_text"),
        ({"id": 1, "title": "A", "text": "", "links": {}}, "malformed_links"),
        ({"id": 1, "title": "A\ud800", "text": ""}, "not_unicode"),
    ],
)
def test_a_record_that_does_not_fit_is_named_with_its_place(record: object, reason: str) -> None:
    good = {"id": 1, "title": "A", "text": "x"}
    _, malformed = read(good, record)
    assert isinstance(malformed, Malformed)
    assert (malformed.reason, malformed.offset) == (reason, 1)


def test_number_of_thousands_of_digits_is_malformed() -> None:
    [malformed] = read_jsonl([(0, b'{"id": ' + b"9" * 5000 + b', "title": "A", "text": "x"}')])
    assert isinstance(malformed, Malformed)
    assert malformed.reason == "malformed_json"


def test_exact_titles_stay_as_they_are() -> None:
    assert spell_title("iPhone_4#a", "exact") == ("iPhone_4#a", None)
