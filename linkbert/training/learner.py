"""A model with its optimizer, and one optimizer step over the micro-batches of all ranks.

The loss is that of one big batch (LinkBERT, arXiv:2203.15827, section 4.2): the sum over all masked
tokens of the global batch divided by their number, plus the same for relations. Ranks and
micro-batches hold different numbers of masked tokens, so a mean of means would not do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from linkbert.loader.batches import StepBatch
from linkbert.loader.masking import MaskingRule, masking_rule
from linkbert.model.families import FamilyConfig, FamilyModel, Network
from linkbert.model.family_folder import family_config, load_family
from linkbert.model.network import LinkBert, Losses, ModelConfig, initialise
from linkbert.model.starting import load_start, starting_config
from linkbert.model.vocabulary import check_same_vocabulary, continues_word, ordinary_ids
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
from schemas.model_folder import CONFIG_NAME, check_encoder, read_object
from schemas.pair_frame import PairFrame


class Wishes(NamedTuple):
    """What is wanted after a step; the wish of one rank is every rank's."""

    stop: bool = False
    save: bool = False


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step reports; losses are means over the global batch."""

    loss_mlm: float
    loss_drp: float
    mlm_accuracy: float
    drp_accuracy: float
    lr: float
    grad_norm: float
    wishes: Wishes

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

    model: Network
    forward: Callable[..., Losses]
    optimizer: torch.optim.AdamW
    scaler: torch.amp.GradScaler
    precision: Precision
    ranks: Ranks
    config: PretrainConfig
    seed: int

    def run_step(
        self,
        step: int,
        batch: StepBatch,
        wishes: Callable[[], Wishes],
        tell: Callable[[int], object] = lambda num_sequences: None,
    ) -> StepResult | None:
        """Do optimizer step `step`, counted from 0; tell the sequences done by each micro-batch.

        Returns:
            What the step tells. None where a stop was wished and this rank is alone: then the step
            is left after a micro-batch, undone. Several ranks finish the step, because one that
            leaves would let the others wait.
        """
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
            tell(len(micro_batch.lengths_B) * self.ranks.size)
            if self.ranks.size == 1 and index < last and wishes().stop:
                self.optimizer.zero_grad(set_to_none=True)
                return None
        lr = learning_rate_at(step, self.config)
        grad_norm = self._update(lr)
        wished = torch.tensor(wishes(), dtype=torch.float64, device=device)
        told = self.ranks.sum(torch.cat([sums, wished])).tolist()
        mlm_sum, drp_sum, mlm_correct, drp_correct, *all_wished = told
        return StepResult(
            loss_mlm=mlm_sum / num_masked.item(),
            loss_drp=drp_sum / batch.num_instances,
            mlm_accuracy=mlm_correct / num_masked.item(),
            drp_accuracy=drp_correct / batch.num_instances,
            lr=lr,
            grad_norm=grad_norm.item(),
            wishes=Wishes(*(wish > 0 for wish in all_wished)),
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


Shape = ModelConfig | FamilyConfig


def model_config_for(
    config: PretrainConfig, facts: dict[str, Any], init: Path | None = None
) -> Shape:
    """Return the network for a configuration and the facts of the shards.

    With a folder to start from, its shape is taken: a BERT as `linkbert.model.starting` says, any
    other encoder as `linkbert.model.families` does.

    Raises:
        ConfigError: the shards hold longer sequences than the network has positions.
        CheckpointError: `init` is not an encoder, or has another vocabulary than the shards.
    """
    dropouts = {
        "hidden_dropout": config.hidden_dropout,
        "attention_dropout": config.attention_dropout,
    }
    if init is not None and kind_of(init) != "bert":
        if config.extend_positions:
            raise ConfigError(
                f"expected a BERT to extend the positions of, found {kind_of(init)!r} in {init}: "
                "leave extend_positions off, and segment with a smaller --max-tokens"
            )
        return family_config(init, facts, dropouts)
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
        initial_std=config.initial_std,
        **dropouts,
    )
    if init is None:
        return model_config
    return starting_config(model_config, facts["max_length"], config.extend_positions, init)


def kind_of(folder: Path) -> str:
    """Return the model_type of a Hugging Face folder.

    Raises:
        CheckpointError: it has no config.json, or one of something else than an encoder.
    """
    path = folder / CONFIG_NAME
    return check_encoder(read_object(path), str(path))


def build_learner(model: Network, config: PretrainConfig, seed: int, ranks: Ranks) -> Learner:
    """Bring a model to its device, with its optimizer.

    Raises:
        ConfigError: the device or the number of ranks does not fit the configuration.
    """
    if config.batch_size < ranks.size:
        raise ConfigError(
            f"expected batch_size of at least the number of ranks, {ranks.size}, found "
            f"{config.batch_size}: raise it or use fewer ranks"
        )
    precision = choose_precision(config.precision, ranks.device)
    model = model.to(ranks.device).train()
    if config.freeze_encoder:
        encoder = model.encoder if isinstance(model, LinkBert) else model.masked_lm.base_model
        encoder.requires_grad_(False)
    if config.compile:
        compile_parts(model)
    forward: Any = model
    if ranks.size > 1:
        devices = [ranks.device] if ranks.device.type == "cuda" else None
        forward = DistributedDataParallel(forward, device_ids=devices)
    optimizer, scaler = build_optimizer(model, config), precision.gradient_scaler()
    return Learner(model, forward, optimizer, scaler, precision, ranks, config, seed)


def compile_parts(model: Network) -> None:
    """Compile each layer in place rather than the network: one compilation serves all layers."""
    if isinstance(model, FamilyModel):
        model.masked_lm.base_model.compile(dynamic=True)
        return
    for part in (model.encoder.embeddings, *model.encoder.layers, model.masked_token_head):
        # No two batches have the same number of tokens.
        part.compile(dynamic=True)


def initial_model(shape: Shape, seed: int, init: Path | None, shards: Shards) -> Network:
    """Return the model that training begins with, drawn from the seed or loaded from `init`.

    Args:
        shape: as `model_config_for` returned it.
        seed: of what is drawn.
        init: a Hugging Face folder, or None.
        shards: whose vocabulary the folder must have.

    Raises:
        ConfigError: `init` has another vocabulary than the shards, or too few positions.
        CheckpointError: its weights are damaged, or do not fit.
    """
    if init is not None:
        check_same_vocabulary(shards.tokenizer, init)
    if isinstance(shape, FamilyConfig):
        assert init is not None, "only a folder makes such a network"
        return load_family(init, shape, shards.facts["max_length"], seed)
    if init is not None:
        return load_start(init, shape, seed)
    model = LinkBert(shape)
    initialise(model, seed)
    return model


def describe_start(shape: Shape, init: Path | None) -> dict[str, Any]:
    """Return what run.json says of the network, and of the published model it started from."""
    network = {"family": asdict(shape)} if isinstance(shape, FamilyConfig) else asdict(shape)
    told = None if init is None else read_object(init / CONFIG_NAME).get("_name_or_path")
    # A name on the hub, not a path on this machine.
    is_name = isinstance(told, str) and re.fullmatch(r"[\w.-]+/[\w.-]+", told, re.ASCII)
    return {"model": network, **({"base_model": told} if is_name else {})}


def rule_of(config: PretrainConfig, seed: int, shards: Shards) -> MaskingRule:
    """Return the rule that masks the shards' vocabulary as the configuration says."""
    probs = (config.mask_prob, config.mask_token_prob, config.random_token_prob)
    is_continuation_V = continues_word(shards.tokenizer) if config.whole_word else None
    frame = PairFrame.from_facts(shards.facts)
    return masking_rule(seed, ordinary_ids(shards.tokenizer), frame, probs, is_continuation_V)
