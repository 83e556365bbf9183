"""Words kept from before give the ids that the tokenizers package gives whole sentences."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from pipeline.tokenizer import encoder as encoding
from pipeline.tokenizer import wordpiece
from pipeline.tokenizer.encoder import SentenceEncoder, encoder_of, parts_at_blanks

TEXTS = [
    "Latgola is a region of Latvia, isn't it? Žemaitija (1918–1940), naïve café's 東京タワー",
    "हिन्दी एक भाषा है। Tiếng Việt là ngôn ngữ. กรุงเทพมหานครเป็นเมืองหลวง ភាសាខ្មែរ",
    "Straße ΟΔΟΣ İstanbul Ǆ ŉ",
    f"(word) word, 'word' word's {'long' * 30} {'x' * 101},y a«b»–„c“ d’e ..",
    "[SEP] [MASK] a[CLS]b \u00a0 e\u0301 \u0301x  two  blanks \x1c\u200b\ufeff ﬁ 𝔘 ー ·",
]
ALPHABET = sorted({*"".join(TEXTS), "\n", "\t", "\u3000", "\u2028", "\u0327"})


def trained(**options: bool) -> Tokenizer:
    tokenizer = wordpiece.train_wordpiece(lambda: TEXTS * 3, 400, **options)
    return wordpiece.encoding_form(tokenizer)


TOKENIZERS = {
    "cased": trained(),
    "lowercase": trained(lowercase=True),
    "uncased as Google's": trained(lowercase=True, strip_accents=True),
}


def whole(tokenizer: Tokenizer, sentence: str) -> list[int]:
    return list(tokenizer.encode(sentence, add_special_tokens=False).ids)


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(st.sampled_from(ALPHABET) | st.just(" "), max_size=40), max_size=4))
def test_ids_are_those_of_whole_sentences(name: str, sentences: list[str]) -> None:
    tokenizer = TOKENIZERS[name]
    assert parts_at_blanks(tokenizer)
    encoder = SentenceEncoder(tokenizer, "<u2")
    for _ in range(2):  # the second time all words are known
        found = [ids.tolist() for ids in encoder.encode(sentences)]
        assert found == [whole(tokenizer, sentence) for sentence in sentences]


def test_more_words_than_are_kept_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "_MAX_WORDS", 9)
    tokenizer = TOKENIZERS["cased"]
    encoder = SentenceEncoder(tokenizer, "<u2")
    for sentence in [*TEXTS, TEXTS[0][:30], *TEXTS]:
        [found] = encoder.encode([sentence])
        assert found.tolist() == whole(tokenizer, sentence)
        assert len(encoder._words) <= 9
    assert encoder._words


@pytest.mark.parametrize(
    "change",
    ["pre-tokenizer that keeps blanks", "normalizer that joins words", "token with a blank"],
)
def test_a_tokenizer_that_looks_across_blanks_gets_whole_sentences(change: str) -> None:
    tokenizer = trained()
    if change == "pre-tokenizer that keeps blanks":
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    elif change == "normalizer that joins words":
        tokenizer.normalizer = normalizers.Replace("a region", "aregion")
    else:
        tokenizer.add_tokens(["region of"])
    assert not parts_at_blanks(tokenizer)
    found = [ids.tolist() for ids in SentenceEncoder(tokenizer, "<u2").encode(TEXTS)]
    assert found == [whole(tokenizer, sentence) for sentence in TEXTS]


def test_a_published_vocabulary_keeps_words(shared_data: Path) -> None:
    path = shared_data / "vocab" / "bert-base-uncased-vocab.txt"
    tokenizer = wordpiece.encoding_form(wordpiece.parse_vocab(path.read_text(encoding="utf-8")))
    assert parts_at_blanks(tokenizer)
    found = [ids.tolist() for ids in SentenceEncoder(tokenizer, "<u2").encode(TEXTS)]
    assert found == [whole(tokenizer, sentence) for sentence in TEXTS]


def test_the_tasks_of_a_process_share_one_encoder() -> None:
    data = TOKENIZERS["cased"].to_str()
    assert encoder_of(data, "<u2") is encoder_of(data, "<u2")
    assert not {2, 3, 4} & set(encoder_of(data, "<u2").encode(["[SEP] [MASK]"])[0].tolist())


NORMALIZERS = [
    normalizers.NFC(),
    normalizers.NFD(),
    normalizers.NFKC(),
    normalizers.NFKD(),
    normalizers.Lowercase(),
    normalizers.StripAccents(),
    normalizers.BertNormalizer(lowercase=True, strip_accents=True),
    normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]),
]


def test_plain_letters_and_signs_are_one_piece_each_under_every_normalizer() -> None:
    assert {type(each).__name__ for each in NORMALIZERS} >= encoding._LOCAL_NORMALIZERS
    plain = [chr(point) for point in range(0x3000) if encoding._IS_PLAIN(chr(point))]
    signs = [sign for sign in plain if encoding._PIECES(f"a{sign}a") != [f"a{sign}a"]]
    letters = sorted(set(plain) - set(signs))
    assert len(letters) > 700
    assert len(signs) > 32
    parting = pre_tokenizers.BertPreTokenizer()
    for normalizer in NORMALIZERS:
        for piece in [*signs, *letters, "".join(letters), "".join(reversed(letters))]:
            assert len(parting.pre_tokenize_str(normalizer.normalize_str(piece))) == 1, piece
        for sign in signs:
            text = normalizer.normalize_str(f"a{sign}b")
            assert len(parting.pre_tokenize_str(text)) == 3, sign


@pytest.mark.parametrize("prefix", ["", "@@"])
def test_continuations_may_be_marked_otherwise_or_not_at_all(prefix: str) -> None:
    tokenizer = trained()
    vocab = {
        (prefix + token.removeprefix("##") if token.startswith("##") else token): number
        for token, number in tokenizer.get_vocab().items()
    }
    tokenizer.model = models.WordPiece(vocab, unk_token="[UNK]", continuing_subword_prefix=prefix)
    assert parts_at_blanks(tokenizer)
    found = [ids.tolist() for ids in SentenceEncoder(tokenizer, "<u2").encode(TEXTS)]
    assert found == [whole(tokenizer, sentence) for sentence in TEXTS]


def test_pieces_shared_by_words_are_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = SentenceEncoder(TOKENIZERS["cased"], "<u2")
    asked: list[str] = []

    def encode_whole(texts: list[str]) -> object:
        asked.extend(texts)
        return SentenceEncoder._encode_whole(encoder, texts)

    monkeypatch.setattr(encoder, "_encode_whole", encode_whole)
    sentences = ["a word, (word)", "word. word,", "東京, word"]
    found = [ids.tolist() for ids in encoder.encode(sentences)]
    assert found == [whole(encoder.tokenizer, sentence) for sentence in sentences]
    pieces = " ".join(asked).split(" ")
    assert sorted(pieces) == sorted({"a", "word", ",", "(", ")", ".", "東京,"})
