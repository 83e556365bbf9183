"""The ranks of a run: one process alone, or those that torchrun started.

Gradients are averaged by DistributedDataParallel; what else ranks share (counts, losses, the wish
to stop) is summed here. Rank 0 alone writes.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch import distributed as dist


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

    def wait(self) -> None:
        """Wait until every rank is here."""
        if self.size > 1:
            self.sum(torch.zeros(1, device=self.device)).item()


@contextmanager
def join_ranks() -> Iterator[Ranks]:
    """Join the ranks that torchrun started, if it did, for as long as the block runs."""
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    # torchrun sets the address even for one process; alone there is nothing to join.
    if size > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
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
