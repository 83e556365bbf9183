"""A model with its optimizer, and one optimizer step over the micro-batches of all ranks.

The loss is that of one big batch (LinkBERT, arXiv:2203.15827, section 4.2): the sum over all masked
tokens of the global batch divided by their number, plus the same for relations. Ranks and
micro-batches hold different numbers of masked tokens, so no mean of means would do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from linkbert.loader.batches import StepBatch
from linkbert.model.huggingface import check_shape, load_folder, read_model_config
from linkbert.model.network import LinkBert, Losses, ModelConfig, initialise
from linkbert.model.vocabulary import check_same_vocabulary
from linkbert.training.config import PretrainConfig
from linkbert.training.distributed import Ranks
from linkbert.training.optimizer import (
    Precision,
    build_optimizer,
    choose_precision,
    learning_rate_at,
)
from linkbert.training.run_folder import Shards
from schemas.counter_rng import counter_key
from schemas.errors import ConfigError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step tells; losses are means over the global batch."""

    loss_mlm: float
    loss_drp: float
    mlm_accuracy: float
    drp_accuracy: float
    lr: float
    grad_norm: float
    is_stop_wanted: bool

    def loss(self, drp_weight: float) -> float:
        """Return the loss that was minimised."""
        return self.loss_mlm + drp_weight * self.loss_drp


@dataclass(frozen=True, slots=True)
class Learner:
    """A model with its optimizer, on one rank.

    Attributes:
        model: the bare model, whose weights are saved.
        forward: the same, wrapped where there are several ranks.
    """

    model: LinkBert
    forward: Callable[..., Losses]
    optimizer: torch.optim.AdamW
    scaler: torch.amp.GradScaler
    precision: Precision
    ranks: Ranks
    config: PretrainConfig
    seed: int

    def run_step(self, step: int, batch: StepBatch, is_stop_wanted: bool) -> StepResult:
        """Do optimizer step `step`, counted from 0."""
        device = self.ranks.device
        num_masked = self.ranks.sum(torch.tensor(float(batch.num_masked), device=device))
        num_masked = num_masked.clamp(min=1.0)
        sums = torch.zeros(4, dtype=torch.float64, device=device)
        last = len(batch.micro_batches) - 1
        for index, micro_batch in enumerate(batch.micro_batches):
            torch.manual_seed(dropout_seed(self.seed, step, self.ranks.rank, index))
            with self._synchronised(index == last):
                with self.precision.autocast():
                    losses = self.forward(micro_batch.to(device))
                loss = losses.mlm_sum / num_masked
                loss = loss + self.config.drp_weight * losses.drp_sum / batch.num_instances
                # The wrapper averages over ranks; the loss above is a share of one sum.
                self.scaler.scale(loss * self.ranks.size).backward()  # type: ignore[no-untyped-call]
            sums += torch.stack(losses).detach()
        lr = learning_rate_at(step, self.config)
        grad_norm = self._update(lr)
        wish = torch.tensor([float(is_stop_wanted)], dtype=torch.float64, device=device)
        told = self.ranks.sum(torch.cat([sums, wish])).tolist()
        mlm_sum, drp_sum, mlm_correct, drp_correct, stop_wishes = told
        return StepResult(
            loss_mlm=mlm_sum / num_masked.item(),
            loss_drp=drp_sum / batch.num_instances,
            mlm_accuracy=mlm_correct / num_masked.item(),
            drp_accuracy=drp_correct / batch.num_instances,
            lr=lr,
            grad_norm=grad_norm.item(),
            is_stop_wanted=stop_wishes > 0,
        )

    def _synchronised(self, is_last: bool) -> AbstractContextManager[object]:
        """Let ranks exchange gradients in the last micro-batch only."""
        if is_last or not isinstance(self.forward, DistributedDataParallel):
            return nullcontext()
        return self.forward.no_sync()

    def _update(self, lr: float) -> Tensor:
        """Clip the gradient and take the step; return its norm before clipping."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.scaler.unscale_(self.optimizer)
        limit = self.config.gradient_clip or float("inf")
        grad_norm = nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        return grad_norm


def dropout_seed(seed: int, step: int, rank: int, micro_batch: int) -> int:
    """Return the seed of the dropout of one forward pass, for torch.manual_seed.

    >>> dropout_seed(0, 1, 0, 0) == dropout_seed(0, 1, 0, 0) != dropout_seed(0, 2, 0, 0)
    True
    """
    return int(counter_key(seed, "dropout", step, rank, micro_batch) >> 1)


def model_config_for(
    config: PretrainConfig, facts: dict[str, Any], init: Path | None = None
) -> ModelConfig:
    """Return the network for a configuration and the facts of the shards.

    The epsilon of the norms, which no preset changes, is that of the folder to start from.

    Raises:
        ConfigError: the shards hold longer sequences than the network has positions.
        CheckpointError: `init` is no BERT's.
    """
    if facts["max_length"] > config.max_position_embeddings:
        raise ConfigError(
            f"expected sequences of at most {config.max_position_embeddings} tokens "
            f"(max_position_embeddings), found up to {facts['max_length']} in the shards: "
            "segment with a smaller --max-tokens, or choose another --config"
        )
    model_config = ModelConfig(
        vocab_size=facts["vocab_size"],
        hidden_size=config.hidden_size,
        num_layers=config.num_layers,
        num_heads=config.num_heads,
        intermediate_size=config.intermediate_size,
        max_position_embeddings=config.max_position_embeddings,
        hidden_dropout=config.hidden_dropout,
        attention_dropout=config.attention_dropout,
    )
    if init is None:
        return model_config
    epsilon = read_model_config(init).layer_norm_epsilon
    return replace(model_config, layer_norm_epsilon=epsilon)


def build_learner(
    config: PretrainConfig,
    model_config: ModelConfig,
    seed: int,
    init: Path | None,
    shards: Shards,
    ranks: Ranks,
) -> Learner:
    """Build the model, drawn from the seed or loaded from `init`, and its optimizer.

    Raises:
        ConfigError: `init` does not fit the configuration or the shards' vocabulary.
        CheckpointError: `init` is no BERT we can read.
    """
    if config.batch_size < ranks.size:
        raise ConfigError(
            f"expected batch_size of at least the number of ranks, {ranks.size}, found "
            f"{config.batch_size}: raise it or use fewer ranks"
        )
    precision = choose_precision(config.precision, ranks.device)
    model = _initial_model(config, model_config, seed, init, shards).to(ranks.device).train()
    if config.compile:
        compile_layers(model)
    forward: Any = model
    if ranks.size > 1:
        devices = [ranks.device] if ranks.device.type == "cuda" else None
        forward = DistributedDataParallel(forward, device_ids=devices)
    optimizer, scaler = build_optimizer(model, config), precision.gradient_scaler()
    return Learner(model, forward, optimizer, scaler, precision, ranks, config, seed)


def compile_layers(model: LinkBert) -> None:
    """Compile each layer in place rather than the network: one compilation serves all layers."""
    for part in (model.encoder.embeddings, *model.encoder.layers, model.masked_token_head):
        # No two batches have the same number of tokens.
        part.compile(dynamic=True)


def _initial_model(
    config: PretrainConfig, model_config: ModelConfig, seed: int, init: Path | None, shards: Shards
) -> LinkBert:
    model = LinkBert(model_config)
    initialise(model, seed)
    if init is not None:
        check_same_vocabulary(shards.tokenizer, init)
        loaded, drawn = load_folder(init, seed)
        check_shape(loaded.config, config, model_config.vocab_size, init)
        model.load_state_dict(loaded.state_dict())
        if drawn:
            logger.info("not in %s, drawn anew: %s", init, ", ".join(drawn))
    return model
