"""The vocabulary of a tokenizer file, and whether two folders share it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from schemas.errors import CheckpointError, ConfigError
from schemas.model_folder import (
    TOKENIZER_NAME,
    VOCABULARY_NAME,
    try_tokenizer,
    vocabulary_lines,
)

_CONTINUES = "##"
"""How WordPiece marks a piece that continues a word."""

_BEGINS = "\u2581"
"""How SentencePiece marks a piece that begins a word: the blank before it."""

_BEGINS_BYTES = ("\u0120", "\u010a", "\u0109")
"""How byte-level BPE spells the blank, the end of line and the tab before a word."""


def read_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer.json.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    try:
        return Tokenizer.from_str(path.read_bytes().decode())
    except Exception as error:  # the package raises bare Exception
        raise CheckpointError(f"expected a tokenizer, found {error} in {path}") from error


def tokens_by_id(tokenizer: Tokenizer) -> list[str | None]:
    """Return every token, indexed by its id; None where an id has no token."""
    ids = tokenizer.get_vocab(with_added_tokens=True)
    tokens: list[str | None] = [None] * (max(ids.values(), default=-1) + 1)
    for token, number in ids.items():
        tokens[number] = token
    return tokens


def ordinary_ids(path: Path) -> npt.NDArray[np.int32]:
    """Return the ids of a tokenizer.json that have a token, ascending."""
    tokens = tokens_by_id(read_tokenizer(path))
    return np.array([number for number, token in enumerate(tokens) if token is not None], np.int32)


def continuations(path: Path) -> npt.NDArray[np.bool_]:
    """Return for each token of a tokenizer.json whether it continues a word, bool [V].

    By the tokenizer's own word marks: WordPiece marks what continues (`##er`), SentencePiece
    (`▁low`) and byte-level BPE (`Ġlow`) mark what begins.

    Raises:
        ConfigError: its tokens have no marks, so that there are no whole words to mask.
    """
    tokenizer = read_tokenizer(path)
    tokens = [token or "" for token in tokens_by_id(tokenizer)]
    rules = json.loads(tokenizer.to_str())
    continues = rules["model"].get("continuing_subword_prefix") or _CONTINUES
    if rules["model"]["type"] == "WordPiece":
        found = np.array([token.startswith(continues) for token in tokens])
    else:
        steps = json.dumps([rules[each] for each in ("normalizer", "pre_tokenizer", "decoder")])
        begins = _BEGINS_BYTES if '"ByteLevel"' in steps else _BEGINS
        found = np.array([not token.startswith(begins) for token in tokens])
        found &= not all(found)  # not one begins with a mark
    for token in tokenizer.get_added_tokens_decoder():
        found[token] = False
    if not found.any():
        raise ConfigError(
            f"expected tokens with marks of words ({_CONTINUES}, {_BEGINS} or {_BEGINS_BYTES[0]}) "
            f"for whole_word, found none in {path}: leave whole_word off for this tokenizer"
        )
    return found


def folder_tokens(folder: Path) -> list[str | None]:
    """Return the tokens of a Hugging Face folder from outside, by their ids.

    Raises:
        CheckpointError: it has none, or a file of it is damaged.
    """
    if (folder / TOKENIZER_NAME).is_file():
        try_tokenizer(folder / TOKENIZER_NAME)
        return tokens_by_id(read_tokenizer(folder / TOKENIZER_NAME))
    path = folder / VOCABULARY_NAME
    if path.is_file():
        return [*vocabulary_lines(path.read_bytes(), str(path))]
    raise CheckpointError(
        f"expected {TOKENIZER_NAME} or {VOCABULARY_NAME}, found neither in {folder}: download the "
        "whole folder"
    )


def check_same_vocabulary(tokenizer_path: Path, folder: Path) -> None:
    """Compare the shards' vocabulary with that of a Hugging Face folder.

    Raises:
        ConfigError: they differ.
        CheckpointError: the folder has no vocabulary that can be read.
    """
    ours, theirs = tokens_by_id(read_tokenizer(tokenizer_path)), folder_tokens(folder)
    if ours != theirs:
        pairs = zip(ours, theirs, strict=False)
        place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(ours), len(theirs)))
        raise ConfigError(
            f"expected the vocabulary of {folder} ({len(theirs)} tokens), found another in the "
            f"shards ({len(ours)} tokens, different from id {place} on): make the shards with "
            f"`linkbert tokenizer CORPUS --from {folder}`"
        )
