"""The table over settings and seeds, and the folder it is kept in.

OUT/finetune.json   what is fine-tuned on what; a continuation must have the same
OUT/runs/           the scores of each setting and seed; a run with scores is not repeated
OUT/model/          the run that scored best on dev, as a Hugging Face folder
OUT/predictions/    that run's predictions for each held-out file
OUT/results.json    means and standard deviations over seeds, and the best setting
OUT/results.md      the same as a table
"""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import statistics
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from linkbert.finetuning.options import IDENTITY_NAMES, FinetuneOptions, Hyper
from linkbert.model.weights import weight_files
from linkbert.training.distributed import Ranks, join_ranks
from linkbert.training.run_folder import lock_run
from schemas.errors import ConfigError, StageError
from schemas.manifest import ASIDE_SUFFIX, write_json, write_whole
from schemas.model_folder import digest_of, sha256_of

logger = logging.getLogger(__name__)

_IDENTITY_NAME = "finetune.json"
_MODEL, _PREDICTIONS, _RUNS = "model", "predictions", "runs"
_LOCK_NAME = ".lock"
_MODEL_FILES = ("config.json", "*token*.json", "vocab*", "merges.txt", "*.model")

Score = dict[str, float]


@dataclass(frozen=True, slots=True)
class Trained:
    """The result of one run.

    Attributes:
        scores: the scores of each held-out split, in percent.
        model: a model of transformers.
        tokenizer: its tokenizer.
        predictions: the text of each file of predictions, by its name.
    """

    scores: dict[str, Score]
    model: Any
    tokenizer: Any
    predictions: dict[str, str] = field(default_factory=dict)


RunOne = Callable[[Hyper, int], Trained]
"""Fine-tune with a setting and a seed."""


@dataclass(frozen=True, slots=True)
class TableJob:
    """What a table is about; it identifies the runs in its folder.

    Attributes:
        task: the name of the task.
        model: a Hugging Face folder.
        data: the files, the training file first.
        metric: the score on dev that chooses among settings and runs.
        counts: how much was read from each file, and how much left out.
    """

    task: str
    model: Path
    data: tuple[Path, ...]
    metric: str
    counts: dict[str, dict[str, int]] = field(default_factory=dict)


def run_table(
    job: TableJob,
    options: FinetuneOptions,
    settings: Sequence[Hyper],
    run: RunOne,
    out: Path,
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Run every setting with every seed and write the table; finished runs are kept.

    The setting with the best mean on `dev` is chosen, and its scores on the other splits are
    reported. The model and the predictions of the run that scored best on `dev` are kept. Under
    torchrun all processes train each run together, and the first one writes.

    Raises:
        ConfigError: the folder holds other runs.
        StageError: another process is writing to it, or the model cannot be written.
    """
    refuse_foreign(out)
    with join_ranks() as ranks, lock_run(out) if ranks.is_writer else nullcontext():
        if ranks.is_writer:
            _begin(job, options, out, overwrite=overwrite)
        ranks.wait()
        paths = {
            (hyper, seed): out / _RUNS / f"{_name(hyper)}-seed{seed}.json"
            for hyper in settings
            for seed in options.seeds
        }
        done = _run_all(paths, run, job.metric, out, ranks)
        scores = {hyper: {seed: done[hyper, seed] for seed in options.seeds} for hyper in settings}
        result = _result(job, scores)
        if ranks.is_writer:
            _write_table(result, out)
        return result


def _run_all(
    paths: dict[tuple[Hyper, int], Path], run: RunOne, metric: str, out: Path, ranks: Ranks
) -> dict[tuple[Hyper, int], dict[str, Score]]:
    done = {key: json.loads(path.read_text()) for key, path in paths.items() if path.is_file()}
    best_score = max((each["dev"][metric] for each in done.values()), default=-math.inf)
    ranks.wait()  # no process may add a run before all have looked
    for number, ((hyper, seed), path) in enumerate(paths.items(), 1):
        if (hyper, seed) in done:
            continue
        logger.info("run %d of %d: %s, seed %d", number, len(paths), _name(hyper), seed)
        trained = run(hyper, seed)
        done[hyper, seed] = trained.scores
        if not ranks.is_writer:
            continue
        if trained.scores["dev"][metric] > best_score:
            best_score = trained.scores["dev"][metric]
            _keep(trained, out)
        path.parent.mkdir(exist_ok=True)
        write_json(path, trained.scores)
    return done


def _keep(trained: Trained, out: Path) -> None:
    """Write the model and its predictions beside the old ones, then replace those.

    Raises:
        StageError: a file cannot be written.
    """
    aside = {name: out / f"{name}{ASIDE_SUFFIX}" for name in (_MODEL, _PREDICTIONS)}
    for folder in aside.values():
        _remove(folder)
        folder.mkdir()
    for name, text in trained.predictions.items():
        (aside[_PREDICTIONS] / name).write_text(text, encoding="utf-8", newline="\n")
    try:
        trained.model.save_pretrained(aside[_MODEL])
        trained.tokenizer.save_pretrained(aside[_MODEL])
    except OSError:
        raise
    except Exception as error:  # safetensors and tokenizers have their own for a full disk
        raise StageError(
            f"expected to write the model to {aside[_MODEL]}, found {error}: check the permissions "
            "and the free space; the same command resumes"
        ) from error
    for name, folder in aside.items():
        _remove(out / name)
        os.replace(folder, out / name)


def _begin(job: TableJob, options: FinetuneOptions, out: Path, *, overwrite: bool) -> None:
    """Clear away leftovers, and check or write what identifies the folder.

    Raises:
        ConfigError: the folder holds other runs.
    """
    path = out / _IDENTITY_NAME
    for each in sorted(out.iterdir()):
        is_old = overwrite and path.is_file() and each.name != _LOCK_NAME
        # The identity is deleted last: after a kill in between, the rest must not look foreign.
        if each != path and (is_old or each.name.endswith(ASIDE_SUFFIX)):
            _remove(each)
    for each in (out / _RUNS).glob(f".*{ASIDE_SUFFIX}"):
        each.unlink()
    if overwrite:
        path.unlink(missing_ok=True)
    wanted = {
        "task": job.task,
        "model": model_identity(job.model),
        "data": [sha256_of(each) for each in job.data],
        "metric": job.metric,
        **{name: getattr(options, name) for name in IDENTITY_NAMES},
    }
    # As it will be read back: JSON has no tuples.
    wanted = json.loads(json.dumps(wanted))
    if not path.is_file():
        write_json(path, wanted)
        return
    found = json.loads(path.read_text())
    different = [name for name in wanted if found.get(name) != wanted[name]]
    if different:
        raise ConfigError(
            f"expected the fine-tuning that was begun in {out}, found a different "
            f"{', '.join(different)}: choose another --out, or --overwrite"
        )


def model_identity(folder: Path) -> str:
    """Return the SHA-256 of the files of a model and its tokenizer.

    Raises:
        CheckpointError: the folder has no weights.
    """
    names = {path for form in _MODEL_FILES for path in folder.glob(form) if path.is_file()}
    return digest_of({*names, *weight_files(folder)})


def refuse_foreign(out: Path) -> None:
    """Refuse a folder that holds anything but a fine-tuning.

    Raises:
        ConfigError: it holds something else.
    """
    if not out.is_dir() or (out / _IDENTITY_NAME).is_file():
        return
    names = sorted(each.name for each in out.iterdir())
    foreign = [name for name in names if name != _LOCK_NAME and not name.endswith(ASIDE_SUFFIX)]
    if foreign:
        raise ConfigError(
            f"expected a new folder or an earlier fine-tuning, found {foreign[0]} in {out}: choose "
            "another --out"
        )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _name(hyper: Hyper) -> str:
    return f"lr{hyper.learning_rate:g}-batch{hyper.batch_size}-epochs{hyper.epochs}"


def _result(job: TableJob, scores: dict[Hyper, dict[int, dict[str, Score]]]) -> dict[str, Any]:
    rows = [{**asdict(hyper), **_summary(by_seed)} for hyper, by_seed in scores.items()]
    return {
        "task": job.task,
        "model": job.model.name,
        "metric": job.metric,
        "seeds": list(next(iter(scores.values()))),
        "data": job.counts,
        "best": max(rows, key=lambda row: row["dev"][job.metric]["mean"]),
        "settings": rows,
    }


def _write_table(result: dict[str, Any], out: Path) -> None:
    write_json(out / "results.json", result)
    with write_whole(out / "results.md") as file:
        file.write(("\n".join(_table_lines(result)) + "\n").encode())


def _summary(by_seed: dict[int, dict[str, Score]]) -> dict[str, Any]:
    """Return the mean and the standard deviation over seeds of each score of each split."""
    first = next(iter(by_seed.values()))
    return {
        split: {
            name: _mean_and_deviation([found[split][name] for found in by_seed.values()])
            for name in scores
        }
        for split, scores in first.items()
    }


def _mean_and_deviation(values: list[float]) -> dict[str, Any]:
    # A single seed has no deviation.
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "sd": deviation, "by_seed": values}


def _table_lines(result: dict[str, Any]) -> list[str]:
    splits = [name for name, value in result["best"].items() if isinstance(value, dict)]
    scores = [(split, name) for split in splits for name in result["best"][split]]
    lines = [
        f"# {result['task']}: {result['model']}, {len(result['seeds'])} seeds",
        "",
        f"| learning rate | batch | epochs | {' | '.join(f'{s} {n}' for s, n in scores)} |",
        "|---" * (3 + len(scores)) + "|",
    ]
    for row in result["settings"]:
        cells = [_cell(row[split][name]) for split, name in scores]
        is_best = " (best)" if row is result["best"] else ""
        lines.append(
            f"| {row['learning_rate']:g}{is_best} | {row['batch_size']} | {row['epochs']} | "
            f"{' | '.join(cells)} |"
        )
    return lines


def _cell(found: dict[str, Any]) -> str:
    spread = "" if found["sd"] is None else f" ± {found['sd']:.2f}"
    return f"{found['mean']:.2f}{spread}"
