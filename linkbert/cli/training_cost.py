"""What a training run will take, from training for a second on this machine."""

from __future__ import annotations

import math
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
from linkbert.training.validation import instance_figures

_MEASURED_SECONDS, _VALIDATED_SECONDS = 1.0, 0.3
_FEW_SEQUENCES, _WARM_UP_SEQUENCES = 2, 8
_START_SECONDS = 10.0  # Python, PyTorch, this measurement, and the export
# In float32; a checkpoint has the weights and the two moments of AdamW.
_BYTES_PER_PARAMETER, _CHECKPOINT_BYTES_PER_PARAMETER = 4, 12
_CLOSED = 0.4  # share of held-out pairs whose second article is held out too (shintowiki)


@dataclass(frozen=True, slots=True)
class TrainingCost:
    """What a run reads and what it takes.

    Attributes:
        steps: optimizer steps.
        sequences: read in all steps together.
        tokens: read in all steps together.
        passes: how many times every segment is read.
        seconds: on this machine, with the ranks of torchrun assumed equally fast.
        device: the one that was measured.
        memory_bytes: peak memory of a step on the device.
        disk_bytes: of all checkpoints that are kept, and the one being written.
        model_bytes: of the folder that `export` writes.
    """

    steps: int
    sequences: int
    tokens: int
    passes: float
    seconds: float
    device: str
    memory_bytes: int
    disk_bytes: int
    model_bytes: int


def training_cost(
    folder: Path, config: PretrainConfig, *, seed: int = 0, init: Path | None = None
) -> TrainingCost:
    """Train on shards for a second and return what the whole run will take.

    Raises:
        LinkBertError: the shards or `init` are not what the configuration needs.
    """
    shards = open_shards(folder)
    # Compiling would take longer than the measurement; a compiled run is faster than estimated.
    config = replace(config, compile=False)
    shape = model_config_for(config, shards.facts, init)
    check_memory(config, shape, shards.train, torch.cuda.is_available())
    learner = build_learner(initial_model(shape, seed, init, shards), config, seed, _alone())
    rule = rule_of(config, seed, shards)
    reader, share = InstanceReader(shards.train, seed), Share(0, 1, config.micro_batch_size)
    is_pinned = learner.ranks.device.type == "cuda"
    maker = BatchMaker(reader, rule, shards.facts["token_dtype"], share, is_pinned)
    per_epoch = shards.facts.get("instances_per_epoch") or [shards.train.num_instances]
    return _cost_of(
        learner,
        maker.make,
        mean_tokens=_mean_tokens(shards, seed),
        per_pass=per_epoch[0],
        num_validated=sum(
            min(split.num_instances, config.validation_instances)
            for split in shards.validation.values()
        ),
    )


def made_training_cost(
    config: PretrainConfig,
    *,
    vocab_size: int,
    length: int,
    pairs_per_pass: int,
    held_out_pairs: int,
) -> TrainingCost:
    """Train on made-up pairs for a second and return what the whole run will take.

    Args:
        config: of the run, with steps that fit the data.
        vocab_size: of the tokenizer that will be made.
        length: of each pair, in tokens.
        pairs_per_pass: number of pairs that read every segment once.
        held_out_pairs: number of pairs whose first segment is from a held-out article.
    """
    config = replace(config, compile=False)
    shape = model_config_for(config, {"vocab_size": vocab_size, "max_length": length})
    assert isinstance(shape, ModelConfig), "without a folder to start from, it is our own network"
    learner = build_learner(LinkBert(shape), config, 0, _alone())
    make = partial(_made_batch, length, vocab_size, config)
    most = config.validation_instances
    num_validated = min(held_out_pairs, most) + min(round(_CLOSED * held_out_pairs), most)
    return _cost_of(
        learner,
        make,
        mean_tokens=length,
        per_pass=pairs_per_pass,
        num_validated=num_validated,
    )


def _alone() -> Ranks:
    return Ranks(0, 1, torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def _cost_of(
    learner: Learner,
    make: Callable[[int, int], StepBatch],
    *,
    mean_tokens: float,
    per_pass: int,
    num_validated: int,
) -> TrainingCost:
    """Measure a training step and validation, and return the cost of the whole run.

    Args:
        learner: a model of the run's size.
        make: returns the batch of sequences from a start to a stop index.
        mean_tokens: per sequence.
        per_pass: number of sequences that read every segment once.
        num_validated: number of sequences in one validation.
    """
    config, device = learner.config, learner.ranks.device
    with compute_threads(config.threads, None, local_ranks()) as num_threads:
        per_sequence, memory_bytes = _measured(learner, make)
        per_validated = _measured_validation(learner, make) if num_validated else 0.0
    num_parameters = sum(weights.numel() for weights in learner.model.parameters())
    sequences = config.max_steps * config.batch_size
    validated = math.ceil(config.max_steps / config.validate_every) * num_validated
    seconds = sequences * per_sequence + validated * per_validated
    seconds = _START_SECONDS + seconds / int(os.environ.get("WORLD_SIZE", "1"))
    kept = _most_checkpoints(config, seconds)
    return TrainingCost(
        steps=config.max_steps,
        sequences=sequences,
        tokens=round(sequences * mean_tokens),
        passes=round(sequences / max(per_pass, 1), 1),
        seconds=seconds,
        device=_name(device, num_threads),
        memory_bytes=memory_bytes,
        disk_bytes=kept * num_parameters * _CHECKPOINT_BYTES_PER_PARAMETER,
        model_bytes=num_parameters * _BYTES_PER_PARAMETER,
    )


def _most_checkpoints(config: PretrainConfig, seconds: float) -> int:
    """Return how many checkpoints lie on disk at once, including the one being written."""
    num_regular = math.ceil(config.max_steps / config.checkpoint_every)
    is_timed = 0 < config.checkpoint_minutes < seconds / 60
    if num_regular == 1 and not is_timed:
        return 1
    return min(config.keep_checkpoints, num_regular) + 2  # the best, and the one being written


def _measured(learner: Learner, make: Callable[[int, int], StepBatch]) -> tuple[float, int]:
    """Return the seconds per sequence, and the peak memory of a full micro-batch in bytes."""
    config, device = learner.config, learner.ranks.device
    micro_batch = min(config.micro_batch_size, config.batch_size)
    done = 0

    def learn(size: int) -> int:
        nonlocal done
        learner.run_step(0, make(done, done + size), Wishes)
        if device.type == "cuda":
            torch.cuda.synchronize()
        done += size
        return peak_memory(device)

    # The first steps are slower: they choose kernels, and allocate what all later steps reuse.
    few, size = min(_FEW_SEQUENCES, micro_batch), min(_WARM_UP_SEQUENCES, micro_batch)
    bytes_of_few = learn(few)
    bytes_per_sequence = (learn(size) - bytes_of_few) / max(1, size - few)
    largest, warmed_up, began = size, done, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < _MEASURED_SECONDS:
        learn(size)
        largest = max(largest, size)
        # The run's own micro-batch size, if several of them fit into the measured time.
        per_sequence = (time.perf_counter() - began) / (done - warmed_up)
        size = max(1, min(micro_batch, int(_MEASURED_SECONDS / 4 / per_sequence)))
    memory_bytes = peak_memory(device) + (micro_batch - largest) * bytes_per_sequence
    return elapsed / (done - warmed_up), round(memory_bytes)


@torch.no_grad()
def _measured_validation(learner: Learner, make: Callable[[int, int], StepBatch]) -> float:
    """Return the seconds per sequence of validation."""
    size = min(_WARM_UP_SEQUENCES, learner.config.micro_batch_size)
    learner.model.eval()
    done, began = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < _VALIDATED_SECONDS:
        for batch in make(done, done + size).micro_batches:
            with learner.precision.autocast():
                instance_figures(learner.model, batch.to(learner.ranks.device)).cpu()
        done += size
    return elapsed / done


def _made_batch(
    length: int, vocab_size: int, config: PretrainConfig, start: int, stop: int
) -> StepBatch:
    """Return pairs of random tokens, all of the same length."""
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
