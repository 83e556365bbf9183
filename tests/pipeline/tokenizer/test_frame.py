from __future__ import annotations

import pytest
from tokenizers import Tokenizer, processors

from pipeline.tokenizer.frame import frame_of
from schemas.errors import ConfigError
from tests.pipeline.tokenizer.families import FAMILIES, byte_level_bpe, modern_bpe, wordpiece

TEXTS = ["Latgola is a region of Latvia.", "The language is spoken in the region."] * 8


@pytest.mark.parametrize("family", FAMILIES)
def test_the_frame_is_what_the_tokenizer_makes_of_a_pair(family: str) -> None:
    tokenizer = FAMILIES[family](TEXTS)
    frame = frame_of(tokenizer)
    a, b = (
        tokenizer.encode(text, add_special_tokens=False).ids
        for text in ("Latgola is", "the language")
    )
    pair = tokenizer.encode("Latgola is", "the language")
    assert frame.wrap(a, b) == pair.ids
    types = [0] * (len(a) + frame.num_before_b)
    types += [int(frame.has_token_types)] * (len(pair.ids) - len(types))
    assert types == pair.type_ids


@pytest.mark.parametrize(
    ("family", "has_types", "num_special"),
    [
        ("byte_level_bpe", False, 4),
        ("modern_bpe", True, 3),
        ("unigram", False, 4),
        ("wordpiece", True, 3),
    ],
)
def test_families_differ_in_types_and_size(family: str, has_types: bool, num_special: int) -> None:
    frame = frame_of(FAMILIES[family](TEXTS))
    assert (frame.has_token_types, frame.num_special) == (has_types, num_special)
    assert frame.unk_id is not None
    assert len(frame.special_ids) == 5


def test_settings_name_roles_and_deny_types() -> None:
    tokenizer = modern_bpe(TEXTS)
    tokenizer.add_special_tokens(["<blank>", "<extra>"])
    settings = {
        "model_input_names": ["input_ids", "attention_mask"],
        "mask_token": {"content": "<blank>", "lstrip": True},
    }
    frame = frame_of(tokenizer, settings)
    assert not frame.has_token_types
    assert frame.mask_id == tokenizer.token_to_id("<blank>")
    assert tokenizer.token_to_id("<extra>") in frame.special_ids


def test_a_tokenizer_without_a_template_gets_bert_s() -> None:
    tokenizer = wordpiece(TEXTS)
    framed = frame_of(tokenizer)
    bare = Tokenizer.from_str(tokenizer.to_str())
    bare.post_processor = processors.ByteLevel()
    assert frame_of(bare) == framed


def _without_mask() -> Tokenizer:
    return Tokenizer.from_str(byte_level_bpe(TEXTS).to_str().replace("<mask>", "<smak>"))


def _ends_only() -> Tokenizer:
    tokenizer = byte_level_bpe(TEXTS)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 2)]
    )
    return tokenizer


@pytest.mark.parametrize(
    ("make", "message"), [(_without_mask, "no mask token"), (_ends_only, "begins a pair")]
)
def test_a_tokenizer_of_another_kind_of_model_is_refused(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        frame_of(make())  # type: ignore[operator]
