"""Encode many sentences to token ids, each word only once.

The tokenizers package spends its time on every word anew, and most words of a text have been seen.
A tokenizer that parts its input at blanks whatever stands around them gives a word the same ids
anywhere: there words are numbered as they come, and the ids of a number kept in flat arrays.

    sentences ──split──▶ words ──number──▶ [7 2 9 ...] ──gather──▶ ids, one after the other
                           new ones ──split at signs──▶ pieces ──package──▶ ids of each

Signs part words as blanks do, so `word`, `word,` and `(word` need one piece encoded; and as the
package's cost is by the call, pieces of plain letters go to it many in one text. Any other
tokenizer gets whole sentences.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from pipeline.tokenizer.wordpiece import UNSPACED_PIECE, encoding_form, parse_tokenizer
from schemas.word_marks import begins_word

IdArray = npt.NDArray[Any]
Int64Array = npt.NDArray[np.int64]

# About 100 MB: more words would be kept for few further sightings.
_MAX_WORDS = 1 << 19
# A word of a megabyte is one that no other text holds.
_MAX_WORD_CHARS = 1 << 24
# Each works on single characters or on runs without blanks.
_LOCAL_NORMALIZERS = {
    "NFC", "NFD", "NFKC", "NFKD", "BertNormalizer", "Lowercase", "StripAccents",
}  # fmt: skip
# Letters of Latin, Greek and Cyrillic that stay letters under every one of them, and signs that
# stay one sign each. Without any mark beside them, nothing can join across their borders.
_LETTERS = "A-Za-z0-9À-ÖØ-öø-ľŁ-ɏΆΈ-ΊΌΎ-ΡΣ-ώЀ-ҁҊ-ӿ"
_SIGNS = r"!-/:-@\[-`{-~«»–—‘’“”„"
_IS_PLAIN = re.compile(f"[{_LETTERS}{_SIGNS}]+").fullmatch
_PIECES = re.compile(f"[{_LETTERS}]+|[{_SIGNS}]").findall
# Pieces in one text: from here on longer texts are not faster.
_PIECES_PER_TEXT = 100


class SentenceEncoder:
    """Encodes sentences with one tokenizer, without special tokens.

    Attributes:
        tokenizer: set to encode text that spells special tokens as ordinary text.
        marks_blanks: whether a word after a blank has other ids than at the start of a text.
    """

    def __init__(self, tokenizer: Tokenizer, dtype: npt.DTypeLike) -> None:
        self.tokenizer, self.dtype = tokenizer, np.dtype(dtype)
        self._keeps_words = parts_at_blanks(tokenizer)
        self.marks_blanks = marks_blanks(tokenizer)
        self._begins_word = begins_word(tokenizer)
        self._words = _Numbers()
        self._num_chars = 0
        # The ids of word n are _flat[_starts[n] : _starts[n] + _sizes[n]].
        self._starts, self._sizes = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._flat = np.zeros(0, self.dtype)

    def encode(self, sentences: Sequence[str]) -> list[IdArray]:
        """Return the ids of each sentence."""
        if not self._keeps_words:
            return _cut(*self._encode_whole(sentences))
        if not sentences:
            return []
        num_kept, chars_kept = len(self._words), self._num_chars
        words = " ".join(sentences).split(" ")
        counts = [sentence.count(" ") + 1 for sentence in sentences]
        found = _cut(*self._join(self._numbers_of(words), np.array(counts, np.int64)))
        if len(self._words) > _MAX_WORDS or self._num_chars > _MAX_WORD_CHARS:
            # The first to come are mostly the frequent ones: they stay, later ones are forgotten.
            self._forget(num_kept)
            self._num_chars = chars_kept
        return found

    def _numbers_of(self, words: list[str]) -> Int64Array:
        """Return the number of each word, after learning the ids of new ones."""
        num_known = len(self._words)
        numbers = self._words.look_up(words)
        if len(self._words) > num_known:
            self._learn(num_known)
        return numbers

    def _learn(self, first: int) -> None:
        """Find the ids of all words from number `first` on, and of pieces that they bring along."""
        new = self._words.from_number(first)
        split = [_PIECES(word) if _IS_PLAIN(word) else [word] for word in new]
        counts = np.fromiter(map(len, split), np.int64, len(split))
        pieces = self._words.look_up(chain.from_iterable(split))
        known = [*new, *self._words.from_number(first + len(new))]
        self._num_chars += sum(map(len, known))
        # A word that is one piece, and every piece brought along, is encoded as it stands.
        is_whole = np.append(counts == 1, np.ones(len(known) - len(new), np.bool_))
        is_plain = np.array([_IS_PLAIN(word) is not None for word in known])
        for kind, encode in ((is_plain, self._encode_plain), (~is_plain, self._encode_whole)):
            chosen = np.flatnonzero(is_whole & kind)
            self._store(first + chosen, *encode([known[place] for place in chosen.tolist()]))
        parted = np.flatnonzero(counts != 1)
        parts = pieces[np.repeat(counts != 1, counts)]
        self._store(first + parted, *self._join(parts, counts[parted]))

    def _store(self, numbers: Int64Array, flat: IdArray, sizes: Int64Array) -> None:
        """Keep the ids of words, one after the other in `flat`, under their numbers."""
        grown = np.zeros(len(self._words) - len(self._sizes), np.int64)
        self._starts = np.concatenate([self._starts, grown])
        self._sizes = np.concatenate([self._sizes, grown])
        self._starts[numbers] = len(self._flat) + np.cumsum(sizes) - sizes
        self._sizes[numbers] = sizes
        self._flat = np.concatenate([self._flat, flat])

    def _join(self, numbers: Int64Array, counts: Int64Array) -> tuple[IdArray, Int64Array]:
        """Return the ids of runs of words, one after the other, and the size of each run."""
        sizes = self._sizes[numbers]
        ends = np.zeros(len(sizes) + 1, np.int64)
        np.cumsum(sizes, out=ends[1:])
        places = np.repeat(self._starts[numbers] - ends[:-1], sizes) + np.arange(ends[-1])
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        return self._flat[places], np.diff(ends[bounds])

    def _forget(self, num_kept: int) -> None:
        for _ in range(len(self._words) - num_kept):
            self._words.popitem()
        self._starts, self._sizes = self._starts[:num_kept], self._sizes[:num_kept]
        self._flat = self._flat[: int((self._starts + self._sizes).max(initial=0))]

    def _encode_plain(self, pieces: list[str]) -> tuple[IdArray, Int64Array]:
        """Encode pieces of plain letters or of one plain sign, many in a text."""
        texts = [
            " ".join(pieces[start : start + _PIECES_PER_TEXT])
            for start in range(0, len(pieces), _PIECES_PER_TEXT)
        ]
        flat, _ = self._encode_whole(texts)
        starts = np.flatnonzero(self._begins_word[flat])
        if len(starts) != len(pieces):
            # A vocabulary whose continuations do not show; it is slower, never wrong.
            return self._encode_whole(pieces)
        return flat, np.diff(starts, append=len(flat))

    def _encode_whole(self, texts: Sequence[str]) -> tuple[IdArray, Int64Array]:
        encodings = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        ids = [encoding.ids for encoding in encodings]
        sizes = np.fromiter(map(len, ids), np.int64, len(ids))
        return np.fromiter(chain.from_iterable(ids), self.dtype, int(sizes.sum())), sizes


class _Numbers(dict[str, int]):
    """Numbers words in the order in which they are first looked up."""

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        return number

    def look_up(self, words: Iterable[str]) -> Int64Array:
        """Return the number of each word, a new one where it has none."""
        return np.fromiter(map(self.__getitem__, words), np.int64)

    def from_number(self, first: int) -> list[str]:
        """Return the words from a number on."""
        return list(islice(reversed(self), len(self) - first))[::-1]


def _cut(flat: IdArray, sizes: Int64Array) -> list[IdArray]:
    ends = np.cumsum(sizes).tolist()
    return [flat[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@lru_cache(maxsize=1)
def encoder_of(tokenizer_json: str, dtype: str) -> SentenceEncoder:
    """Return the encoder of a tokenizer, the same one for all tasks of a process."""
    return SentenceEncoder(encoding_form(parse_tokenizer(tokenizer_json)), dtype)


def marks_blanks(tokenizer: Tokenizer) -> bool:
    """Tell whether a word after a blank has other ids than at the start of a text."""
    first, after_blank = (
        tokenizer.encode(text, add_special_tokens=False).ids for text in ("a", " a")
    )
    return bool(first != after_blank)


def parts_at_blanks(tokenizer: Tokenizer) -> bool:
    """Tell whether a text's ids are those of its blank-separated words, one after the other.

    >>> from pipeline.tokenizer.wordpiece import SPECIAL_TOKENS, wordpiece_from_vocab
    >>> vocab = {token: index for index, token in enumerate(SPECIAL_TOKENS)}
    >>> parts_at_blanks(wordpiece_from_vocab(vocab))
    True
    """
    rules = json.loads(tokenizer.to_str())
    steps = _steps(rules["pre_tokenizer"], "pretokenizers")
    return bool(
        rules["model"]["type"] == "WordPiece"
        and all(token["special"] for token in rules["added_tokens"])
        and {step["type"] for step in _steps(rules["normalizer"], "normalizers")}
        <= _LOCAL_NORMALIZERS
        and steps[-1]["type"] == "BertPreTokenizer"
        and all(_splits_unspaced_scripts(step) for step in steps[:-1])
    )


def _steps(rule: dict[str, Any] | None, name: str) -> list[dict[str, Any]]:
    if rule is None:
        return []
    return list(rule[name]) if rule["type"] == "Sequence" else [rule]


def _splits_unspaced_scripts(step: dict[str, Any]) -> bool:
    return bool(step["type"] == "Split" and step["pattern"] == {"Regex": UNSPACED_PIECE})
