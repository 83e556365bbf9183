"""Tokenizers from outside give the ids that transformers gives, or one line."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import BertTokenizerFast

from pipeline.tokenizer import wordpiece
from pipeline.tokenizer.taken import fingerprints_of, taken_tokenizer
from schemas.errors import CheckpointError

TOKENS = [
    *wordpiece.SPECIAL_TOKENS, "\u2028", "\x85", "cafe", "caf\u00e9", "Caf\u00e9", "b",
    "##ar", "Bar", "\u6771", "\u4eac", "\u6771\u4eac",
]  # fmt: skip
TEXTS = ["Caf\u00e9 bar Bar", "caf\u00e9 CAFE Cafe\u0301", "\u6771\u4eac bar", "b\u2028ar x"]


def folder(path: Path, **settings: Any) -> Path:
    (path / "vocab.txt").write_bytes("".join(f"{token}\n" for token in TOKENS).encode())
    (path / "tokenizer_config.json").write_text(json.dumps(settings))
    return path


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("strips", [True, False, None])
@pytest.mark.parametrize("splits_han", [True, False])
def test_a_vocabulary_is_folded_as_its_settings_say(
    tmp_path: Path, lower: bool, strips: bool | None, splits_han: bool
) -> None:
    options = {
        "do_lower_case": lower,
        "strip_accents": strips,
        "tokenize_chinese_chars": splits_han,
    }
    path = folder(tmp_path, **options)
    ours, theirs = taken_tokenizer(str(path)), BertTokenizerFast.from_pretrained(path)
    for text in TEXTS:
        ids = ours.encode(text, add_special_tokens=False).ids
        assert ids == theirs(text, add_special_tokens=False)["input_ids"], text


def test_settings_are_part_of_the_identity(tmp_path: Path) -> None:
    first = fingerprints_of(str(folder(tmp_path, do_lower_case=True)))
    assert fingerprints_of(str(folder(tmp_path, do_lower_case=False))) != first


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.json", '{"model_type": "gpt2"}', "expected an encoder"),
        ("config.json", "[]", "expected a JSON object"),
        ("tokenizer_config.json", "[]", "expected a JSON object"),
        ("tokenizer_config.json", '{"tokenizer_class": "BertJapaneseTokenizer"}', "Japanese"),
        ("tokenizer.json", "{}", "expected a tokenizer with a model"),
        ("vocab.txt", "a\na\n", "repeated"),
    ],
)
def test_a_folder_that_cannot_be_trained_from_is_refused_here(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (folder(tmp_path) / name).write_text(text)
    with pytest.raises(CheckpointError, match=message):
        taken_tokenizer(str(tmp_path))
