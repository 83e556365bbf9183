"""The vocabulary of a tokenizer file, and whether two folders share it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from schemas.errors import CheckpointError, ConfigError

_CONTINUES = "##"
"""How WordPiece marks a piece that continues a word."""


def read_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer.json.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    try:
        return Tokenizer.from_str(path.read_text())
    except Exception as error:  # the package raises bare Exception
        raise CheckpointError(f"expected a tokenizer, found {error} in {path}") from error


def tokens_by_id(tokenizer: Tokenizer) -> list[str]:
    """Return every token, indexed by its id."""
    ids = tokenizer.get_vocab(with_added_tokens=True)
    return [token for token, _ in sorted(ids.items(), key=lambda item: item[1])]


def continuations(path: Path) -> npt.NDArray[np.bool_]:
    """Return for each token of a WordPiece tokenizer.json whether it continues a word, bool [V].

    Raises:
        ConfigError: no token does, so that there are no whole words to mask.
    """
    tokens = tokens_by_id(read_tokenizer(path))
    found = np.array([token.startswith(_CONTINUES) for token in tokens])
    if not found.any():
        raise ConfigError(
            f"expected tokens that begin with {_CONTINUES} for whole_word, found none in {path}: "
            "leave whole_word off for this tokenizer"
        )
    return found


def check_same_vocabulary(tokenizer_path: Path, folder: Path) -> None:
    """Compare the shards' vocabulary with that of a Hugging Face folder.

    Raises:
        ConfigError: they differ.
        CheckpointError: the folder has no vocabulary.
    """
    ours = tokens_by_id(read_tokenizer(tokenizer_path))
    if (folder / "tokenizer.json").is_file():
        theirs = tokens_by_id(read_tokenizer(folder / "tokenizer.json"))
    elif (folder / "vocab.txt").is_file():
        theirs = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    else:
        raise CheckpointError(f"expected tokenizer.json or vocab.txt, found neither in {folder}")
    if ours != theirs:
        pairs = zip(ours, theirs, strict=False)
        place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(ours), len(theirs)))
        raise ConfigError(
            f"expected the vocabulary of {folder} ({len(theirs)} tokens), found another in the "
            f"shards ({len(ours)} tokens, different from id {place} on): make the shards with "
            f"`linkbert tokenizer CORPUS --from {folder}`"
        )
