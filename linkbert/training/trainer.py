"""Pretraining: from shards to a run, resumable at any step, on one device or under torchrun.

In: a shards folder and a configuration. Out: RUN (see `linkbert.training.run_folder`). What can be
refused is refused here, before RUN is written to; `linkbert.training.loop` trains.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path

import torch

from linkbert.loader.heap import steady_heap
from linkbert.training import checkpoint as checkpoints
from linkbert.training import run_folder
from linkbert.training.config import PretrainConfig
from linkbert.training.distributed import join_ranks
from linkbert.training.downstream import Downstream
from linkbert.training.learner import build_learner, describe_start, initial_model, model_config_for
from linkbert.training.loop import PretrainResult as PretrainResult
from linkbert.training.loop import Run
from linkbert.training.machine import check_memory
from linkbert.training.metrics import seconds_in_steps
from linkbert.training.trackers import check_tracker
from schemas.errors import ConfigError

logger = logging.getLogger(__name__)


def pretrain(
    shards: Path,
    run: Path,
    config: PretrainConfig,
    *,
    seed: int = 0,
    init: Path | None = None,
    downstream: Downstream | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> PretrainResult:
    """Pretrain on a shards folder, or go on from the newest good checkpoint of the same run.

    Args:
        shards: the folder that `sample` wrote.
        run: the folder to write.
        config: sizes, objective, optimizer and execution.
        seed: of weights, masks, dropout and order.
        init: a Hugging Face BERT folder to start from.
        downstream: a task to try the weights on now and then, as
            `linkbert.evaluation.downstream.read_downstream` makes it.
        overwrite: discard a run that lies in the folder.
        quiet: no progress lines.

    Raises:
        ConfigError: the folder holds another run, or the configuration does not fit the shards.
        SchemaError: the shards are unfinished or damaged.
        CheckpointError: a checkpoint cannot be written or read.
        StageError: the loss is not a number or jumped, or the process was told to stop.
    """
    steady_heap()
    opened = run_folder.open_shards(Path(shards))
    check_tracker(config.log)
    _check_patience(config, opened)
    run, init = Path(run), None if init is None else Path(init)
    shape = model_config_for(config, opened.facts, init)
    check_memory(config, shape, opened.train, torch.cuda.is_available())
    identity = run_folder.identity_of(opened, config, seed, init)
    is_finished = not overwrite and run_folder.finished_result(run, config.max_steps) is not None
    # Before RUN exists: a folder that cannot be started from leaves nothing behind.
    model = None if is_finished else initial_model(shape, seed, init, opened)
    with join_ranks() as ranks, run_folder.lock_run(run) if ranks.is_writer else nullcontext():
        if ranks.is_writer:
            run_folder.prepare_run(run, opened, identity, describe_start(shape, init), overwrite)
            checkpoints.discard_leftovers(run)
        ranks.wait()
        finished = run_folder.finished_result(run, config.max_steps)
        ranks.check_same_view([identity, finished])
        if finished is not None:
            logger.info("%s is finished: %d steps were done before", run, finished["step"])
            seconds = seconds_in_steps(run)
            return PretrainResult(str(run), **finished, seconds=seconds, was_finished=True)
        assert model is not None, "a run that is not finished begins with a model"
        # No name holds the learner: it is freed before the ranks part.
        return Run(
            run, opened, identity, build_learner(model, config, seed, ranks),
            downstream=downstream, quiet=quiet,
        ).go()  # fmt: skip


def _check_patience(config: PretrainConfig, opened: run_folder.Shards) -> None:
    if config.patience and not any(each.num_instances for each in opened.validation.values()):
        raise ConfigError(
            f"expected pairs to validate on for patience={config.patience}, found none in "
            f"{opened.train.folder.parent}: sample with --validation-fraction above 0, or leave "
            "patience off"
        )
