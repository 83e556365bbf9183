"""Each kind of tokenizer marks the tokens that begin a word, or those that do not."""

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from schemas.word_marks import begins_word

BPE = models.BPE({"a": 0, "\u0120a": 1, "\u010d": 2, "\u2581a": 3}, [])
UNIGRAM = models.Unigram([("a", 0.0), ("\u2581a", -1.0), ("\u0120a", -1.0)], 0)


@pytest.mark.parametrize(
    ("model", "pre_tokenizer", "expected"),
    [
        (BPE, pre_tokenizers.ByteLevel(), [0, 1, 1, 0]),
        # The Maltese letter is none of its marks.
        (UNIGRAM, pre_tokenizers.Metaspace(), [0, 1, 0]),
        (models.WordPiece({"a": 0, "##b": 1, "x": 3}, unk_token="a"), None, [1, 0, 1, 1]),
        (models.WordLevel({"a": 0, "b": 1}, unk_token="a"), None, [1, 1]),
    ],
    ids=["byte-level", "sentencepiece", "wordpiece", "unmarked"],
)
def test_what_begins_a_word_follows_the_marks_of_the_kind(
    model: models.Model, pre_tokenizer: pre_tokenizers.PreTokenizer | None, expected: list[int]
) -> None:
    tokenizer = Tokenizer(model)
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    assert begins_word(tokenizer).astype(int).tolist() == expected
