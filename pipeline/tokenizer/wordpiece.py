"""WordPiece tokenizers: train one that every process trains alike, or take one that exists.

Pure functions from texts or files to a `tokenizers.Tokenizer`; `pipeline/tokenizer/stage.py` runs
them as a stage. Cased, NFC, no accent stripping unless asked for: Bert's own lower-casing strips
marks, which turns one word of Hindi or Vietnamese into another.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from pipeline.tokenizer.frame import roles_of
from pipeline.tokenizer.long_texts import without_long_words
from schemas.errors import ConfigError
from schemas.pair_frame import PairFrame

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SPECIAL_NAMES = ("pad", "unk", "cls", "sep", "mask")

# Scripts written without spaces, other than Han, which the normaliser already sets apart. A run of
# these is cut into syllable-like pieces: a leading vowel, a letter with its marks, a trailing
# vowel. Uncut, a sentence is one word, which one unknown letter turns into one [UNK].
UNSPACED_PIECE = (
    r"[\u0E40-\u0E44\u0EC0-\u0EC4]?"
    r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]\p{M}*"
    r"[\u0E30\u0E32\u0E33\u0EB0\u0EB2\u0EB3]?"
)
_CONTINUATION = "##"
# Unicode gives this code point to no character, in any text to come.
_NO_CHARACTER = "\uffff"
# Rarer characters become [UNK]: at five characters per word that is at most 0.025 % of words.
_CHARACTER_COVERAGE = 0.99995
_LATIN_LETTER = re.compile("[a-z]")
_LATIN_CAPITAL = re.compile("[A-Z]")
# A pair seen once is a typing error or a name, not a word piece.
_MIN_PAIR_COUNT = 2


@dataclass(frozen=True, slots=True)
class TokenizerQuality:
    """How a tokenizer fits a text: pieces per blank-separated word, and the share of [UNK]."""

    num_words: int
    num_tokens: int
    num_unknown: int

    @property
    def tokens_per_word(self) -> float:
        """Return the mean number of tokens per word, 0 for no words."""
        return self.num_tokens / self.num_words if self.num_words else 0.0

    @property
    def unknown_share(self) -> float:
        """Return the share of [UNK] among the tokens, 0 for no tokens."""
        return self.num_unknown / self.num_tokens if self.num_tokens else 0.0


def train_wordpiece(
    texts: Callable[[], Iterable[str]],
    vocab_size: int,
    *,
    lowercase: bool = False,
    strip_accents: bool = False,
) -> Tokenizer:
    """Train a WordPiece tokenizer whose bytes depend on the texts and options alone.

    The trainer of the package numbers characters in the order of a randomly seeded hash map. Given
    every form of every character as a special token, in sorted order, nothing is left to that
    order; a fresh model on the trained vocabulary makes them ordinary tokens again.

    Args:
        texts: returns the training texts; called twice, must give the same texts in the same order.
        vocab_size: the largest vocabulary; fewer tokens result where the texts hold fewer.
        lowercase: fold case, without touching marks.
        strip_accents: also drop marks.

    >>> tokenizer = train_wordpiece(lambda: ["low lower lowest"] * 9, 40)
    >>> tokenizer.encode("lower", add_special_tokens=False).tokens
    ['lower']
    """
    tokenizer = _with_rules(models.WordPiece(unk_token="[UNK]"), lowercase, strip_accents)
    # While it is trained, a tokenizer lets nobody else ask for its rules: the texts would wait.
    rules = _with_rules(models.WordPiece(unk_token="[UNK]"), lowercase, strip_accents)

    def words() -> Iterator[str]:
        return (without_long_words(text, rules) for text in texts())

    alphabet = _alphabet(_count_characters(tokenizer, words()), vocab_size // 4)
    # With two forms per character, at least half of the vocabulary is left for pieces of words.
    fixed = [*SPECIAL_TOKENS, *_forms(alphabet)]
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=fixed,
        min_frequency=_MIN_PAIR_COUNT,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(words(), trainer)
    return wordpiece_from_vocab(
        tokenizer.get_vocab(), lowercase=lowercase, strip_accents=strip_accents
    )


def wordpiece_from_vocab(
    vocab: dict[str, int], *, lowercase: bool = False, strip_accents: bool = False
) -> Tokenizer:
    """Return a tokenizer for a finished vocabulary that holds the five special tokens.

    >>> vocab = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "low": 5, "##er": 6}
    >>> wordpiece_from_vocab(vocab).encode("low", "lower").tokens
    ['[CLS]', 'low', '[SEP]', 'low', '##er', '[SEP]']
    """
    model = models.WordPiece(vocab, unk_token="[UNK]", continuing_subword_prefix=_CONTINUATION)
    return _finished(_with_rules(model, lowercase, strip_accents), vocab)


def _with_rules(model: Any, lowercase: bool, strip_accents: bool) -> Tokenizer:
    tokenizer = Tokenizer(model)
    bert = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=strip_accents, lowercase=lowercase
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), bert])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(UNSPACED_PIECE), "isolated"),
            pre_tokenizers.BertPreTokenizer(),
        ]
    )
    return tokenizer


def _finished(tokenizer: Tokenizer, vocab: dict[str, int]) -> Tokenizer:
    tokenizer.decoder = decoders.WordPiece(prefix=_CONTINUATION)
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, vocab[name]) for name in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def _count_characters(tokenizer: Tokenizer, texts: Iterable[str]) -> dict[str, int]:
    counts = np.zeros(0x110000, np.int64)
    for text in texts:
        points = np.frombuffer(
            tokenizer.normalizer.normalize_str(text).encode("utf-32-le", "replace"), np.uint32
        )
        found = np.bincount(points)
        counts[: len(found)] += found
    return {chr(point): int(counts[point]) for point in np.flatnonzero(counts)}


def _alphabet(counts: dict[str, int], max_characters: int) -> list[str]:
    """Return the most frequent characters that cover nearly all text, in code point order."""
    visible = {character: count for character, count in counts.items() if not character.isspace()}
    needed = sum(visible.values()) * _CHARACTER_COVERAGE
    by_count = sorted(visible, key=lambda character: (-visible[character], character))
    size, covered = 0, 0
    while size < min(len(by_count), max_characters) and covered < needed:
        covered += visible[by_count[size]]
        size += 1
    # The trainer takes as many characters by its own count, and between equal counts by a hash
    # map's order: so the cut falls between two counts, never within one.
    while 0 < size < len(by_count) and visible[by_count[size - 1]] == visible[by_count[size]]:
        size -= 1
    return sorted(by_count[:size])


def _forms(alphabet: list[str]) -> Iterator[str]:
    """Yield each character as it begins a word, then as it continues one, where it ever can."""
    yield from alphabet
    for character in alphabet:
        if not _stands_alone(character):
            yield _CONTINUATION + character


def _stands_alone(character: str) -> bool:
    """Tell whether the rules part a character from its neighbours: punctuation and Han."""
    is_ascii_sign = character.isascii() and not character.isalnum()
    is_punctuation = unicodedata.category(character).startswith("P")
    is_han = unicodedata.name(character, "").startswith("CJK ")
    return is_ascii_sign or is_punctuation or is_han


def parse_vocab(text: str, folding: dict[str, bool] | None = None) -> Tokenizer:
    """Return the tokenizer of a `vocab.txt`, one token per line.

    Args:
        text: the tokens.
        folding: BERT's own rules, as options of `BertNormalizer`. Where None, a vocabulary with
            letters of the Latin alphabet but no capital counts as made with Google's uncased
            rules, which also strip accents; any other as cased.

    Raises:
        ConfigError: a special token is missing, or a token occurs twice.
    """
    tokens = text.removesuffix("\n").split("\n")
    vocab = {token.rstrip("\r"): index for index, token in enumerate(tokens)}
    if len(vocab) != len(tokens):
        raise ConfigError(
            f"expected one token per line, found {len(tokens) - len(vocab)} repeated lines in the "
            "vocabulary: ids would shift"
        )
    special_ids_of(vocab)
    if folding is not None:
        model = models.WordPiece(vocab, unk_token="[UNK]", continuing_subword_prefix=_CONTINUATION)
        tokenizer = Tokenizer(model)
        tokenizer.normalizer = normalizers.BertNormalizer(clean_text=True, **folding)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        return _finished(tokenizer, vocab)
    ordinary = "".join(token for token in vocab if token not in SPECIAL_TOKENS)
    is_uncased = bool(_LATIN_LETTER.search(ordinary)) and not _LATIN_CAPITAL.search(ordinary)
    return wordpiece_from_vocab(vocab, lowercase=is_uncased, strip_accents=is_uncased)


def parse_tokenizer(data: str) -> Tokenizer:
    """Return the tokenizer of a `tokenizer.json`, without any truncation or padding it carries.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        tokenizer = Tokenizer.from_str(data)
    except Exception as error:  # the package raises bare Exception for every fault
        raise ConfigError(f"expected a tokenizer.json, found one that fails ({error})") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def encoding_form(tokenizer: Tokenizer) -> Tokenizer:
    """Return the tokenizer set to encode text that spells [SEP] or [MASK] as ordinary text.

    >>> vocab = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "[": 5, "]": 6}
    >>> tokenizer = encoding_form(wordpiece_from_vocab(vocab))
    >>> tokenizer.encode("[SEP]", add_special_tokens=False).tokens
    ['[', '[UNK]', ']']
    """
    tokenizer.encode_special_tokens = True
    unknown_id = roles_of(tokenizer, {}).get("unk")
    spelled = [
        token_id
        for token_id, token in tokenizer.get_added_tokens_decoder().items()
        if token.special
        and token_id != unknown_id
        and token_id in tokenizer.encode(token.content, add_special_tokens=False).ids
    ]
    return _without_spellings(tokenizer, spelled) if spelled else tokenizer


def _without_spellings(tokenizer: Tokenizer, ids: list[int]) -> Tokenizer:
    """Return the tokenizer with some tokens spelled as no text can.

    The vocabulary of Unigram has special tokens among its pieces, so that the model itself finds
    `</s>` in a text. All scores stay, and with them the pieces of every other text.
    """
    rules = json.loads(tokenizer.to_str())
    vocab = rules["model"]["vocab"]
    for token_id in ids:
        spelling = f"{_NO_CHARACTER}{token_id}"
        if isinstance(vocab, list):
            vocab[token_id][0] = spelling
        else:
            vocab[spelling] = vocab.pop(tokenizer.id_to_token(token_id))
    rules["added_tokens"] = [each for each in rules["added_tokens"] if each["id"] not in ids]
    changed = Tokenizer.from_str(json.dumps(rules))
    changed.encode_special_tokens = True
    return changed


def special_ids_of(vocab: dict[str, int]) -> dict[str, int]:
    """Return the ids of pad, unk, cls, sep and mask.

    Raises:
        ConfigError: one is missing.

    >>> special_ids_of({token: index for index, token in enumerate(SPECIAL_TOKENS)})["mask"]
    4
    """
    missing = [token for token in SPECIAL_TOKENS if token not in vocab]
    if missing:
        raise ConfigError(
            f"expected a BERT vocabulary with {' '.join(SPECIAL_TOKENS)}, found none of "
            f"{' '.join(missing)}: take another tokenizer, or train one"
        )
    return {name: vocab[token] for name, token in zip(SPECIAL_NAMES, SPECIAL_TOKENS, strict=True)}


def transformers_settings(tokenizer: Tokenizer, frame: PairFrame) -> dict[str, Any]:
    """Return what tokenizer_config.json must say for AutoTokenizer to give the ids of training.

    BertTokenizer would put its own normaliser in place of ours, and text that spells a special
    token is ordinary text here.
    """
    types = ["token_type_ids"] if frame.has_token_types else []
    roles = frame.roles()
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", *types, "attention_mask"],
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,
        **{f"{role}_token": tokenizer.id_to_token(token_id) for role, token_id in roles.items()},
    }


def is_cased(tokenizer: Tokenizer) -> bool:
    """Tell whether a tokenizer keeps capitals apart."""
    normalizer = tokenizer.normalizer
    return normalizer is None or normalizer.normalize_str("A") != normalizer.normalize_str("a")


def strips_accents(tokenizer: Tokenizer) -> bool:
    """Tell whether a tokenizer drops marks."""
    normalizer = tokenizer.normalizer
    return normalizer is not None and normalizer.normalize_str("é") == "e"


def serialise(tokenizer: Tokenizer) -> bytes:
    """Return the bytes of tokenizer.json: the same tokenizer, the same bytes."""
    return (json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, indent=1) + "\n").encode(
        "utf-8", "surrogatepass"
    )


def measure(tokenizer: Tokenizer, texts: Iterable[str], unknown_id: int | None) -> TokenizerQuality:
    """Count words, tokens and unknown tokens over texts.

    >>> tokenizer = train_wordpiece(lambda: ["low lower lowest"] * 9, 40)
    >>> quality = measure(tokenizer, ["low lower", "zzz"], unknown_id=1)
    >>> quality.num_words, quality.num_tokens, quality.num_unknown
    (3, 3, 1)
    """
    encoder = encoding_form(tokenizer)
    num_words = num_tokens = num_unknown = 0
    for text in texts:
        ids = encoder.encode_batch_fast([text], add_special_tokens=False)[0].ids
        num_words += len(text.split())
        num_tokens += len(ids)
        num_unknown += 0 if unknown_id is None else ids.count(unknown_id)
    return TokenizerQuality(num_words, num_tokens, num_unknown)
