"""Upload a model folder or a shards folder to a hub of Hugging Face, as it is.

What goes up is listed first, file by file: what the stages wrote and the card, never their notes
(`_state`), hidden files or links. A repository that is there keeps its visibility, so one that is
public is refused where a private one was asked for.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError, SchemaError, StageError
from schemas.manifest import MANIFEST_NAME, read_manifest

logger = logging.getLogger(__name__)

_SPLITS = ("train", "validation", "validation_closed")
_MODEL_NEEDS = ("config.json", "model.safetensors")


@dataclass(frozen=True, slots=True)
class PushResult:
    """Where a folder went: the page of the repository, and how much went up."""

    url: str
    repo_type: str
    private: bool
    num_files: int
    num_bytes: int


def push(folder: Path, repo_id: str, *, private: bool = False) -> PushResult:
    """Upload a folder; the token is the one that `hf auth login` or HF_TOKEN gave.

    Args:
        folder: what `export` or `sample` wrote.
        repo_id: NAME or OWNER/NAME; made where there is none.
        private: whether a new repository is private.

    Raises:
        SchemaError: the folder is neither a model nor shards.
        ConfigError: the name is none, or a public repository of this name is there.
        StageError: the hub refuses, or cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    errors: tuple[Any, ...] = (OSError, *HfHubHTTPError.__bases__)

    repo_type, names = files_of(folder)
    num_bytes = sum((folder / name).stat().st_size for name in names)
    api = HfApi(library_name="linkbert")
    logger.info("to %s %s at %s:", repo_type, repo_id, api.endpoint)
    for name in names:
        logger.info("  %s, %s bytes", name, f"{(folder / name).stat().st_size:,}")
    try:
        is_private = _prepare(api, repo_id, repo_type, private)
        done = api.upload_folder(
            folder_path=folder,
            repo_id=repo_id,
            repo_type=repo_type,
            allow_patterns=names,
            commit_message="Upload by linkbert push",
        )
    except HFValidationError as error:
        raise ConfigError(
            f"expected a repository as OWNER/NAME, found {repo_id!r}: {_first_line(error)}"
        ) from error
    # The hub's own errors, and those of the HTTP library under it, whichever it is.
    except errors as error:
        raise StageError(
            f"expected {api.endpoint} to take {repo_id}, found {_first_line(error)}: check the "
            "name and the token (`hf auth login`); the same command goes on"
        ) from error
    return PushResult(str(done.repo_url), repo_type, is_private, len(names), num_bytes)


def files_of(folder: Path) -> tuple[str, list[str]]:
    """Return whether a folder is a model or a dataset, and the files of it that go up.

    Raises:
        SchemaError: it is neither, or not finished.
    """
    if (folder / "train" / MANIFEST_NAME).is_file():
        found = [folder / "README.md", folder / "tokenizer" / "tokenizer.json"]
        for split in _SPLITS:
            if (folder / split).is_dir():
                named = [entry.name for entry in read_manifest(folder / split).files]
                found += [folder / split / name for name in (MANIFEST_NAME, *named)]
        repo_type = "dataset"
    elif all((folder / name).is_file() for name in _MODEL_NEEDS):
        found = [path for path in folder.iterdir() if path.name[0] not in "._"]
        repo_type = "model"
    else:
        raise SchemaError(
            f"expected a folder that `linkbert export` or `linkbert sample` wrote, found neither "
            f"in {folder}: name one"
        )
    for path in found:
        if path.is_symlink() or not path.is_file():
            raise SchemaError(f"expected a file to upload, found none at {path}: write it anew")
    return repo_type, sorted(path.relative_to(folder).as_posix() for path in found)


def _prepare(api: Any, repo_id: str, repo_type: str, private: bool) -> bool:
    """Make the repository unless it is there; return whether it is private."""
    api.create_repo(repo_id, repo_type=repo_type, private=private, exist_ok=True)
    is_private = bool(api.repo_info(repo_id, repo_type=repo_type).private)
    if private and not is_private:
        raise ConfigError(
            f"expected {repo_id} to be private, found it public: change it on its page, or choose "
            "another name"
        )
    return is_private


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
