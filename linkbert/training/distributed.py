"""The ranks of a run: one process alone, or those that torchrun started.

Gradients are averaged by DistributedDataParallel; what else ranks share (counts, losses, the wish
to stop) is summed here. Only rank 0 writes.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from schemas.errors import ConfigError, StageError


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among all of the run."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_writer(self) -> bool:
        """Whether this process writes metrics and checkpoints."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all ranks of a tensor on this rank's device, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def all_equal(self, value: int) -> bool:
        """Return whether every rank called this with the same number, below 2^53."""
        values = torch.zeros(self.size, dtype=torch.float64, device=self.device)
        values[self.rank] = value
        return len(set(self.sum(values).tolist())) == 1

    def check_same_view(self, view: Any) -> None:
        """Compare what ranks found on their disks, before they would wait for each other for ever.

        Raises:
            StageError: they found different things.
        """
        digest = hashlib.sha256(json.dumps(view, sort_keys=True).encode()).digest()
        if not self.all_equal(int.from_bytes(digest[:6], "big")):
            raise StageError(
                "expected every rank to find the same shards, configuration, run and checkpoint, "
                "found different ones: copy the shards to every node, and let RUN be a folder that "
                "all share"
            )

    def wait(self) -> None:
        """Wait until every rank is here."""
        if self.size > 1:
            self.sum(torch.zeros(1, device=self.device)).item()


@contextmanager
def join_ranks() -> Iterator[Ranks]:
    """Join the ranks that torchrun started, if it did, for as long as the block runs.

    Within such a block they are joined already, and stay so after an inner one.

    Raises:
        ConfigError: this machine has GPUs, but fewer than processes.
    """
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    device = _own_device(int(os.environ.get("LOCAL_RANK", "0")))
    if dist.is_initialized():
        yield Ranks(rank, size, device)
        return
    # torchrun sets the address even for one process; alone there is nothing to join.
    if size > 1 and device.type == "cuda":
        # Told its device, NCCL connects at once and a barrier need not guess.
        dist.init_process_group("nccl", device_id=device)
    elif size > 1:
        dist.init_process_group("gloo")
    try:
        yield Ranks(rank, size, device)
        if size > 1:
            dist.barrier()  # a rank that leaves early takes the others' connections with it
    finally:
        if size > 1:
            # What holds on to the group (DistributedDataParallel, in a cycle) must go before it:
            # freed afterwards it waits for threads that no longer end.
            gc.collect()
            dist.destroy_process_group()


def local_ranks() -> int:
    """Return how many ranks of the run share this machine."""
    return max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _own_device(local_rank: int) -> torch.device:
    """Return the GPU of a process by its number on this machine, the CPU where there is none."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    num_devices = torch.cuda.device_count()
    if local_rank >= num_devices:
        raise ConfigError(
            f"expected a GPU for each process, found {num_devices} and process {local_rank + 1}: "
            f"start torchrun with --nproc-per-node={num_devices}"
        )
    device = torch.device("cuda", local_rank)
    torch.cuda.set_device(device)
    return device
