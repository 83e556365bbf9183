"""One fine-tuning run through transformers' Trainer, and the table over settings and seeds."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import statistics
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from linkbert.finetuning.options import FinetuneOptions, Hyper
from schemas.counter_rng import counter_bits, counter_key
from schemas.errors import CheckpointError, ConfigError
from schemas.manifest import write_json, write_whole

logger = logging.getLogger(__name__)

_WARMUP_SHARE = 0.1

Features = list[dict[str, Any]]
Score = dict[str, float]


@dataclass(frozen=True, slots=True)
class Trained:
    """What one run came to: the scores of each held-out split, and the model with its tokenizer."""

    scores: dict[str, Score]
    model: Any
    tokenizer: Any


RunOne = Callable[[Hyper, int], Trained]
"""Fine-tune with a setting and a seed."""


def load(factory: Any, model: Path, **options: Any) -> Any:
    """Call `factory.from_pretrained`, quietly.

    Raises:
        CheckpointError: the folder is no model's.
    """
    import transformers

    if not model.is_dir():
        raise CheckpointError(f"expected a Hugging Face folder, found none at {model}")
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        return factory.from_pretrained(model, local_files_only=True, **options)
    except (OSError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"expected a Hugging Face folder, found {first} in {model}"
        ) from error


def labelled(labels: Sequence[str]) -> dict[str, Any]:
    """Return the options of `from_pretrained` that make a head for these labels, by name."""
    return {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: number for number, label in enumerate(labels)},
    }


def train(
    model: Any,
    features: Features,
    collator: Callable[[Features], dict[str, Any]],
    hyper: Hyper,
    seed: int,
    folder: Path,
) -> Any:
    """Train a model in place; return the Trainer, which also predicts.

    A loss that is no number is warned of; its scores will be bad, but a grid goes on.
    """
    from transformers import PrinterCallback, Trainer, TrainingArguments

    steps = math.ceil(len(features) / hyper.batch_size) * hyper.epochs
    with warnings.catch_warnings():
        # Advice about devices that the machine has not.
        warnings.simplefilter("ignore")
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=str(folder),
                learning_rate=hyper.learning_rate,
                per_device_train_batch_size=hyper.batch_size,
                per_device_eval_batch_size=64,
                num_train_epochs=hyper.epochs,
                warmup_steps=int(_WARMUP_SHARE * steps),
                weight_decay=0.01,
                seed=seed,
                bf16=torch.cuda.is_available(),
                save_strategy="no",
                logging_strategy="no",
                logging_nan_inf_filter=False,
                report_to=[],
                disable_tqdm=True,
                remove_unused_columns=False,
                dataloader_pin_memory=torch.cuda.is_available(),
            ),
            train_dataset=features,
            data_collator=collator,
        )
        # It writes to stdout, where only results go.
        trainer.remove_callback(PrinterCallback)
        found = trainer.train()
    if not math.isfinite(found.training_loss):
        logger.warning(
            "the loss became %s at learning rate %g with seed %d: lower the rate",
            found.training_loss, hyper.learning_rate, seed,
        )  # fmt: skip
    return trainer


def predict(trainer: Any, features: Features) -> Any:
    """Return the logits of features, in their order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return trainer.predict(features).predictions


def draw_fraction(rows: Sequence[Any], fraction: float) -> list[Any]:
    """Return a drawn fraction of rows, at least one, in their order; the same for every seed.

    >>> len(draw_fraction(range(100), 0.1)), draw_fraction([7], 0.1)
    (10, [7])
    """
    if fraction == 1.0:
        return list(rows)
    order = np.argsort(counter_bits(counter_key(0, "fraction"), np.arange(len(rows))))
    return [rows[place] for place in np.sort(order[: max(1, round(fraction * len(rows)))])]


@dataclass(frozen=True, slots=True)
class Job:
    """What a table is about; it identifies the runs that lie in its folder."""

    task: str
    model: Path
    data: tuple[Path, ...]
    metric: str


def run_table(
    job: Job, options: FinetuneOptions, settings: Sequence[Hyper], run: RunOne, out: Path
) -> dict[str, Any]:
    """Run every setting with every seed and write the table; finished runs are kept.

    The setting with the best mean on `dev` is chosen; its `test`, where there is one, is told.
    The model of the run that scored best on `dev` is kept as a Hugging Face folder, `out`/model.

    Raises:
        ConfigError: the folder holds runs of something else.
    """
    _check_identity(job, options, out)
    paths = {
        (hyper, seed): out / "runs" / f"{_name(hyper)}-seed{seed}.json"
        for hyper in settings
        for seed in options.seeds
    }
    done = {key: json.loads(path.read_text()) for key, path in paths.items() if path.is_file()}
    best_score = max((each["dev"][job.metric] for each in done.values()), default=-math.inf)
    for number, ((hyper, seed), path) in enumerate(paths.items(), 1):
        if (hyper, seed) in done:
            continue
        logger.info("run %d of %d: %s, seed %d", number, len(paths), _name(hyper), seed)
        trained = run(hyper, seed)
        if trained.scores["dev"][job.metric] > best_score:
            best_score = trained.scores["dev"][job.metric]
            trained.model.save_pretrained(out / "model")
            trained.tokenizer.save_pretrained(out / "model")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, trained.scores)
        done[hyper, seed] = trained.scores
    scores = {hyper: {seed: done[hyper, seed] for seed in options.seeds} for hyper in settings}
    return _write_table(job, scores, out)


def _name(hyper: Hyper) -> str:
    return f"lr{hyper.learning_rate:g}-batch{hyper.batch_size}-epochs{hyper.epochs}"


def _write_table(
    job: Job, scores: dict[Hyper, dict[int, dict[str, Score]]], out: Path
) -> dict[str, Any]:
    rows = [{**asdict(hyper), **_summary(by_seed)} for hyper, by_seed in scores.items()]
    result = {
        "task": job.task,
        "model": job.model.name,
        "metric": job.metric,
        "seeds": list(next(iter(scores.values()))),
        "best": max(rows, key=lambda row: row["dev"][job.metric]["mean"]),
        "settings": rows,
    }
    write_json(out / "results.json", result)
    with write_whole(out / "results.md") as file:
        file.write(("\n".join(_table_lines(result)) + "\n").encode())
    return result


def _check_identity(job: Job, options: FinetuneOptions, out: Path) -> None:
    chosen = ("fraction", "max_length", "stride", "distractors")
    wanted = {
        "task": job.task,
        "model": [_digest(path) for path in sorted(job.model.glob("*.safetensors"))],
        "data": [_digest(path) for path in job.data],
        **{name: getattr(options, name) for name in chosen},
    }
    path = out / "finetune.json"
    if path.is_file():
        found = json.loads(path.read_text())
        different = [name for name in wanted if found.get(name) != wanted[name]]
        if different:
            raise ConfigError(
                f"expected the fine-tuning begun in {out}, found other {', '.join(different)}: "
                "choose another --out, or --overwrite"
            )
        return
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"expected a new folder, found {out}: choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_json(path, wanted)


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _summary(by_seed: dict[int, dict[str, Score]]) -> dict[str, Any]:
    """Return mean and standard deviation over seeds of every score of every split."""
    first = next(iter(by_seed.values()))
    return {
        split: {
            name: _mean_and_deviation([found[split][name] for found in by_seed.values()])
            for name in scores
        }
        for split, scores in first.items()
    }


def _mean_and_deviation(values: list[float]) -> dict[str, Any]:
    # One seed has no deviation: none is claimed.
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
