"""Fine-tuning runs through transformers' Trainer, whatever the task."""

from __future__ import annotations

import functools
import json
import logging
import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from linkbert.finetuning.data.files import DataFiles, find_files
from linkbert.finetuning.options import FinetuneOptions, Hyper
from linkbert.finetuning.table import Score, TableJob, Trained, run_table
from linkbert.model.family_folder import family_config, transformers_config
from linkbert.model.weights import check_files
from linkbert.training.optimizer import choose_precision
from schemas.counter_rng import counter_bits, counter_key
from schemas.errors import CheckpointError, ConfigError
from schemas.model_folder import TOKENIZER_NAME, try_tokenizer

logger = logging.getLogger(__name__)

Predict = Callable[[Any], Any]
"""Return a model's logits of rows, in their order."""

Judged = tuple[dict[str, str], Score | None]
"""The text of each file of predictions by its name, and the scores; None without right answers."""

_WARMUP_SHARE = 0.1
_EVAL_BATCH_SIZE = 64

_OFFSET_POSITIONS = frozenset(
    ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "roberta-prelayernorm", "mpnet")
)
"""Model types whose positions begin after the number of the padding token."""


def check_model(folder: Path) -> None:
    """Check the files of a model folder before transformers reads them.

    Damaged files can make libraries abort the process or fill the memory; here each one is an error
    of one line.

    Raises:
        CheckpointError: the folder does not hold an encoder, or one of its files is damaged.
    """
    if not folder.is_dir():
        raise CheckpointError(f"expected a Hugging Face folder, found none at {folder}")
    family_config(folder, None, {})
    check_files(folder)
    if (folder / TOKENIZER_NAME).is_file():
        try_tokenizer(folder / TOKENIZER_NAME)


def load(factory: Any, model: Path, config: Any = None, **options: Any) -> Any:
    """Call `factory.from_pretrained` quietly; without a `config`, with the folder's own.

    Raises:
        CheckpointError: the folder cannot be loaded.
    """
    import transformers

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        config = config or transformers_config(model)
        return factory.from_pretrained(model, local_files_only=True, config=config, **options)
    except CheckpointError:
        raise
    # On a damaged folder transformers may raise anything, from KeyError to safetensors' own errors.
    except Exception as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise CheckpointError(
            f"expected a Hugging Face folder, found {first} in {model}"
        ) from error


def load_model(factory: Any, folder: Path, **head: Any) -> Any:
    """Load a model's body from its folder, with a new head for a task.

    `head` holds entries of the configuration, such as `num_labels`. Weights of the body that the
    folder lacks, often those of a pooler, are drawn anew and named in the log.

    Raises:
        CheckpointError: the folder cannot be loaded, or has no weight of the body.
    """
    config = transformers_config(folder)
    for name, value in head.items():
        setattr(config, name, value)
    model, info = load(factory, folder, config, output_loading_info=True)
    prefix = f"{model.base_model_prefix}."
    body = [name for name, _ in model.named_parameters() if name.startswith(prefix)]
    lost = sorted(set(body) & set(info["missing_keys"]))
    if lost and len(lost) == len(body):
        raise CheckpointError(
            f"expected weights of a {type(model.base_model).__name__} in {folder}, found none that "
            "fits: its config.json belongs to another model, or its weights have other names"
        )
    if lost:
        told = ", ".join(lost[:3]) + (" ..." if len(lost) > 3 else "")
        logger.warning("%s lacks %d weights, which are drawn anew: %s", folder, len(lost), told)
    return model


def longest_sequence(model: Path, wanted: int) -> int:
    """Return the length of a sequence, in tokens: the wanted one, or all positions of the model.

    Raises:
        CheckpointError: there is no model in the folder.
    """
    config = transformers_config(model)
    positions = getattr(config, "max_position_embeddings", None) or wanted
    if config.model_type in _OFFSET_POSITIONS:
        positions -= (config.pad_token_id or 0) + 1
    return min(wanted, positions)


def labelled(labels: Sequence[str]) -> dict[str, Any]:
    """Return the entries of a configuration that give a head these labels."""
    return {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: number for number, label in enumerate(labels)},
    }


def num_processes() -> int:
    """Return how many processes train together: those started by torchrun, or 1."""
    from torch import distributed

    return distributed.get_world_size() if distributed.is_initialized() else 1


@dataclass(frozen=True)
class Task:
    """What a kind of fine-tuning learns, and how it is judged.

    Attributes:
        name: what the table of results calls it.
        metrics: those of dev; the first one chooses among settings unless another is asked for.
        counts: what was read from each file.
        head: name of the class in transformers that adds the head to an encoder.
        collator: name of the class in transformers that makes a batch of rows.
        tokenizer: the model's.
        encode: returns the training rows with inputs and labels, by number.
        splits: names of the held-out files.
        judge: predicts a split by the function that it is given, and scores the predictions.
        config: entries of the model's configuration, such as `num_labels`.
    """

    name: str
    metrics: Sequence[str]
    counts: dict[str, dict[str, int]]
    head: str
    collator: str
    tokenizer: Any
    encode: Callable[[], Any]
    splits: Sequence[str]
    judge: Callable[[Predict, str], Judged]
    config: dict[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def rows(self) -> Any:
        """The encoded training rows, the same for every run."""
        return self.encode()


def run_task(
    prepare: Callable[[Path, DataFiles, FinetuneOptions], Task],
    model: Path,
    data: Sequence[Path],
    out: Path,
    *,
    options: FinetuneOptions,
    overwrite: bool,
) -> dict[str, Any]:
    """Fine-tune with every setting and seed, and return the table.

    `prepare` reads the data; `linkbert.finetuning.qa.finetune_qa` explains the rest.
    """
    check_model(model)
    files = find_files(data)
    task = prepare(model, files, options)
    job = TableJob(task.name, model, files.paths, options.metric_of(task.metrics), task.counts)
    settings = options.settings(model, is_question_answering=task.name == "qa")
    run = functools.partial(_train_and_judge, task, model)
    return run_table(job, options, settings, run, out, overwrite=overwrite)


def _train_and_judge(task: Task, folder: Path, hyper: Hyper, seed: int) -> Trained:
    import transformers

    transformers.set_seed(seed)
    model = load_model(getattr(transformers, task.head), folder, **task.config)
    collator = getattr(transformers, task.collator)(task.tokenizer)
    trainer = train(model, task.rows, collator, hyper, seed)
    found = Trained({}, trainer.model, task.tokenizer)
    for name in task.splits:
        predictions, scores = task.judge(functools.partial(predict, trainer), name)
        found.predictions.update(predictions)
        if scores is not None:
            found.scores[name] = scores
    return found


def prediction_lines(rows: Iterable[tuple[Any, Any, Any]]) -> str:
    """Return the id, the prediction and the right answer of each row as JSON lines."""
    names = ("id", "prediction", "gold")
    lines = (json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in rows)
    return "".join(f"{line}\n" for line in lines)


def load_tokenizer(folder: Path, **options: Any) -> Any:
    """Return the tokenizer of a Hugging Face folder.

    Raises:
        CheckpointError: it cannot be loaded.
    """
    from transformers import AutoTokenizer

    return load(AutoTokenizer, folder, **options)


def train(
    model: Any,
    features: Any,
    collator: Callable[[list[Any]], dict[str, Any]],
    hyper: Hyper,
    seed: int,
) -> Any:
    """Train a model in place; return the Trainer, which also predicts.

    A non-finite loss is only a warning, so that the rest of a grid is still tried.

    Args:
        model: a model of transformers.
        features: rows with inputs and labels, by number.
        collator: makes a batch of rows.
        hyper: the setting; its batch size counts all processes together.
        seed: of order and dropout; the caller has drawn the head.

    Raises:
        ConfigError: the processes started by torchrun cannot share the batch evenly.
    """
    from transformers import PrinterCallback, Trainer

    # The Trainer insists on a folder, though nothing is saved.
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        # They are about devices that the machine does not have.
        warnings.simplefilter("ignore")
        trainer = Trainer(
            model=model,
            args=training_arguments(len(features), hyper, seed, folder),
            train_dataset=features,
            data_collator=collator,
        )
        # It would write to stdout, which is for results only.
        trainer.remove_callback(PrinterCallback)
        found = trainer.train()
    if not math.isfinite(found.training_loss):
        logger.warning(
            "the loss became %s at learning rate %g with seed %d: lower the learning rate",
            found.training_loss, hyper.learning_rate, seed,
        )  # fmt: skip
    return trainer


def training_arguments(num_rows: int, hyper: Hyper, seed: int, folder: str | Path) -> Any:
    """Return the Trainer's arguments: one device per process, and the batch shared by all.

    Raises:
        ConfigError: the processes started by torchrun cannot share the batch evenly.
    """
    from transformers import TrainingArguments

    size = num_processes()
    if hyper.batch_size % size:
        raise ConfigError(
            f"expected a batch size that {size} processes can share, found {hyper.batch_size}: "
            f"choose a multiple of {size}, or start fewer processes"
        )
    steps = math.ceil(num_rows / hyper.batch_size) * hyper.epochs
    has_gpu = torch.cuda.is_available()
    precision = choose_precision("auto", torch.device("cuda" if has_gpu else "cpu")).name
    arguments = TrainingArguments(
        output_dir=str(folder),
        learning_rate=hyper.learning_rate,
        per_device_train_batch_size=hyper.batch_size // size,
        per_device_eval_batch_size=_EVAL_BATCH_SIZE,
        num_train_epochs=hyper.epochs,
        warmup_steps=int(_WARMUP_SHARE * steps),
        weight_decay=0.01,
        seed=seed,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        save_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=has_gpu,
    )
    # With several GPUs in one process the Trainer would multiply the batch by their number
    # (DataParallel), but the steps above are counted for one GPU: the first one trains alone.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def predict(trainer: Any, features: Any) -> Any:
    """Return the logits of rows, in their order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return trainer.predict(features).predictions


def draw_fraction(rows: Sequence[Any], fraction: float) -> list[Any]:
    """Return a random fraction of rows, at least one, in their order; the same for every seed.

    >>> len(draw_fraction(range(100), 0.1)), draw_fraction([7], 0.1)
    (10, [7])
    """
    if fraction == 1.0:
        return list(rows)
    order = np.argsort(counter_bits(counter_key(0, "fraction"), np.arange(len(rows))))
    return [rows[place] for place in np.sort(order[: max(1, round(fraction * len(rows)))])]
