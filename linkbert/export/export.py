"""From a run to a folder that every Hugging Face user can load, without this package.

In: RUN alone. Out: config.json, model.safetensors (BertForMaskedLM with the pooler),
drp.safetensors (the relation head), tokenizer files, README.md (the model card), `_manifest.json`.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from linkbert.export.model_card import CARD_NAME, write_card
from linkbert.export.network_files import max_positions_of, write_network
from linkbert.export.tokenizer_files import write_tokenizer_files
from linkbert.model.weights import Weights
from linkbert.training.checkpoint import (
    checkpoint_path,
    checkpoint_steps,
    load_checkpoint,
    share_as_usual,
)
from linkbert.training.run_folder import TOKENIZER_NAME, read_run, validation_at
from schemas import __version__
from schemas.errors import CheckpointError, StageError
from schemas.folder_lock import lock_folder
from schemas.manifest import (
    MANIFEST_NAME,
    FileEntry,
    Manifest,
    folder_aside,
    read_manifest,
    sweep_aside,
    write_manifest,
)
from schemas.model_folder import CONFIG_NAME, sha256_of
from schemas.pair_frame import PairFrame

logger = logging.getLogger(__name__)

_STAGE = "export"


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What was exported, and from which step."""

    model: str
    step: int
    tokens: int
    num_parameters: int


def export(
    run: Path,
    out: Path,
    *,
    checkpoint: str | None = None,
    cut_vocabulary: bool = False,
    overwrite: bool = False,
) -> ExportResult:
    """Write a checkpoint of a run as a Hugging Face folder.

    Args:
        run: the folder that `pretrain` wrote.
        out: the folder to write; it must not exist, or be an earlier export with `overwrite`.
        checkpoint: a step, `step-NNNNNNNN`, or `best`; the newest where None.
        cut_vocabulary: leave out rows that pad the vocabulary of the folder a run started from.
        overwrite: replace an earlier export.

    Raises:
        CheckpointError: the run has no such checkpoint, or it is damaged; or the folder cannot be
            written, as when the disk is full.
        StageError: the folder exists, or another process is writing it.
    """
    run, out = Path(run), Path(out)
    described = read_run(run)
    folder = find_checkpoint(run, checkpoint)
    identity = _config(described["identity"], folder.name, cut_vocabulary)
    finished = None if overwrite else _finished(out, described, identity)
    if finished is not None:
        logger.info("%s is finished: it was exported from %s before", out, folder.name)
        return finished
    try:
        with _only_writer(out):
            _refuse_existing(out, overwrite)
            return _write(run, out, described, folder, identity)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"expected to write {out}, found {error}: free space there, then run the same command "
            "again"
        ) from error


@contextmanager
def _only_writer(out: Path) -> Iterator[None]:
    """Hold a model folder by a lock beside it, because the folder itself is replaced."""
    lock = out.absolute().with_name(f".{out.name}.lock")
    with lock_folder(out, str(lock)):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _write(
    run: Path, out: Path, described: dict[str, Any], checkpoint: Path, identity: dict[str, Any]
) -> ExportResult:
    loaded = load_checkpoint(checkpoint)
    is_cut = bool(identity.get("cut_vocabulary"))
    sweep_aside(out)
    with folder_aside(out) as aside:
        num_parameters = write_model(run, described, loaded.model, aside, cut_vocabulary=is_cut)
        write_card(aside, described, loaded.state, validation_at(run, loaded.state.step))
        result = ExportResult(str(out), loaded.state.step, loaded.state.tokens, num_parameters)
        _write_manifest(aside, described, identity, result)
        if out.exists():
            shutil.rmtree(out)
        os.replace(aside, out)
    return result


def write_model(
    run: Path,
    described: dict[str, Any],
    weights: Weights,
    folder: Path,
    *,
    cut_vocabulary: bool = False,
) -> int:
    """Write the network and the tokenizer of a run; return the number of parameters.

    Args:
        run: its folder, which has the tokenizer.
        described: what its run.json says.
        weights: of a checkpoint, or the current ones.
        folder: where to write; it exists.
        cut_vocabulary: leave out rows that pad the vocabulary.
    """
    facts = described["facts"]
    num_rows = facts["vocab_size"] if cut_vocabulary else None
    num_parameters = write_network(folder, described["model"], weights, facts, num_rows)
    for path in folder.iterdir():
        share_as_usual(path)
    write_tokenizer_files(
        run / TOKENIZER_NAME, folder, PairFrame.from_facts(facts), _max_length(described)
    )
    return num_parameters


def find_checkpoint(run: Path, wanted: str | None) -> Path:
    """Return the folder of a checkpoint by step, name or `best`; the newest where None.

    Raises:
        CheckpointError: there is none.
    """
    steps = checkpoint_steps(run)
    if not steps:
        raise CheckpointError(f"expected a checkpoint, found none in {run}: run linkbert pretrain")
    if wanted is None:
        return checkpoint_path(run, steps[-1])
    if wanted == "best":
        best = load_checkpoint(checkpoint_path(run, steps[-1])).state.best_step
        return checkpoint_path(run, steps[-1] if best is None else best)
    number = wanted.removeprefix("step-")
    if not number.isdigit() or int(number) not in steps:
        raise CheckpointError(
            f"expected one of the steps {', '.join(map(str, steps))} or best, found {wanted!r}"
        )
    return checkpoint_path(run, int(number))


def _refuse_existing(out: Path, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not overwrite:
        raise StageError(f"expected a new folder, found {out}: choose another --out or --overwrite")
    if not (out / CONFIG_NAME).is_file() or not (out / MANIFEST_NAME).is_file():
        raise StageError(f"expected an earlier export to overwrite, found another folder: {out}")


def _max_length(described: dict[str, Any]) -> int:
    """Return the tokens of the longest text that the model takes.

    From a folder to start from, all its positions have learned something. From random weights those
    beyond the run's sequences have not; pairs of equal segments are of odd length, so one more is
    within what was learned.
    """
    positions = max_positions_of(described["model"])
    if described["identity"]["init"] is not None:
        return positions
    return min(positions, int(described["facts"]["max_length"]) + 1)


def _finished(
    out: Path, described: dict[str, Any], identity: dict[str, Any]
) -> ExportResult | None:
    """Return what an export that lies in `out` says of itself, None where it is not this one."""
    if not (out / MANIFEST_NAME).is_file():
        return None
    found = read_manifest(out)
    is_this = found.config == identity and found.inputs == described["identity"]["inputs"]
    return ExportResult(str(out), **found.extra["result"]) if is_this else None


def _config(identity: dict[str, Any], checkpoint: str, cut_vocabulary: bool) -> dict[str, Any]:
    learned = {"pretrain": identity["config"], "seed": identity["seed"], "init": identity["init"]}
    cut = {"cut_vocabulary": True} if cut_vocabulary else {}
    return {"checkpoint": checkpoint, **learned, **cut}


def _write_manifest(
    folder: Path, described: dict[str, Any], config: dict[str, Any], result: ExportResult
) -> None:
    files = [
        FileEntry(path.name, 0, path.stat().st_size, sha256_of(path))
        for path in sorted(folder.iterdir())
    ]
    manifest = Manifest(
        stage=_STAGE,
        config=config,
        inputs=described["identity"]["inputs"],
        rows_in=0,
        rows_out=0,
        drops={},
        files=tuple(files),
        versions={"linkbert": __version__},
        extra={
            "card": CARD_NAME,
            "result": {key: value for key, value in asdict(result).items() if key != "model"},
        },
    )
    write_manifest(folder, manifest)
