"""Check what a command is given before it begins: packages, and paths that must exist."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from linkbert.extras import FINETUNING, TRAINING, require
from schemas.errors import ConfigError
from schemas.manifest import MANIFEST_NAME

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
"""By option or argument: what it names on this machine."""
_FOLDERS = ("corpus", "corpora", "shards", "run", "model", "folder", "init")
_KINDS = {
    "corpus": "corpus",
    "corpora": "corpus",
    "shards": "shards",
    "run": "run",
    "model": "model",
    "init": "model",
}
"""Option or argument: what must lie there, as far as this project wrote it."""
_KIND_OF_STAGE = {
    "parse": "corpus",
    "ingest": "corpus",
    "subset": "corpus",
    "sample": "shards",
    "pretrain": "run",
    "export": "model",
}
"""Stage, as its notes or its manifest name it: what the folder is then."""
_WRITES = {
    **_KIND_OF_STAGE,
    "run": "all of them",
    "finetune": "results",
    "experiment": "results",
}
"""Command: what it makes of the folder of its --out."""
_MADE_BY = {
    "corpus": "`linkbert parse` or `linkbert ingest`",
    "shards": "`linkbert sample`",
    "run": "`linkbert pretrain`",
    "model": "`linkbert export`",
}
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
"""By command: the packages from extras that it cannot do without."""


def check_packages(args: argparse.Namespace) -> None:
    """Refuse a command that needs packages which are not installed.

    Raises:
        ModuleNotFoundError: with the name of the first missing one.
    """
    if not getattr(args, "pack", None):  # packing an experiment needs none of them
        require(*_PACKAGES.get(args.name, ()))
    # On another engine the packages of the workers count, which `sample` checks itself.
    if getattr(args, "links", None) == "tfidf" and not args.beam_args:
        require("sklearn")
    if log := getattr(args, "log", None):
        require(log)
    if getattr(args, "downstream", None):
        require(*FINETUNING)
    if args.name == "evaluate" and args.kind == "ranking":
        require(*FINETUNING, "bm25s")


def check_given(args: argparse.Namespace) -> None:
    """Refuse missing inputs, folders of the wrong kind, and Beam options that have no use.

    Raises:
        ConfigError: with the most similar existing path, if there is one.
    """
    for name, what in _MUST_EXIST.items():
        for path in _paths(getattr(args, name, None)):
            if not path.exists():
                raise ConfigError(
                    f"expected {what} at {path}, found nothing there: {_hint(name, path)}"
                )
            if name in _FOLDERS and path.is_file():
                raise ConfigError(f"expected {what} at {path}, found a file: name its folder")
            _check_kind(name, path)
    if getattr(args, "beam_args", ()) and not hasattr(args, "workers"):
        raise ConfigError(
            f"expected nothing after `--`, found {args.beam_args[0]}: {args.name} runs no Beam "
            "job; leave it out"
        )
    out = getattr(args, "out", None)
    if "" in (out, *getattr(args, "dumps", ()), *getattr(args, "documents", ())):
        raise ConfigError("expected a path, found an empty one: is a shell variable unset?")
    if isinstance(out, str) and "://" not in out:
        in_the_way = next((p for p in (Path(out), *Path(out).parents) if p.is_file()), None)
        if in_the_way:
            raise ConfigError(
                f"expected a folder to write, found the file {in_the_way}: choose another --out"
            )
        _check_out(args, Path(out))


def _check_kind(name: str, path: Path) -> None:
    """Refuse a folder that another command wrote than the one whose folder is wanted."""
    wanted, found = _KINDS.get(name), _kind_of(path)
    if wanted is None or wanted == found:
        return
    if found:
        advice = "name another folder"
        if (wanted, found) == ("model", "run"):
            advice = f"make a model of it first, `linkbert export {path} --out model`"
        raise ConfigError(
            f"expected {_MUST_EXIST[name]} at {path}, found what {_MADE_BY[found]} wrote: {advice}"
        )
    # Models of others bear no sign, so one may well have another below it.
    if wanted != "model" and path.is_dir():
        below = next((each for each in sorted(path.iterdir()) if _kind_of(each) == wanted), None)
        if below:
            raise ConfigError(
                f"expected {_MUST_EXIST[name]} at {path}, found one below it: did you mean {below}?"
            )


def _check_out(args: argparse.Namespace, out: Path) -> None:
    """Refuse to write over an input, or beside what another command wrote.

    The former would end in an advice to use --overwrite, and so delete what is read.
    """
    inputs = (path for name in _KINDS for path in _paths(getattr(args, name, None)))
    if args.name in _WRITES and out.exists() and any(out.samefile(path) for path in inputs):
        raise ConfigError(
            f"expected a folder to write beside what is read, found {out} as both: "
            "choose another --out"
        )
    found = _kind_of(out)
    if found and _WRITES.get(args.name, found) != found:
        raise ConfigError(
            f"expected a folder for what `linkbert {args.name}` writes, found in {out} what "
            f"{_MADE_BY[found]} wrote: choose another --out"
        )


def _kind_of(folder: Path) -> str | None:
    """Tell what a command of this project made of a folder; None where it bears no sign."""
    for stage, kind in _KIND_OF_STAGE.items():
        if (folder / "_state" / stage).is_dir():
            return kind
    with suppress(OSError, ValueError, AttributeError):
        return _KIND_OF_STAGE.get(json.loads((folder / MANIFEST_NAME).read_bytes()).get("stage"))
    return None


def _paths(given: object) -> Iterator[Path]:
    """Yield the local paths; a corpus may carry its kind of links, as in `books:none`."""
    for each in given if isinstance(given, list) else [given]:
        if isinstance(each, str | os.PathLike) and "://" not in os.fspath(each):
            path = Path(each)
            bare = Path(os.fspath(each).rpartition(":")[0] or each)
            yield bare if not path.exists() and bare.exists() else path


def _hint(name: str, path: Path) -> str:
    beside = path.parent
    names = [each.name for each in beside.iterdir()] if beside.is_dir() else []
    near = get_close_matches(path.name, names, 1)
    if near:
        return f"did you mean {beside / near[0]}?"
    if name in ("model", "init", "source") and re.fullmatch(r"[\w.-]+(/[\w.-]+)?", str(path)):
        told = f"`hf download {path} --local-dir {path.name}`"
        return f"check the path; a model of the hub is loaded first, {told}"
    return "check the path"
