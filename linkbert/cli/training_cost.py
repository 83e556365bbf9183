"""What a training run will take, from a measured second of this machine on its own shards."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from linkbert.loader.batches import BatchMaker, Share
from linkbert.loader.dataset import InstanceReader
from linkbert.training.config import PretrainConfig
from linkbert.training.distributed import Ranks, local_ranks
from linkbert.training.learner import (
    Learner,
    Wishes,
    build_learner,
    initial_model,
    model_config_for,
)
from linkbert.training.loop import rule_of
from linkbert.training.metrics import peak_memory
from linkbert.training.run_folder import Shards, open_shards
from linkbert.training.threads import compute_threads

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
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    ranks = Ranks(0, 1, device)
    shape = model_config_for(config, shards.facts, init)
    learner = build_learner(initial_model(shape, seed, init, shards), config, seed, ranks)
    with compute_threads(config.threads, None, local_ranks()) as num_threads:
        seconds, memory_bytes = _measured(learner, shards, seed)
    num_parameters = sum(weights.numel() for weights in learner.model.parameters())
    sequences = config.max_steps * config.batch_size
    per_epoch = shards.facts.get("instances_per_epoch") or [shards.train.num_instances]
    kept = config.keep_checkpoints + 2  # the best, and the one being written
    return TrainingCost(
        steps=config.max_steps,
        sequences=sequences,
        tokens=round(sequences * _mean_tokens(shards, seed)),
        passes=round(sequences / max(per_epoch[0], 1), 1),
        seconds=seconds * sequences / int(os.environ.get("WORLD_SIZE", "1")),
        device=_name(device, num_threads),
        memory_bytes=memory_bytes,
        disk_bytes=kept * num_parameters * _CHECKPOINT_BYTES_PER_PARAMETER,
    )


def _measured(learner: Learner, shards: Shards, seed: int) -> tuple[float, int]:
    """Return the seconds per sequence and the peak of memory in bytes."""
    config, facts, device = learner.config, shards.facts, learner.ranks.device
    rule = rule_of(config, seed, shards)
    reader, share = InstanceReader(shards.train, seed), Share(0, 1, config.micro_batch_size)
    maker = BatchMaker(reader, rule, facts["token_dtype"], share, device.type == "cuda")
    first = size = min(_WARM_UP_SEQUENCES, config.batch_size)

    def learn(start: int, stop: int) -> None:
        learner.run_step(0, maker.make(start, stop), Wishes)
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


def _mean_tokens(shards: Shards, seed: int) -> float:
    num = min(1000, shards.train.num_instances)
    lengths = InstanceReader(shards.train, seed).read(0, num).column("num_tokens")
    return float(lengths.to_numpy().mean())


def _name(device: torch.device, num_threads: int) -> str:
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"the CPU with {num_threads} threads"
