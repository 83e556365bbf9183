"""A table of hostile and odd files of model folders; each gets its answer in one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import CheckpointError
from schemas.model_folder import (
    check_encoder,
    check_tokenizer,
    digest_of,
    folding,
    parse_object,
    read_object,
    try_tokenizer,
    vocabulary_lines,
)

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
WORDPIECE = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
             "max_input_chars_per_word": 100, "vocab": {"[UNK]": 0, "a": 1}}  # fmt: skip


def tokenizer(**changes: Any) -> bytes:
    rules = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
        "normalizer": None, "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": None, "decoder": None, "model": WORDPIECE,
    }  # fmt: skip
    return json.dumps({**rules, **changes}).encode()


def split_at(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[1, 2]", "expected a JSON object, found a list"),
        (b"{", "expected JSON in UTF-8"),
        (b"\xff\xfe", "expected JSON in UTF-8"),
        (b"[" * 100_000, "expected JSON in UTF-8"),
        (b'{"vocab_size": ' + b"9" * 5000 + b"}", "expected JSON in UTF-8"),
        (POINTER, "git lfs pull"),
    ],
)
def test_json_that_is_none_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        parse_object(data, "config.json")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"expected config\.json in"):
        read_object(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}, "model_type 'gpt2'"),
        ({"model_type": ["bert"]}, "expected an encoder with a masked"),
        ({"model_type": "bert", "is_decoder": True}, "found is_decoder true"),
        ({"model_type": "t5", "is_encoder_decoder": True}, "model_type 't5'"),
    ],
)
def test_what_is_no_encoder_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        check_encoder(config, "config.json")


def test_encoders_of_all_families_are_taken_and_new_ones_by_their_head() -> None:
    for kind in ("bert", "roberta", "xlm-roberta", "camembert", "deberta-v2", "electra",
                 "modernbert"):  # fmt: skip
        assert check_encoder({"model_type": kind}, "config.json") == kind
    named = {"model_type": "newest", "architectures": ["NewestForMaskedLM"]}
    assert check_encoder(named, "config.json") == "newest"


def test_lines_of_a_vocabulary_end_at_newlines_alone() -> None:
    tokens = ["[PAD]", "\u2028", "\x85", "\x1c", "\x0b", "a"]
    assert vocabulary_lines(("\n".join(tokens) + "\n").encode(), "vocab.txt") == tokens


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("café".encode("latin-1"), "in UTF-8"),
        (b"a\na\n", "1 repeated lines"),
        (POINTER, "git-lfs pointer"),
    ],
)
def test_a_vocabulary_that_is_none_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        vocabulary_lines(data, "vocab.txt")


def test_folding_of_a_tokenizer_of_another_kind_is_refused() -> None:
    assert folding({"model_max_length": 512}, "tokenizer_config.json") is None
    assert folding({"do_lower_case": False}, "tokenizer_config.json") == {
        "lowercase": False, "strip_accents": False, "handle_chinese_chars": True,
    }  # fmt: skip
    with pytest.raises(CheckpointError, match="BertJapaneseTokenizer"):
        folding({"tokenizer_class": "BertJapaneseTokenizer"}, "tokenizer_config.json")


@pytest.mark.parametrize("number", [2**31, 2**32, 2**64, -1, 1.5, "1", None, True], ids=str)
def test_ids_that_are_none_are_refused_before_the_library_sees_them(number: Any) -> None:
    """The package aborts the process on 2^31."""
    vocabulary = {**WORDPIECE, "vocab": {"[UNK]": 0, "a": number}}
    with pytest.raises(CheckpointError, match="expected ids from 0 to"):
        check_tokenizer(tokenizer(model=vocabulary), "tokenizer.json")
    added = [{"id": number, "content": "x", "special": True}]
    with pytest.raises(CheckpointError, match="expected ids from 0 to"):
        check_tokenizer(tokenizer(added_tokens=added), "tokenizer.json")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (tokenizer(), None),
        (tokenizer(pre_tokenizer=split_at("(")), "fails in .*tokenizer.json"),
        (tokenizer(model={"type": "WordPiece"}), "fails in"),
        (tokenizer(model=[]), "expected a tokenizer with a model"),
        (b'"\xff"', "expected JSON in UTF-8"),
    ],
    ids=["sound", "regex", "no vocabulary", "no model", "bytes"],
)
def test_tokenizers_that_fail_are_refused(tmp_path: Path, data: bytes, message: str | None) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(data)
    if message is None:
        try_tokenizer(path)
        return
    with pytest.raises(CheckpointError, match=message) as caught:
        try_tokenizer(path)
    assert "\n" not in str(caught.value)


def test_a_regex_that_never_ends_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schemas.model_folder._TRY_SECONDS", 2)
    path = tmp_path / "tokenizer.json"
    path.write_bytes(tokenizer(pre_tokenizer=split_at(r"(\w|\w\w|[a-z]+)*$")))
    with pytest.raises(CheckpointError, match="expected a tokenizer that encodes text"):
        try_tokenizer(path)


def test_a_digest_is_of_names_and_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    first = digest_of([one, two])
    assert digest_of([two, one]) == first
    two.write_bytes(b"3")
    assert digest_of([one, two]) != first
    assert digest_of([one]) not in (first, digest_of([two]))
