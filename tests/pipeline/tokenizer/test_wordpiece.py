"""Vocabularies of others keep their ids and rules; training is the same in every process."""

from pathlib import Path

import pytest
from tokenizers import BertWordPieceTokenizer

from pipeline.tokenizer import wordpiece
from schemas.errors import ConfigError


@pytest.mark.parametrize(
    ("vocab", "message"),
    [("[PAD]\n[UNK]\n[CLS]\n[SEP]\nx", r"\[MASK\]"), ("x\nx\ny", "repeated")],
)
def test_a_vocabulary_of_another_kind_is_refused(vocab: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        wordpiece.parse_vocab(vocab)


def test_an_uncased_google_vocabulary_gives_the_ids_of_its_own_rules(shared_data: Path) -> None:
    path = shared_data / "vocab" / "bert-base-uncased-vocab.txt"
    ours = wordpiece.encoding_form(wordpiece.parse_vocab(path.read_text(encoding="utf-8")))
    theirs = BertWordPieceTokenizer(str(path), lowercase=True)
    for text in ["Žemaitija (1918–1940), naïve café's 東京 \u200b𝔘", "U.S. don't 10,000 μm²"]:
        assert ours.encode(text).ids == theirs.encode(text).ids


def test_a_vocabulary_without_latin_letters_keeps_its_marks() -> None:
    tokenizer = wordpiece.parse_vocab("\n".join([*wordpiece.SPECIAL_TOKENS, "हिन्दी"]))
    assert tokenizer.encode("हिन्दी", add_special_tokens=False).ids == [5]


def test_rare_characters_of_equal_count_are_not_drawn_by_a_hash_map() -> None:
    rare = [chr(ord("А") + index) * 2 for index in range(60)]
    texts = ["low lower lowest", *rare] * 9
    trained = (wordpiece.train_wordpiece(lambda: texts, 100) for _ in range(5))
    found = {wordpiece.serialise(tokenizer) for tokenizer in trained}
    assert len(found) == 1
