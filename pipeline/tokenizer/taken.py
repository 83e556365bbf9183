"""A tokenizer from outside: found in a folder, held to the rules of `schemas.model_folder`, built.

A tokenizer.json is taken as it is. A vocab.txt is folded as the tokenizer_config.json beside it
says, and gives the ids that transformers' BertTokenizer gives; without one the rules are guessed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from pipeline.storage import files
from pipeline.tokenizer import wordpiece
from schemas.errors import ConfigError
from schemas.model_folder import (
    CONFIG_NAME,
    SETTINGS_NAME,
    TOKENIZER_NAME,
    VOCABULARY_NAME,
    check_encoder,
    folding,
    parse_object,
    try_tokenizer,
    vocabulary_lines,
)

TOKENIZER_FILE = f"tokenizer/{TOKENIZER_NAME}"


def taken_tokenizer(path: str) -> Tokenizer:
    """Build the tokenizer at a path, and hold the network beside it to what can be trained.

    Raises:
        ConfigError: there is none, or it lacks special tokens.
        CheckpointError: a file is damaged, or the model of the folder is not an encoder.
    """
    found = _taken_file(path)
    config = _beside(found, CONFIG_NAME)
    if files.exists(config):
        check_encoder(parse_object(files.read_bytes(config), config), config)
    data = files.read_bytes(found)
    if found.endswith(".json"):
        _try(found, data)
        return wordpiece.parse_tokenizer(data.decode())
    tokens = vocabulary_lines(data, found)
    return wordpiece.parse_vocab("\n".join(tokens), folding(taken_settings(path), found))


def taken_settings(path: str) -> dict[str, Any]:
    """Return the tokenizer_config.json beside a taken tokenizer, empty where there is none.

    Raises:
        CheckpointError: it is damaged.
    """
    found = _beside(_taken_file(path), SETTINGS_NAME)
    return parse_object(files.read_bytes(found), found) if files.exists(found) else {}


def fingerprints_of(path: str) -> dict[str, str]:
    """Return the digests of the files that define a taken tokenizer."""
    taken = _taken_file(path)
    found = {"taken": files.digest(taken)[1]}
    settings = _beside(taken, SETTINGS_NAME)
    return found | ({"taken_settings": files.digest(settings)[1]} if files.exists(settings) else {})


def _taken_file(path: str) -> str:
    """Return the file that defines the tokenizer at `path`: itself, or the best in a folder.

    Raises:
        ConfigError: there is none.
    """
    if path.endswith((".json", ".txt")) and files.exists(path):
        return path
    for name in (TOKENIZER_NAME, TOKENIZER_FILE, VOCABULARY_NAME):
        inside = files.join(path, name)
        if files.exists(inside):
            return inside
    raise ConfigError(
        "expected a tokenizer.json, a vocab.txt or a folder that holds one, "
        f"found none at {path}: check the path given to --from"
    )


def _beside(taken_file: str, name: str) -> str:
    folder, _, _ = taken_file.rpartition("/")
    return files.join(folder or ".", name)


def _try(found: str, data: bytes) -> None:
    """Try a tokenizer.json, which may lie in an object store, in a process of its own."""
    if Path(found).is_file():
        try_tokenizer(Path(found))
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / TOKENIZER_NAME
        copy.write_bytes(data)
        try_tokenizer(copy)
