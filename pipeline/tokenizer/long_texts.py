"""Texts too long to be worked through at once, and words too long to be any.

A page may hold 16 MB, and a document of another corpus as much; what its sentences and tokens take
as objects is 20 to 600 times that. In pieces of half a million characters a task stays small
whatever it meets. Hardly a page of Wikipedia is longer than one piece.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tokenizers import Tokenizer

PIECE_CHARS = 1 << 19

MAX_WORD_CHARS = 100
"""WordPiece takes a longer word for unknown (`max_input_chars_per_word` of BERT's tokenizer)."""

# From the first character of a run on: a search from every place would take the square of a run.
_LONG_RUN = re.compile(rf"(?<!\S)\S{{{MAX_WORD_CHARS + 1},}}")


def text_pieces(text: str, piece_chars: int = PIECE_CHARS) -> Iterator[tuple[int, int]]:
    """Yield where pieces of a text begin and end: at the end of a line or word where there is one.

    Each has half of `piece_chars` to one and a half, or is the whole text.

    >>> list(text_pieces("one two three", 6))
    [(0, 4), (4, 13)]
    """
    start = 0
    while len(text) - start > piece_chars + piece_chars // 2:
        earliest, latest = start + piece_chars // 2, start + piece_chars
        ends = (text.rfind(sign, earliest, latest) + 1 for sign in "\n ")
        end = next((end for end in ends if end), latest)
        yield start, end
        start = end
    yield start, len(text)


def without_long_words(text: str, tokenizer: Tokenizer) -> str:
    """Return a text without the words that WordPiece takes for unknown whatever they hold.

    To train on a word of a megabyte takes the square of its length. What a word is, the tokenizer's
    own rules say: a line of Chinese without a blank has many.

    Args:
        text: any text; one without long runs comes back as it is.
        tokenizer: with normaliser and pre-tokeniser.
    """

    def kept_words(run: re.Match[str]) -> str:
        words = tokenizer.pre_tokenizer.pre_tokenize_str(
            tokenizer.normalizer.normalize_str(run.group())
        )
        if all(len(word) <= MAX_WORD_CHARS for word, _ in words):
            return run.group()
        return " ".join(word for word, _ in words if len(word) <= MAX_WORD_CHARS)

    return _LONG_RUN.sub(kept_words, text)
