"""The corpora of an experiment as folders that `sample` reads: unpacked, and cut as it says.

    a folder up to `segment`, or a packed one ────────────────▶ as it is cut
    with max_tokens: a folder up to `tokenizer` ──segment─────▶ OUT.corpus, OUT.warm-up

The new folder links to the tables that do not depend on the cut, so it costs little.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from linkbert.experiment.config import ExperimentConfig
from linkbert.experiment.pack import unpack_corpus
from pipeline.engine.outputs import load_manifest
from pipeline.engine.run import run_here
from pipeline.engine.stage import Job
from pipeline.segment.config import SegmentConfig
from pipeline.segment.stage import SEGMENT
from pipeline.storage import files
from schemas.errors import ConfigError

_UNCUT = ("pages", "nodes", "mentions", "csr", "tokenizer")
"""Tables that `segment` and `sample` read and that no cut changes."""


def prepare_corpora(
    config: ExperimentConfig, out: Path, overwrite: bool = False
) -> ExperimentConfig:
    """Return the experiment with its corpora as folders, cut to its `max_tokens`.

    Args:
        config: see `linkbert.experiment.config`.
        out: the folder of the experiment; corpora are written beside it.
        overwrite: whether to cut again what was cut differently.

    Raises:
        ConfigError: a packed corpus was cut differently.
        StageError: a corpus is unfinished, or the pack is damaged.
    """
    corpus = _prepare(config.corpus, f"{out}.corpus", config.max_tokens, overwrite)
    if not config.warm_up_corpus:
        return replace(config, corpus=corpus)
    warm_up = _prepare(config.warm_up_corpus, f"{out}.warm-up", config.max_tokens, overwrite)
    return replace(config, corpus=corpus, warm_up_corpus=warm_up)


def _prepare(corpus: str, folder: str, max_tokens: int, overwrite: bool) -> str:
    packed = corpus if Path(corpus).is_file() else f"{corpus}.pack"
    if Path(corpus).is_dir() or not Path(packed).is_file():
        return _cut(corpus, folder, max_tokens, overwrite) if max_tokens else corpus
    unpack_corpus(packed, folder)
    found = load_manifest(files.join(folder, "segments")).config["max_tokens"]
    if max_tokens not in (0, found):
        raise ConfigError(
            f"expected a pack with segments of max_tokens = {max_tokens}, found {found} in "
            f"{packed}: pack the corpus again with this file"
        )
    return folder


def _cut(corpus: str, folder: str, max_tokens: int, overwrite: bool) -> str:
    os.makedirs(folder, exist_ok=True)
    for name in _UNCUT:
        stage = load_manifest(files.join(corpus, name)).stage
        for uncut in (name, f"_state/{stage}"):
            _link(Path(folder, uncut), Path(corpus, uncut).resolve())
    run_here(Job(SEGMENT, folder, SegmentConfig(max_tokens=max_tokens)), overwrite)
    return folder


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(exist_ok=True)
    if not link.exists():
        link.symlink_to(target, target_is_directory=True)
    elif link.resolve() != target:
        raise ConfigError(
            f"expected a link to {target}, found something else at {link}: choose another "
            "--out, or delete it"
        )
