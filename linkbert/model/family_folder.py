"""Load a folder of any encoder that transformers knows, and make it ready for training.

Faults are reported in one line before training begins: sizes that no memory can hold, damaged or
missing weights, too few positions. Code in the folder is never loaded (`trust_remote_code` is off).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from linkbert.model.families import RELATION_NAMES, FamilyConfig, FamilyModel
from linkbert.model.network import INITIAL_STD, Batch
from linkbert.model.weights import RELATION_HEAD_NAME, check_files, read_relation_head
from schemas.errors import CheckpointError, ConfigError
from schemas.model_folder import CONFIG_NAME, check_encoder, read_object
from schemas.pair_frame import PairFrame

logger = logging.getLogger(__name__)

_DROPOUTS = {
    "hidden_dropout_prob": "hidden_dropout",
    "attention_probs_dropout_prob": "attention_dropout",
}
"""Keys of config.json that the dropout of a run replaces, if a family has them."""

_SIZES = frozenset(
    {
        "dim", "embedding_size", "hidden_dim", "hidden_size", "intermediate_size",
        "max_position_embeddings", "n_heads", "n_layers", "num_attention_heads",
        "num_hidden_layers", "type_vocab_size", "vocab_size",
    }
)  # fmt: skip
_MAX_LAYERS, _MAX_SIZE = 1000, 1 << 24


def family_config(
    folder: Path, facts: dict[str, Any] | None, dropouts: dict[str, float]
) -> FamilyConfig:
    """Describe the network of a folder, to start training from or to use.

    Args:
        folder: a Hugging Face folder.
        facts: from the manifest of the shards; None to use the model without shards.
        dropouts: `hidden_dropout` and `attention_dropout` of the run.

    Raises:
        CheckpointError: it is not an encoder, or its config.json is damaged.
        ConfigError: it has fewer rows than the shards have tokens.
    """
    path = folder / CONFIG_NAME
    written = read_object(path)
    check_encoder(written, str(path))
    check_sizes(written, path)
    values: dict[str, Any] = transformers_config(folder).to_dict()
    for key, ours in _DROPOUTS.items():
        if key in values and ours in dropouts:
            values[key] = dropouts[ours]
    if facts is None:
        return FamilyConfig(values, values.get("pad_token_id") or 0, has_token_types=True)
    frame = PairFrame.from_facts(facts)
    config = FamilyConfig(values, frame.pad_id, frame.has_token_types)
    if config.vocab_size < facts["vocab_size"]:
        raise ConfigError(
            f"expected rows for the {facts['vocab_size']:,} tokens of the shards, found "
            f"{config.vocab_size:,} in {folder}: make the shards with `linkbert tokenizer CORPUS "
            f"--from {folder}`"
        )
    return config


def check_sizes(values: dict[str, Any], path: Path) -> None:
    """Refuse sizes in a config.json that no memory can hold, before transformers allocates it.

    Raises:
        CheckpointError: a size is not a number, or is absurd.
    """
    for key in _SIZES & values.keys():
        value, limit = values[key], _MAX_LAYERS if key.endswith("_layers") else _MAX_SIZE
        if value is not None and (type(value) is not int or not 0 <= value <= limit):
            raise CheckpointError(
                f"expected {key} to be a number up to {limit:,}, found {str(value)[:40]!r} in "
                f"{path}"
            )


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ConfigError(
            "expected the package transformers for a model of this kind, found none: "
            "pip install 'linkbert[finetune]'"
        ) from error
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    return transformers


def transformers_config(folder: Path) -> Any:
    """Return a folder's config.json as transformers reads it, with the defaults of its family.

    BERTs from the time of SciBERT have no model_type. transformers then guesses it from the name of
    the folder; here they are BERTs under any name.

    Raises:
        CheckpointError: it is damaged, or describes a network that transformers does not know.
    """
    values = read_object(folder / CONFIG_NAME)
    if "model_type" not in values:
        return _quietly(lambda: _transformers().BertConfig(**values), folder)
    options = {"local_files_only": True, "trust_remote_code": False}
    return _quietly(lambda: _transformers().AutoConfig.from_pretrained(folder, **options), folder)


def _quietly(call: Callable[[], Any], folder: Path) -> Any:
    """Call transformers without its output; turn whatever it raises into a one-line error.

    Raises:
        CheckpointError: transformers raised an exception.
    """
    try:
        with redirect_stderr(StringIO()):
            return call()
    except (CheckpointError, ConfigError):
        raise
    except Exception as error:  # its models raise exceptions of any class
        found = " ".join(str(error).split())[:300] or type(error).__name__
        raise CheckpointError(
            f"expected a model that transformers can load, found {found} in {folder}"
        ) from error


def build_family(config: FamilyConfig) -> FamilyModel:
    """Build a network with random weights."""
    transformers = _transformers()
    return FamilyModel(config, transformers.AutoModelForMaskedLM.from_config(_described(config)))


def _described(config: FamilyConfig) -> Any:
    values = {key: value for key, value in config.values.items() if key != "model_type"}
    return _transformers().AutoConfig.for_model(config.kind, **values)


def load_family(
    folder: Path, config: FamilyConfig, longest: int | None, seed: int = 0
) -> FamilyModel:
    """Load the network of a folder; initialise missing heads from the seed, and log which.

    Args:
        folder: a Hugging Face folder, or one that `linkbert export` wrote.
        config: from `family_config`.
        longest: number of tokens in the longest sequence to train on; None without training.
        seed: for the weights of missing heads.

    Raises:
        CheckpointError: weights are damaged, of another network, or missing in the encoder.
        ConfigError: it has too few positions.
    """
    check_files(folder)
    transformers = _transformers()
    torch.manual_seed(seed)
    masked_lm, loaded = _quietly(
        lambda: transformers.AutoModelForMaskedLM.from_pretrained(
            folder,
            config=_described(config),
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            dtype=torch.float32,
        ),
        folder,
    )
    drawn = _missing_of_heads(masked_lm, loaded, folder)
    model = FamilyModel(config, masked_lm)
    _draw_relation_head(model, seed)
    if (folder / RELATION_HEAD_NAME).is_file():
        _take_relation_head(model, read_relation_head(folder), folder)
    else:
        drawn.append("the relation head")
    if drawn:
        logger.info("missing in %s, initialised at random: %s", folder, ", ".join(drawn))
    if longest is not None:
        _try_out(model, longest, folder)
    return model


def _missing_of_heads(masked_lm: Any, loaded: dict[str, Any], folder: Path) -> list[str]:
    """Return the names of the weights of heads that a folder lacks.

    Raises:
        CheckpointError: it lacks weights of the encoder.
    """
    missing = sorted(loaded["missing_keys"])
    prefix = f"{masked_lm.base_model_prefix}."
    lost = [name for name in missing if name.startswith(prefix)]
    lost += sorted(str(name) for name in loaded.get("mismatched_keys", ()))
    if lost:
        raise CheckpointError(
            f"expected a whole encoder, found {len(lost)} weights missing in {folder}, the first "
            f"of them {lost[0]}"
        )
    return missing


def _draw_relation_head(model: FamilyModel, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for layer in (model.pooler, model.classifier):
        nn.init.normal_(layer.weight, std=INITIAL_STD, generator=generator)
        nn.init.zeros_(layer.bias)


def _take_relation_head(model: FamilyModel, head: dict[str, Tensor], folder: Path) -> None:
    try:
        renamed = {ours: head[f"drp.{theirs}"] for ours, theirs in RELATION_NAMES.items()}
        model.load_state_dict(renamed, strict=False)
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"expected the relation head of this network in {RELATION_HEAD_NAME}, found another in "
            f"{folder}: remove it, or export again"
        ) from error


def _try_out(model: FamilyModel, longest: int, folder: Path) -> None:
    """Compute one sequence of the greatest length; freeze weights that get no gradient from it.

    Raises:
        ConfigError: the network has too few positions.
        CheckpointError: it cannot compute on pairs.
    """
    some_id = (model.config.pad_id + 1) % model.config.vocab_size
    ids = torch.full((longest,), some_id)
    batch = Batch(
        token_ids_N=ids,
        position_ids_N=torch.arange(longest),
        token_types_N=torch.zeros(longest, dtype=torch.int64),
        lengths_B=torch.tensor([longest]),
        masked_positions_M=torch.tensor([1]),
        labels_M=torch.tensor([some_id]),
        relations_B=torch.tensor([0]),
        max_length=longest,
    )
    model.train()
    try:
        losses = _quietly(lambda: model(batch), folder)
    except CheckpointError as error:
        if not (isinstance(error.__cause__, IndexError) or "out of bounds" in str(error)):
            raise
        raise ConfigError(
            f"expected positions for sequences of {longest} tokens, found fewer in {folder}: "
            "segment with a smaller --max-tokens"
        ) from error
    (losses.mlm_sum + losses.drp_sum).backward()
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.grad is not None)
    model.zero_grad(set_to_none=True)
