"""What the machine gives a run: processors to compute on, and memory to hold it.

A training step of a small network is thousands of short parallel regions. Threads that have no
processor of their own make all others wait at the end of each: with ten other processes on two
cores a step took up to 20 times as long. So a run takes what the machine gives when it begins: the
processors it may use, what a container grants, less what others compute at that moment. The load
average would not do: for a minute it still holds what the stages or arms before this run computed.

Sums of floats depend on the number of threads, so a run keeps the number that it began with
(`TrainingState.threads`) as long as the machine has as many.

What cannot fit the memory is refused before anything is written or computed. Figures are the least
that is needed, so that nothing that might fit is refused: what others use, and what libraries add,
is not counted. On a GPU a step that does not fit says so by itself.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from linkbert.loader.dataset import Split, mean_tokens
from linkbert.model.network import ModelConfig, num_parameters
from linkbert.training.config import PretrainConfig
from linkbert.training.distributed import local_ranks
from linkbert.training.learner import Shape
from schemas.errors import ConfigError

logger = logging.getLogger(__name__)

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
_PROCESSOR_TIMES = Path("/proc/stat")
_WATCHED_SECONDS = 0.2

_BYTES_PER_WEIGHT = 16  # float32: itself, its gradient and two moments
_BYTES_PER_WEIGHT_ON_GPU = 4  # while it is drawn or read
# Of a global batch, which every rank reads whole: the rows, and a copy in the order of lengths.
_BYTES_PER_ROW = 100
# Ids, positions and types laid out; positions and labels of the masked ones.
_BYTES_PER_TOKEN = 9
_BYTES_PER_MICRO_BATCH = 4000  # of tensors, whatever they hold
# Kept for the backward pass, counted with hooks: 41 bytes per token, layer and unit in half
# precision; the logits of the vocabulary are float32.
_BYTES_PER_UNIT = 41
_BYTES_PER_LOGIT = 4


@contextmanager
def compute_threads(wanted: int, begun_with: int | None, num_local_ranks: int) -> Iterator[int]:
    """Compute with a number of threads for as long as the block runs; yield the number.

    Args:
        wanted: a number, or 0 for what the machine gives.
        begun_with: what the run has computed with so far, None for a new run.
        num_local_ranks: processes of the run on this machine.
    """
    before = torch.get_num_threads()
    number = wanted or _chosen(begun_with, num_local_ranks)
    if begun_with not in (None, number):
        logger.info(
            "CPU threads: %d, where the run began with %d: losses may differ in their last digits",
            number, begun_with,
        )  # fmt: skip
    torch.set_num_threads(number)
    try:
        yield number
    finally:
        torch.set_num_threads(before)


def _chosen(begun_with: int | None, num_local_ranks: int) -> int:
    usable = max(1, usable_processors() // num_local_ranks)
    if begun_with is not None:
        return min(begun_with, usable)
    # Who sets it has measured; torchrun sets 1.
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdigit() and int(told):
        return min(int(told), usable)
    return max(1, min(usable, idle_processors() // num_local_ranks))


def usable_processors() -> int:
    """Return how many processors this process may use: by affinity, and by its container's quota.

    Beyond half a processor a quota counts as a whole one.
    """
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return own if quota is None else max(1, min(own, round(quota)))


def idle_processors() -> int:
    """Return how many processors of the machine others leave idle, watched for a fifth of a second.

    Where the system does not say (it is not Linux), all count as idle.
    """
    processors = os.cpu_count() or 1
    idle_before, total_before = _processor_times()
    time.sleep(_WATCHED_SECONDS)
    idle, total = _processor_times()
    if total == total_before:
        return processors
    return max(1, round(processors * (idle - idle_before) / (total - total_before)))


def _processor_times() -> tuple[int, int]:
    """Return the idle ticks of all processors since boot, and all their ticks (man 5 proc)."""
    try:
        with _PROCESSOR_TIMES.open() as file:
            ticks = [int(field) for field in file.readline().split()[1:9]]
    except OSError:
        return 0, 0
    idle, waiting_for_disk = ticks[3:5]
    return idle + waiting_for_disk, sum(ticks)


def _quota(groups: Path = _CGROUPS, own_groups: Path = _OWN_GROUPS) -> float | None:
    """Return the processors that control groups grant, None where they grant all.

    Version 2 states "QUOTA PERIOD" in cpu.max, or "max PERIOD"; version 1 has a file for each (man
    7 cgroups; kernel documentation, "Control Group v2" and "CFS Bandwidth Control").
    """
    folders = _group_folders("cpu", groups, own_groups)
    return min((each for folder in folders for each in _grants(folder)), default=None)


def _group_folders(
    controller: str, groups: Path = _CGROUPS, own_groups: Path = _OWN_GROUPS
) -> Iterator[Path]:
    """Yield the control groups that bind this process: its own and those above it."""
    try:
        lines = own_groups.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = groups / controllers if controllers else groups
        own = root / path.lstrip("/")
        # In a container the root is its own group, and the path is the host's.
        yield from {root, own, *(each for each in own.parents if each.is_relative_to(root))}


def _grants(folder: Path) -> list[float]:
    try:
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = (
                (folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period")
            )
        return [int(quota) / int(period)] if quota not in ("max", "-1") else []
    except (OSError, ValueError, ZeroDivisionError):
        return []


def check_memory(config: PretrainConfig, shape: Shape, train: Split, has_gpu: bool) -> None:
    """Refuse a network, batches or micro-batches that cannot fit.

    Raises:
        ConfigError: one of them is larger than the memory of this machine.
    """
    ranks, world = local_ranks(), int(os.environ.get("WORLD_SIZE", "1"))
    if isinstance(shape, ModelConfig):
        size = num_parameters(shape)
        per_weight = _BYTES_PER_WEIGHT_ON_GPU if has_gpu else _BYTES_PER_WEIGHT
        _check("a network of", f"{size:,} weights", ranks * size * per_weight,
               "choose a smaller --config, or smaller sizes")  # fmt: skip
    tokens = mean_tokens(train)
    laid_out = tokens * _BYTES_PER_TOKEN + _BYTES_PER_MICRO_BATCH / config.micro_batch_size
    per_row = 2 * (tokens * train.token_bytes + _BYTES_PER_ROW) + laid_out / world
    _check("batch_size", f"{config.batch_size:,}", ranks * config.batch_size * per_row,
           "lower batch_size")  # fmt: skip
    if isinstance(shape, ModelConfig) and not has_gpu:
        rows = min(config.micro_batch_size, -(-config.batch_size // world))
        kept = float(shape.num_layers * shape.hidden_size * _BYTES_PER_UNIT)
        kept += config.mask_prob * shape.vocab_size * _BYTES_PER_LOGIT
        _check("micro_batch_size", f"{config.micro_batch_size:,}", ranks * rows * tokens * kept,
               "lower micro_batch_size, which changes memory and time")  # fmt: skip


def _check(what: str, size: str, needed: float, cure: str) -> None:
    present = memory_bytes()
    if needed > present:
        raise ConfigError(
            f"expected what fits the memory of this machine, {present / 1e9:,.1f} GB, found "
            f"{what} {size}, which takes {needed / 1e9:,.1f} GB at least: {cure}"
        )


def memory_bytes(groups: Path = _CGROUPS, own_groups: Path = _OWN_GROUPS) -> int:
    """Return the memory of this machine, or what a container grants of it.

    Version 2 of control groups states it in memory.max, version 1 in memory.limit_in_bytes.
    """
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for folder in _group_folders("memory", groups, own_groups):
        for name in ("memory.max", "memory.limit_in_bytes"):
            try:
                text = (folder / name).read_text().strip()
            except OSError:
                continue
            found += [int(text)] if text.isdigit() else []
    return min(found)
