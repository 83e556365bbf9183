"""What a command is given, looked at before it begins: folders and files that must be there."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from linkbert.extras import FINETUNING, TRAINING, require
from schemas.errors import ConfigError

_MUST_EXIST = {
    "corpus": "the folder of a corpus",
    "corpora": "the folder of a corpus",
    "shards": "a folder that `linkbert sample` wrote",
    "run": "a folder that `linkbert pretrain` wrote",
    "model": "the folder of a model",
    "folder": "a folder that `linkbert export` or `linkbert sample` wrote",
    "data": "a data file or a folder of them",
    "experiment": "the TOML file of an experiment",
    "path": "a folder or file of this project",
    "init": "the folder of a model",
    "source": "a tokenizer.json, a vocab.txt or a folder that holds one",
}
"""Option or argument: what it names on this machine."""
_FOLDERS = ("corpus", "corpora", "shards", "run", "model", "folder", "init")
_PACKAGES = {
    "demo": TRAINING,
    "run": TRAINING,
    "pretrain": TRAINING,
    "export": TRAINING,
    "evaluate": TRAINING,
    "finetune": FINETUNING,
    "experiment": (*TRAINING, "matplotlib"),
    "report": ("matplotlib",),
    "push": ("huggingface_hub",),
}
"""Command: packages of extras without which it cannot end."""


def check_packages(args: argparse.Namespace) -> None:
    """Refuse a command that needs packages which are not installed.

    Raises:
        ModuleNotFoundError: with the name of the first.
    """
    if not getattr(args, "pack", None):  # an experiment that is only packed
        require(*_PACKAGES.get(args.name, ()))
    # On another engine `sample` asks its workers.
    if getattr(args, "links", None) == "tfidf" and not args.beam_args:
        require("sklearn")
    if log := getattr(args, "log", None):
        require(log)
    if getattr(args, "downstream", None):
        require(*FINETUNING)
    if args.name == "evaluate" and args.kind == "ranking":
        require(*FINETUNING, "bm25s")


def check_given(args: argparse.Namespace) -> None:
    """Refuse a path that leads nowhere, an output below a file, and options for no job.

    Raises:
        ConfigError: with the name that was meant, perhaps.
    """
    for name, what in _MUST_EXIST.items():
        for path in _paths(getattr(args, name, None)):
            if not path.exists():
                raise ConfigError(f"expected {what} at {path}, found nothing there: {_hint(path)}")
            if name in _FOLDERS and path.is_file():
                raise ConfigError(f"expected {what} at {path}, found a file: name its folder")
    if getattr(args, "beam_args", ()) and not hasattr(args, "workers"):
        raise ConfigError(
            f"expected nothing after `--`, found {args.beam_args[0]}: {args.name} runs no job of "
            "Beam; leave it out"
        )
    out = getattr(args, "out", None)
    if "" in (out, *getattr(args, "dumps", ()), *getattr(args, "documents", ())):
        raise ConfigError("expected a path, found an empty one: is a variable of the shell unset?")
    if isinstance(out, str) and "://" not in out:
        in_the_way = next((p for p in (Path(out), *Path(out).parents) if p.is_file()), None)
        if in_the_way:
            raise ConfigError(
                f"expected a folder to write, found the file {in_the_way}: choose another --out"
            )


def _paths(given: object) -> Iterator[Path]:
    """Yield the local paths; a corpus may bear its kind of links, `books:none`."""
    for each in given if isinstance(given, list) else [given]:
        if isinstance(each, str | os.PathLike) and "://" not in os.fspath(each):
            path = Path(each)
            bare = Path(os.fspath(each).rpartition(":")[0] or each)
            yield bare if not path.exists() and bare.exists() else path


def _hint(path: Path) -> str:
    beside = path.parent
    names = [each.name for each in beside.iterdir()] if beside.is_dir() else []
    near = get_close_matches(path.name, names, 1)
    return f"did you mean {beside / near[0]}?" if near else "check the path"
