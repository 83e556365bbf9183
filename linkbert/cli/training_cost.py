"""What a training run will take, from a measured second of this machine on its own shards."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from linkbert.loader.batches import BatchMaker, Share, StepBatch
from linkbert.loader.dataset import InstanceReader
from linkbert.model.network import Batch, LinkBert, ModelConfig
from linkbert.training.config import PretrainConfig
from linkbert.training.distributed import Ranks, local_ranks
from linkbert.training.learner import (
    Learner,
    Wishes,
    build_learner,
    initial_model,
    model_config_for,
    rule_of,
)
from linkbert.training.machine import check_memory, compute_threads
from linkbert.training.metrics import peak_memory
from linkbert.training.run_folder import Shards, open_shards

_MEASURED_SECONDS = 1.0
_WARM_UP_SEQUENCES = 8
# Weights and the two moments of AdamW, in float32.
_CHECKPOINT_BYTES_PER_PARAMETER = 12


@dataclass(frozen=True, slots=True)
class TrainingCost:
    """What a run reads and takes.

    Attributes:
        steps: optimizer steps.
        sequences: read in all steps.
        tokens: read in all steps.
        passes: how often every segment is read.
        seconds: on this machine; over all ranks of torchrun, taken as equally fast.
        device: what was measured.
        memory_bytes: the most that a step takes on the device.
        disk_bytes: checkpoints that are kept, and one that is being written.
    """

    steps: int
    sequences: int
    tokens: int
    passes: float
    seconds: float
    device: str
    memory_bytes: int
    disk_bytes: int


def training_cost(
    folder: Path, config: PretrainConfig, *, seed: int = 0, init: Path | None = None
) -> TrainingCost:
    """Measure a second of training on shards and return what the whole run will take.

    Raises:
        LinkBertError: the shards or `init` are not what the configuration needs.
    """
    shards = open_shards(folder)
    # Compiling would take longer than what is measured; the compiled step is the faster one.
    config = replace(config, compile=False)
    shape = model_config_for(config, shards.facts, init)
    check_memory(config, shape, shards.train, torch.cuda.is_available())
    learner = build_learner(initial_model(shape, seed, init, shards), config, seed, _alone())
    rule = rule_of(config, seed, shards)
    reader, share = InstanceReader(shards.train, seed), Share(0, 1, config.micro_batch_size)
    is_pinned = learner.ranks.device.type == "cuda"
    maker = BatchMaker(reader, rule, shards.facts["token_dtype"], share, is_pinned)
    per_epoch = shards.facts.get("instances_per_epoch") or [shards.train.num_instances]
    return _cost_of(learner, maker.make, _mean_tokens(shards, seed), per_epoch[0])


def made_training_cost(
    config: PretrainConfig, *, vocab_size: int, length: int, pairs_per_pass: int
) -> TrainingCost:
    """Measure a second of training on made pairs, before there are shards.

    Args:
        config: of the run, its steps fitted to the data.
        vocab_size: of the tokenizer that will be made.
        length: of each pair in tokens.
        pairs_per_pass: pairs that read every segment once.
    """
    config = replace(config, compile=False)
    shape = model_config_for(config, {"vocab_size": vocab_size, "max_length": length})
    assert isinstance(shape, ModelConfig), "without a folder to start from it is our own network"
    learner = build_learner(LinkBert(shape), config, 0, _alone())
    make = partial(_made_batch, length, vocab_size, config)
    return _cost_of(learner, make, length, pairs_per_pass)


def _alone() -> Ranks:
    return Ranks(0, 1, torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def _cost_of(
    learner: Learner, make: Callable[[int, int], StepBatch], mean_tokens: float, per_pass: int
) -> TrainingCost:
    config, device = learner.config, learner.ranks.device
    with compute_threads(config.threads, None, local_ranks()) as num_threads:
        seconds, memory_bytes = _measured(learner, make)
    num_parameters = sum(weights.numel() for weights in learner.model.parameters())
    sequences = config.max_steps * config.batch_size
    kept = config.keep_checkpoints + 2  # the best, and the one being written
    return TrainingCost(
        steps=config.max_steps,
        sequences=sequences,
        tokens=round(sequences * mean_tokens),
        passes=round(sequences / max(per_pass, 1), 1),
        seconds=seconds * sequences / int(os.environ.get("WORLD_SIZE", "1")),
        device=_name(device, num_threads),
        memory_bytes=memory_bytes,
        disk_bytes=kept * num_parameters * _CHECKPOINT_BYTES_PER_PARAMETER,
    )


def _measured(learner: Learner, make: Callable[[int, int], StepBatch]) -> tuple[float, int]:
    """Return the seconds per sequence and the peak of memory in bytes."""
    config, device = learner.config, learner.ranks.device
    first = size = min(_WARM_UP_SEQUENCES, config.batch_size)

    def learn(start: int, stop: int) -> None:
        learner.run_step(0, make(start, stop), Wishes)
        if device.type == "cuda":
            torch.cuda.synchronize()

    learn(0, first)  # the first step allocates and chooses kernels
    done, began = first, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < _MEASURED_SECONDS:
        learn(done, done + size)
        done += size
        # As large as the run's own micro-batches, where a second is long enough for some.
        per_sequence = (time.perf_counter() - began) / (done - first)
        size = max(1, min(config.micro_batch_size, int(_MEASURED_SECONDS / 4 / per_sequence)))
    return elapsed / (done - first), peak_memory(device)


def _made_batch(
    length: int, vocab_size: int, config: PretrainConfig, start: int, stop: int
) -> StepBatch:
    """Return pairs of random tokens, all of one length."""
    rng = np.random.default_rng(start)
    sizes = [
        min(config.micro_batch_size, stop - at)
        for at in range(start, stop, config.micro_batch_size)
    ]
    batches = [_made_micro_batch(rng, size, length, vocab_size, config) for size in sizes]
    return StepBatch(
        micro_batches=batches,
        num_masked=sum(len(batch.labels_M) for batch in batches),
        num_instances=stop - start,
        num_tokens=(stop - start) * length,
        relation_counts=(stop - start, 0, 0),
    )


def _made_micro_batch(
    rng: np.random.Generator, size: int, length: int, vocab_size: int, config: PretrainConfig
) -> Batch:
    num_tokens = size * length
    masked = rng.choice(num_tokens, max(1, round(config.mask_prob * num_tokens)), replace=False)
    position = np.tile(np.arange(length), size)
    return Batch(
        token_ids_N=torch.from_numpy(rng.integers(0, vocab_size, num_tokens, np.int32)),
        position_ids_N=torch.from_numpy(position.astype(np.int16)),
        token_types_N=torch.from_numpy((position > length // 2).astype(np.uint8)),
        lengths_B=torch.full((size,), length, dtype=torch.int32),
        masked_positions_M=torch.from_numpy(masked),
        labels_M=torch.from_numpy(rng.integers(0, vocab_size, len(masked))),
        relations_B=torch.zeros(size, dtype=torch.int64),
        max_length=length,
    )


def _mean_tokens(shards: Shards, seed: int) -> float:
    num = min(1000, shards.train.num_instances)
    lengths = InstanceReader(shards.train, seed).read(0, num).column("num_tokens")
    return float(lengths.to_numpy().mean())


def _name(device: torch.device, num_threads: int) -> str:
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"the CPU with {num_threads} thread{'s' if num_threads > 1 else ''}"
