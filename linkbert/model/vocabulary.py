"""The vocabulary of a tokenizer file, and whether two folders share it."""

from __future__ import annotations

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
from schemas.word_marks import BEGINS, BEGINS_BYTES, CONTINUES, begins_word


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
    """Return the tokens in the order of their ids; None where an id has no token."""
    ids = tokenizer.get_vocab(with_added_tokens=True)
    tokens: list[str | None] = [None] * (max(ids.values(), default=-1) + 1)
    for token, number in ids.items():
        tokens[number] = token
    return tokens


def ordinary_ids(path: Path) -> npt.NDArray[np.int32]:
    """Return the ids in a tokenizer.json that have a token, in ascending order."""
    tokens = tokens_by_id(read_tokenizer(path))
    return np.array([number for number, token in enumerate(tokens) if token is not None], np.int32)


def continues_word(path: Path) -> npt.NDArray[np.bool_]:
    """Return for each token of a tokenizer.json whether it continues a word, bool [V].

    Raises:
        ConfigError: its tokens do not mark word boundaries, so there are no whole words to mask.
    """
    tokenizer = read_tokenizer(path)
    found: npt.NDArray[np.bool_] = ~begins_word(tokenizer)
    for token in tokenizer.get_added_tokens_decoder():
        found[token] = False
    if not found.any():
        marks = f"{CONTINUES}, {BEGINS[0]} or {BEGINS_BYTES[0]}"
        raise ConfigError(
            f"expected tokens that mark words ({marks}) for whole_word, found none in {path}: "
            "turn whole_word off for this tokenizer"
        )
    return found


def folder_tokens(folder: Path) -> list[str | None]:
    """Return the tokens of any Hugging Face folder, in the order of their ids.

    Raises:
        CheckpointError: it has no vocabulary, or a damaged one.
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
        CheckpointError: the folder has no vocabulary, or a damaged one.
    """
    ours, theirs = tokens_by_id(read_tokenizer(tokenizer_path)), folder_tokens(folder)
    if ours != theirs:
        pairs = zip(ours, theirs, strict=False)
        place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(ours), len(theirs)))
        raise ConfigError(
            f"expected the vocabulary of {folder} ({len(theirs)} tokens), found another in the "
            f"shards ({len(ours)} tokens, the first difference at id {place}): make the shards "
            f"with `linkbert tokenizer CORPUS --from {folder}`"
        )
