"""Encode many sentences to token ids, each word only once.

The tokenizers package spends its time on every word anew, and most words of a text have been seen.
A tokenizer that parts its input at blanks whatever stands around them gives a word the same ids
anywhere: there the ids of words are kept, and only new words go to the package, many in one call.
Any other tokenizer gets whole sentences.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from pipeline.wordpiece import UNSPACED_PIECE, encoding_form, parse_tokenizer

IdArray = npt.NDArray[Any]

# About 100 MB: more words would be kept for few further sightings.
_MAX_WORDS = 1 << 19
# Each works on single characters or on runs without blanks.
_LOCAL_NORMALIZERS = {
    "NFC", "NFD", "NFKC", "NFKD", "BertNormalizer", "Lowercase", "StripAccents",
}  # fmt: skip


class SentenceEncoder:
    """Encodes sentences with one tokenizer, without special tokens.

    Args:
        tokenizer: set to encode text that spells special tokens as ordinary text.
        dtype: of the ids.
    """

    def __init__(self, tokenizer: Tokenizer, dtype: npt.DTypeLike) -> None:
        self._tokenizer, self._dtype = tokenizer, np.dtype(dtype)
        self._keeps_words = parts_at_blanks(tokenizer)
        self._words: dict[str, bytes] = {}

    def encode(self, sentences: Sequence[str]) -> list[IdArray]:
        """Return the ids of each sentence."""
        if not self._keeps_words:
            return [np.frombuffer(ids, self._dtype) for ids in self._encode_whole(sentences)]
        split = [sentence.split(" ") for sentence in sentences]
        seen = dict.fromkeys(chain.from_iterable(split))
        new = [word for word in seen if word not in self._words]
        fresh = dict(zip(new, self._encode_whole(new), strict=True))
        if len(self._words) + len(fresh) <= _MAX_WORDS:
            self._words.update(fresh)
            known = self._words
        else:
            # The first to come are mostly the frequent ones: they stay, later ones are forgotten.
            known = fresh | {word: self._words[word] for word in seen if word not in fresh}
        joined = (b"".join([known[word] for word in words]) for words in split)
        return [np.frombuffer(ids, self._dtype) for ids in joined]

    def _encode_whole(self, texts: Sequence[str]) -> list[bytes]:
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, self._dtype).tobytes() for encoding in encodings]


@lru_cache(maxsize=1)
def encoder_of(tokenizer_json: str, dtype: str) -> SentenceEncoder:
    """Return the encoder of a tokenizer, the same one for all tasks of a process."""
    return SentenceEncoder(encoding_form(parse_tokenizer(tokenizer_json)), dtype)


def parts_at_blanks(tokenizer: Tokenizer) -> bool:
    """Tell whether a text's ids are those of its blank-separated words, one after the other.

    >>> from pipeline.wordpiece import SPECIAL_TOKENS, wordpiece_from_vocab
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
