"""The folder of a run: what it was made from, who may write it, and how it ends.

RUN/run.json          configuration, seed, what the shards are; enough to export RUN alone
RUN/tokenizer.json    copied from the shards
RUN/metrics.jsonl     one line per step
RUN/validation.jsonl  one line per validation
RUN/downstream.jsonl  one line per trial on a downstream task, where there is one
RUN/tensorboard/      the same figures as events, where the package is installed
RUN/checkpoints/
RUN/_manifest.json    once the run is finished
"""

from __future__ import annotations

import json
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linkbert.loader.dataset import Split, open_split, refuse_remote
from linkbert.model.weights import weight_files
from linkbert.training.checkpoint import FOLDER_NAME, checkpoint_path
from linkbert.training.config import PretrainConfig, differences
from linkbert.training.metrics import (
    DOWNSTREAM_NAME,
    EVENTS_FOLDER,
    METRICS_NAME,
    VALIDATION_NAME,
)
from schemas import __version__
from schemas.errors import CheckpointError, ConfigError, SchemaError, StageError
from schemas.folder_lock import lock_folder
from schemas.manifest import (
    ASIDE_SUFFIX,
    MANIFEST_NAME,
    SEAL_NAME,
    FileEntry,
    Manifest,
    read_manifest,
    write_json,
    write_manifest,
    write_whole,
)
from schemas.model_folder import CONFIG_NAME, digest_of, sha256_of
from schemas.pair_frame import FRAME_KEY

RUN_NAME = "run.json"
_RUN_KEYS, _IDENTITY_KEYS = ("identity", "facts", "model"), ("config", "seed", "inputs", "init")
_CURE = "copy the file anew, or pretrain with --overwrite"
TOKENIZER_NAME = "tokenizer.json"
RESULT_KEY = "result"

_LOCK_NAME = ".lock"
_OWN_FILES = (
    RUN_NAME, TOKENIZER_NAME, METRICS_NAME, VALIDATION_NAME, DOWNSTREAM_NAME, MANIFEST_NAME,
    SEAL_NAME,
)  # fmt: skip

_GRAPH_TABLES = {"pages": "pages", "redirects": "redirects", "nodes": "nodes", "edges": "edges"}


@dataclass(frozen=True, slots=True)
class Shards:
    """The splits of a shards folder and what its manifests say of them."""

    train: Split
    validation: dict[str, Split]
    tokenizer: Path
    facts: dict[str, Any]


def open_shards(folder: Path) -> Shards:
    """Open a shards folder and gather the facts a run and its model card need.

    Raises:
        SchemaError: a part of it is missing, damaged or not on a local disk.
    """
    refuse_remote(folder)
    if not (folder / "train").is_dir():
        raise SchemaError(
            f"expected the folder `train` of shards in {folder}, found none: name a folder that "
            "`linkbert sample` wrote"
        )
    train = open_split(folder / "train")
    if not train.num_instances:
        raise SchemaError(f"expected training instances, found none in {train.folder}")
    names = ("validation", "validation_closed")
    validation = {name: open_split(folder / name) for name in names if (folder / name).is_dir()}
    tokenizer = folder / "tokenizer" / TOKENIZER_NAME
    if not tokenizer.is_file():
        raise SchemaError(f"expected {tokenizer}, found none: sample again (--overwrite)")
    _verify_tokenizer(tokenizer.parent)
    wanted = (
        "vocab_size", "token_dtype", "special_ids", "max_length", "num_epochs",
        "instances_per_epoch", "relations", "drp_class_accuracy",
    )  # fmt: skip
    extra = train.manifest.extra
    missing = [key for key in wanted[:4] if key not in extra]
    if missing:
        raise SchemaError(
            f"expected {', '.join(missing)} in the manifest of {train.folder}, found none: "
            "sample again (--overwrite)"
        )
    facts = {key: extra[key] for key in (*wanted, FRAME_KEY) if key in extra}
    facts["num_instances"] = train.num_instances
    corpora = extra.get("corpora", [])
    facts["corpora"] = [_corpus_facts(folder, corpus) for corpus in corpora]
    return Shards(train, validation, tokenizer, facts)


def _verify_tokenizer(folder: Path) -> None:
    for entry in read_manifest(folder).files:
        path = folder / entry.name
        if not path.is_file() or sha256_of(path) != entry.sha256:
            raise SchemaError(
                f"expected the file that `linkbert sample` wrote, found another or none at {path}: "
                "sample again (--overwrite)"
            )


def _corpus_facts(folder: Path, corpus: dict[str, Any]) -> dict[str, Any]:
    """Return what the shards say of a corpus, with the rows of its tables if it is still there."""
    facts = {key: value for key, value in corpus.items() if key != "path"}
    root = folder / str(corpus.get("path", ""))
    for key, table in _GRAPH_TABLES.items():
        if "path" in corpus and (root / table / MANIFEST_NAME).is_file():
            facts[f"num_{key}"] = read_manifest(root / table).rows_out
    return facts


def identity_of(
    shards: Shards, config: PretrainConfig, seed: int, init: Path | None
) -> dict[str, Any]:
    """Return what a run and its continuation must share."""
    splits = {"train": shards.train, **shards.validation}
    inputs = {name: split.manifest.fingerprint() for name, split in splits.items()}
    return {
        "config": config.to_dict(),
        "seed": seed,
        "inputs": inputs,
        "init": None if init is None else _init_digest(init),
    }


def _init_digest(folder: Path) -> str:
    """Return the identity of a folder to start from: that of the bytes a run takes from it."""
    return digest_of([folder / CONFIG_NAME, *weight_files(folder)])


def prepare_run(
    run: Path,
    shards: Shards,
    identity: dict[str, Any],
    model: dict[str, Any],
    overwrite: bool,
) -> None:
    """Begin a run in a folder, or check that the run in it is this one.

    Args:
        run: the folder.
        shards: what it trains on; their tokenizer is copied.
        identity: what a continuation must share.
        model: the network (`model`), and the name of what it started from (`base_model`).
        overwrite: discard a run that lies there.

    Raises:
        ConfigError: the folder holds a run of another configuration.
        StageError: it holds something else.
    """
    if overwrite and (run / RUN_NAME).is_file():
        _remove_run(run)
    if (run / RUN_NAME).is_file():
        described = read_run(run)
        check_identity(described["identity"], identity, run)
        if described["identity"]["config"]["max_steps"] < identity["config"]["max_steps"]:
            # It is no longer finished. The manifest goes first: killed here, it begins here again.
            for name in (MANIFEST_NAME, SEAL_NAME):
                (run / name).unlink(missing_ok=True)
            write_json(run / RUN_NAME, described | {"identity": identity})
        return
    data = shards.tokenizer.read_bytes()
    foreign = [path.name for path in run.iterdir() if not _is_left_behind(path, data)]
    if foreign:
        raise StageError(
            f"expected an empty folder or a run, found {sorted(foreign)[0]} in {run}: "
            "choose another --out"
        )
    with write_whole(run / TOKENIZER_NAME) as file:
        file.write(data)
    write_json(run / RUN_NAME, {"identity": identity, "facts": shards.facts, **model})


def _is_left_behind(path: Path, tokenizer: bytes) -> bool:
    """Tell whether a start that was cut off may have left a file: a lock, an aside, a tokenizer."""
    if path.name == TOKENIZER_NAME:
        return path.read_bytes() == tokenizer
    return path.name == _LOCK_NAME or path.name.endswith(ASIDE_SUFFIX)


def check_identity(found: dict[str, Any], wanted: dict[str, Any], run: Path) -> None:
    """Compare a run with what is asked for.

    Raises:
        ConfigError: they differ.
    """
    different = differences(found["config"], wanted["config"])
    for key in ("seed", "init"):
        if found[key] != wanted[key]:
            different.append(f"{key} was {found[key]!r}, is now {wanted[key]!r}")
    if found["inputs"] != wanted["inputs"]:
        names = sorted(set(found["inputs"]) | set(wanted["inputs"]))
        changed = [n for n in names if found["inputs"].get(n) != wanted["inputs"].get(n)]
        different.append(f"the shards are different ({', '.join(changed)})")
    if different:
        raise ConfigError(
            f"expected the run that lies in {run}, found another: {'; '.join(different)}; "
            "choose another --out, or --overwrite it"
        )


def read_run(run: Path) -> dict[str, Any]:
    """Read `run.json`.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    path = run / RUN_NAME
    if not path.is_file():
        raise CheckpointError(
            f"expected the folder of a pretraining run, found no {RUN_NAME} in {run}: name a "
            "folder that `linkbert pretrain` wrote"
        )
    try:
        values = json.loads(path.read_bytes())
        missing = _missing_keys(values, _RUN_KEYS) or _missing_keys(
            values["identity"], _IDENTITY_KEYS, "identity."
        )
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"expected JSON in {path}, found damage ({error}): {_CURE}"
        ) from error
    if missing:
        raise CheckpointError(
            f"expected what pretrain wrote in {path}, found no {missing} there: {_CURE}"
        )
    return dict(values)


def _missing_keys(values: Any, wanted: tuple[str, ...], prefix: str = "") -> str:
    """Return the keys that an object lacks, joined; all of them where it is not an object."""
    found = values if isinstance(values, dict) else {}
    return ", ".join(prefix + key for key in wanted if key not in found)


def validation_at(run: Path, step: int) -> dict[str, dict[str, Any]]:
    """Return the validation of a step, nothing where there was none."""
    path = run / VALIDATION_NAME
    lines = path.read_text().splitlines() if path.is_file() else []
    found = [values["splits"] for values in map(json.loads, lines) if values["step"] == step]
    return found[-1] if found else {}


def finished_result(run: Path, max_steps: int) -> dict[str, Any] | None:
    """Return the result of a run that is finished, None where it is not, or has steps left."""
    if not (run / MANIFEST_NAME).is_file():
        return None
    manifest = read_manifest(run)
    result: dict[str, Any] = manifest.extra[RESULT_KEY]
    return result if manifest.config["max_steps"] >= max_steps else None


def finish_run(run: Path, identity: dict[str, Any], result: dict[str, Any], step: int) -> None:
    """Write the manifest, which says that the run is finished and with what result."""
    final = checkpoint_path(run, step)
    files = []
    for path in sorted(final.iterdir()):
        name = f"{FOLDER_NAME}/{final.name}/{path.name}"
        files.append(FileEntry(name, 0, path.stat().st_size, sha256_of(path)))
    manifest = Manifest(
        stage="pretrain",
        config={**identity["config"], "seed": identity["seed"], "init": identity["init"]},
        inputs=identity["inputs"],
        rows_in=result["instances"],
        rows_out=0,
        drops={},
        files=tuple(files),
        versions={"linkbert": __version__},
        extra={RESULT_KEY: result},
    )
    _seal(run)
    write_manifest(run, manifest)


def _seal(run: Path) -> None:
    """Record the digests of what the manifest leaves out because it holds times."""
    own = [run / name for name in _OWN_FILES if name not in (MANIFEST_NAME, SEAL_NAME)]
    found = [path for path in own if path.is_file()]
    for folder in (FOLDER_NAME, EVENTS_FOLDER):
        found += [path for path in sorted((run / folder).rglob("*")) if path.is_file()]
    digests = {path.relative_to(run).as_posix(): sha256_of(path) for path in found}
    write_json(run / SEAL_NAME, digests)


def lock_run(run: Path) -> AbstractContextManager[None]:
    """Hold a run's folder against a second process; a killed one lets go by itself.

    Raises:
        StageError: another process writes into it.
    """
    return lock_folder(run, _LOCK_NAME)


def _remove_run(run: Path) -> None:
    for name in _OWN_FILES:
        (run / name).unlink(missing_ok=True)
    for folder in (FOLDER_NAME, EVENTS_FOLDER):
        shutil.rmtree(run / folder, ignore_errors=True)
