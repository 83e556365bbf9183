"""One fine-tuning run through transformers' Trainer."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from linkbert.finetuning.options import Hyper
from linkbert.finetuning.table import Trained
from linkbert.model.family_folder import family_config, transformers_config
from linkbert.model.weights import check_files
from linkbert.training.optimizer import choose_precision
from schemas.counter_rng import counter_bits, counter_key
from schemas.errors import CheckpointError, ConfigError
from schemas.model_folder import TOKENIZER_NAME, try_tokenizer

logger = logging.getLogger(__name__)

_WARMUP_SHARE = 0.1
_EVAL_BATCH_SIZE = 64

_OFFSET_POSITIONS = frozenset(
    ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "roberta-prelayernorm", "mpnet")
)
"""Model types that count positions from the number of the padding token on."""


def check_model(folder: Path) -> None:
    """Hold a model folder from outside to what its files must be, before transformers reads them.

    Damaged files make libraries abort the process, or fill the memory; here each is one line.

    Raises:
        CheckpointError: the folder is not an encoder's, or a file of it is damaged.
    """
    if not folder.is_dir():
        raise CheckpointError(f"expected a Hugging Face folder, found none at {folder}")
    family_config(folder, None, {})
    check_files(folder)
    if (folder / TOKENIZER_NAME).is_file():
        try_tokenizer(folder / TOKENIZER_NAME)


def load(factory: Any, model: Path, config: Any = None, **options: Any) -> Any:
    """Call `factory.from_pretrained`, quietly; `config` is the folder's own where None.

    Raises:
        CheckpointError: the folder is not a model's.
    """
    import transformers

    if not model.is_dir():
        raise CheckpointError(f"expected a Hugging Face folder, found none at {model}")
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        config = config or transformers_config(model)
        return factory.from_pretrained(model, local_files_only=True, config=config, **options)
    except CheckpointError:
        raise
    # A damaged folder makes transformers raise anything, from a KeyError to safetensors' own.
    except Exception as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise CheckpointError(
            f"expected a Hugging Face folder, found {first} in {model}"
        ) from error


def load_model(factory: Any, folder: Path, **head: Any) -> Any:
    """Load a model with a new head for a task; its body must be the folder's.

    `head` are entries of its configuration, such as `num_labels`. Weights of the body that the
    folder lacks are drawn anew and named in the log: a pooler, often.

    Raises:
        CheckpointError: the folder is not a model's, or no weight of the body is in it.
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
            "fits: its config.json is another model's, or its weights have other names"
        )
    if lost:
        told = ", ".join(lost[:3]) + (" ..." if len(lost) > 3 else "")
        logger.warning("%d weights that %s lacks are drawn anew: %s", len(lost), folder, told)
    return model


def longest_sequence(model: Path, wanted: int) -> int:
    """Return the tokens of a sequence: as many as wanted, if the model has positions for them.

    Raises:
        CheckpointError: the folder is not a model's.
    """
    config = transformers_config(model)
    positions = getattr(config, "max_position_embeddings", None) or wanted
    if config.model_type in _OFFSET_POSITIONS:
        positions -= (config.pad_token_id or 0) + 1
    return min(wanted, positions)


def labelled(labels: Sequence[str]) -> dict[str, Any]:
    """Return the options of `from_pretrained` that make a head for these labels, by name."""
    return {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: number for number, label in enumerate(labels)},
    }


def num_processes() -> int:
    """Return how many processes train together: those that torchrun started, else 1."""
    from torch import distributed

    return distributed.get_world_size() if distributed.is_initialized() else 1


class Learnable(Protocol):
    """What `fit` asks of a task.

    Attributes:
        model: a Hugging Face folder.
        tokenizer: of that folder.
        features: rows with inputs and labels, by number.
        scratch: a folder that the Trainer may write to.
    """

    @property
    def model(self) -> Path: ...  # noqa: D102
    @property
    def tokenizer(self) -> Any: ...  # noqa: D102
    @property
    def features(self) -> Any: ...  # noqa: D102
    @property
    def scratch(self) -> Path: ...  # noqa: D102


def fit(
    task: Learnable, factory: Any, collator: Any, hyper: Hyper, seed: int, **head: Any
) -> tuple[Any, Trained]:
    """Train a model with a new head on a task; return the Trainer, and what is still to be scored.

    Args:
        task: what is learned.
        factory: the class of transformers that has the head.
        collator: the class that makes a batch of rows.
        hyper: the setting.
        seed: of the head, the order and dropout.
        **head: entries of the configuration, such as `num_labels`.
    """
    from transformers import set_seed

    set_seed(seed)
    model = load_model(factory, task.model, **head)
    trainer = train(
        model, task.features, collator(task.tokenizer), hyper, seed=seed, folder=task.scratch
    )
    return trainer, Trained({}, trainer.model, task.tokenizer)


def load_tokenizer(folder: Path, **options: Any) -> Any:
    """Return the tokenizer of a Hugging Face folder.

    Raises:
        CheckpointError: the folder is not a model's.
    """
    from transformers import AutoTokenizer

    return load(AutoTokenizer, folder, **options)


def train(
    model: Any,
    features: Any,
    collator: Callable[[list[Any]], dict[str, Any]],
    hyper: Hyper,
    *,
    seed: int,
    folder: Path,
) -> Any:
    """Train a model in place; return the Trainer, which also predicts.

    A non-finite loss is warned of; its scores will be bad, but a grid goes on.

    Args:
        model: of transformers.
        features: rows with inputs and labels, by number.
        collator: makes a batch of rows.
        hyper: the setting; its batch is that of all processes together.
        seed: of order and dropout; the caller's `set_seed` drew the head.
        folder: scratch space of the Trainer.

    Raises:
        ConfigError: the batch cannot be shared by the processes that torchrun started.
    """
    from transformers import PrinterCallback, Trainer

    with warnings.catch_warnings():
        # Advice about devices that the machine lacks.
        warnings.simplefilter("ignore")
        trainer = Trainer(
            model=model,
            args=training_arguments(len(features), hyper, seed, folder),
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


def training_arguments(num_rows: int, hyper: Hyper, seed: int, folder: Path) -> Any:
    """Return the Trainer's arguments: one device per process, and the batch shared by all.

    Raises:
        ConfigError: the batch cannot be shared by the processes that torchrun started.
    """
    from transformers import TrainingArguments

    size = num_processes()
    if hyper.batch_size % size:
        raise ConfigError(
            f"expected a batch size that {size} processes can share, found {hyper.batch_size}: "
            f"take a multiple of {size}, or fewer processes"
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
    # With several GPUs and one process the Trainer would multiply the batch by their number
    # (DataParallel), while the steps are counted for one: the first GPU trains alone.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def predict(trainer: Any, features: Any) -> Any:
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
