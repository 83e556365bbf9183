"""Which tokens begin a word: what whole-word masking and the count of words go by."""

from __future__ import annotations

import json
from typing import Protocol

import numpy as np
import numpy.typing as npt

CONTINUES = "##"
"""How WordPiece marks a piece that continues a word."""

BEGINS = ("\u2581",)
"""How SentencePiece marks a piece that begins a word: the blank before it."""

BEGINS_BYTES = ("\u0120", "\u010a", "\u0109", "\u010d")
"""How byte-level BPE spells the blank, line feed, tab and carriage return before a word."""


class Tokenizer(Protocol):
    """What is asked of a `tokenizers.Tokenizer`: the tables can be read without that package."""

    def get_vocab(self, with_added_tokens: bool = ...) -> dict[str, int]:
        """Return the id of each token."""

    def to_str(self, pretty: bool = ...) -> str:
        """Return what tokenizer.json holds."""


def begins_word(tokenizer: Tokenizer) -> npt.NDArray[np.bool_]:
    """Tell of each id whether its token begins a word, bool [V].

    WordPiece marks tokens that do not (`##er`), byte-level BPE and SentencePiece those that do
    (`Ġlow`, `▁low`). Where nothing is marked, each token is a word.

    >>> from tokenizers import Tokenizer
    >>> from tokenizers.models import WordPiece
    >>> begins_word(Tokenizer(WordPiece({"a": 0, "##b": 1}, unk_token="a"))).tolist()
    [True, False]
    """
    vocab = tokenizer.get_vocab(with_added_tokens=True)
    rules = json.loads(tokenizer.to_str())
    begins = np.ones(max(vocab.values(), default=-1) + 1, np.bool_)
    if rules["model"]["type"] == "WordPiece":
        prefix = rules["model"].get("continuing_subword_prefix") or CONTINUES
        begins[[number for token, number in vocab.items() if token.startswith(prefix)]] = False
        return begins
    steps = json.dumps([rules[each] for each in ("normalizer", "pre_tokenizer", "decoder")])
    marks = BEGINS_BYTES if '"ByteLevel"' in steps else BEGINS
    marked = [number for token, number in vocab.items() if token.startswith(marks)]
    if marked:
        begins[:] = False
        begins[marked] = True
    return begins
