"""The loop of pretraining: take the batch of the step, learn, write a line, now and then save.

All state is in `TrainingState`, the weights and the optimizer; batches, masks and dropout follow
from the step. So a run goes on from any checkpoint as if it had never stopped.
"""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch

from linkbert.loader.batches import BatchMaker, Share, StepBatch
from linkbert.loader.dataset import InstanceReader
from linkbert.model.network import ModelConfig
from linkbert.training import checkpoint as checkpoints
from linkbert.training import run_folder
from linkbert.training.checkpoint import TrainingState
from linkbert.training.distributed import local_ranks
from linkbert.training.downstream import Downstream, is_due
from linkbert.training.learner import Learner, StepResult, Wishes, rule_of
from linkbert.training.machine import compute_threads
from linkbert.training.metrics import (
    RunLogs,
    model_flops,
    peak_flops,
    peak_memory,
    seconds_in_steps,
)
from linkbert.training.run_folder import Shards
from linkbert.training.signals import stop_signals
from linkbert.training.validation import Validator, in_words
from schemas.errors import StageError, StoppedError
from schemas.progress import Progress
from schemas.tables.instances import RELATIONS

logger = logging.getLogger(__name__)

_MEMORY_OF_LOSS = 0.95
"""Weight of the past in the running mean of the loss: about 20 steps."""

_ENDS = ("_low", "high")
"""Of the names of an interval's ends, which are for files."""

_SPIKES_FROM_STEP = 50
"""Before this step the mean knows too little to call a loss a spike."""


@dataclass(frozen=True, slots=True)
class PretrainResult:
    """What a run came to.

    Attributes:
        run: its folder.
        step: optimizer steps done.
        tokens: tokens read, [CLS] and [SEP] included.
        instances: instances read.
        first_loss: loss of the first step.
        last_loss: running mean of the loss over about the last 20 steps.
        validation: figures of each validation split (see `linkbert.training.validation`).
        relations: instances read, by relation.
        seconds: time in training, over all parts of the run.
        was_finished: the run was finished before; nothing was done.
    """

    run: str
    step: int
    tokens: int
    instances: int
    first_loss: float
    last_loss: float
    validation: dict[str, dict[str, Any]]
    relations: dict[str, int]
    seconds: float
    was_finished: bool = False


class Run:
    """One run in its folder; `go` trains from where it stands to its end."""

    def __init__(
        self,
        run: Path,
        shards: Shards,
        identity: dict[str, Any],
        learner: Learner,
        *,
        downstream: Downstream | None = None,
        quiet: bool = False,
    ) -> None:
        self._run, self._identity, self._downstream = run, identity, downstream
        self._learner, self._ranks, self._config = learner, learner.ranks, learner.config
        facts = shards.facts
        rule = rule_of(self._config, learner.seed, shards)
        share = Share(self._ranks.rank, self._ranks.size, self._config.micro_batch_size)
        reader = InstanceReader(shards.train, learner.seed)
        is_pinned = self._ranks.device.type == "cuda"
        self._maker = BatchMaker(reader, rule, facts["token_dtype"], share, is_pinned)
        self._validator = Validator(
            splits=shards.validation,
            rule=rule_of(self._config, 0, shards),  # the same masks whatever the run's seed
            token_dtype=facts["token_dtype"],
            micro_batch_size=self._config.micro_batch_size,
            max_instances=self._config.validation_instances,
            precision=learner.precision,
            ranks=self._ranks,
        )
        self._show_progress = self._ranks.is_writer and not quiet
        self._state = TrainingState()
        self._validation: dict[str, dict[str, Any]] = {}
        self._saved_step: int | None = None
        self._saved_at = time.monotonic()
        self._logs: RunLogs | None = None

    def go(self) -> PretrainResult:
        """Train to the last step and finish the run."""
        self._resume()
        with compute_threads(
            self._config.threads, self._state.threads, local_ranks()
        ) as self._state.threads:
            return self._go()

    def _go(self) -> PretrainResult:
        if self._show_progress and self._ranks.device.type == "cpu":
            logger.info("CPU threads: %d", self._state.threads)
        if self._ranks.is_writer:
            self._logs = RunLogs(self._run, self._state.step, self._config)
        try:
            with stop_signals() as signals:
                if self._state.step == 0:
                    self._try_downstream()
                self._train(signals)
        except MemoryError as error:
            raise StageError(
                f"expected batches of {self._config.batch_size:,} sequences to fit the memory, "
                f"found {error or 'no more'}: lower batch_size"
            ) from error
        else:
            if not self._validation:  # killed between the last step and the end
                self._validate()
        finally:
            if self._logs is not None:
                self._logs.close()
        result = self._result()
        if self._ranks.is_writer:
            passing = ("run", "seconds", "was_finished")
            kept = {key: value for key, value in asdict(result).items() if key not in passing}
            run_folder.finish_run(self._run, self._identity, kept, self._state.step)
        return result

    def _resume(self) -> None:
        # Every rank reads the same files; rank 0 wrote them before this process began.
        found = checkpoints.load_newest(self._run)
        self._ranks.check_same_view(None if found is None else found.state.step)
        if found is None:
            return
        run_folder.check_identity(found.identity, self._identity, self._run)
        checkpoints.restore(found, self._learner.model, self._learner.optimizer)
        if found.state.scaler:  # none where precision=auto was bf16, on another GPU
            self._learner.scaler.load_state_dict(found.state.scaler)
        self._state, self._saved_step = found.state, found.state.step
        if self._show_progress:
            logger.info("resuming from step %d of %d", self._state.step, self._config.max_steps)

    def _train(self, signals: list[int]) -> None:
        state, config = self._state, self._config
        remaining = config.max_steps - state.step
        progress = Progress("pretrain", remaining * config.batch_size, "sequences")
        # Several ranks leave together, after a step.
        batches = self._maker.stream(
            state.position, config.batch_size, remaining,
            lambda: bool(signals) and self._ranks.size == 1,
        )  # fmt: skip
        began = self._saved_at = time.monotonic()
        for batch in () if self._is_patience_over() else batches:
            result = self._learn(
                batch, lambda: Wishes(bool(signals), self._is_save_due()), self._tell(progress)
            )
            if result is None:
                self._stop(signals)
            self._check(result)
            self._advance(batch, result, time.monotonic() - began)
            self._validate_and_save(result.wishes.save)
            if self._is_patience_over():
                break
            if result.wishes.stop and state.step < config.max_steps:
                self._stop(signals)
            began = time.monotonic()
        else:
            if signals and state.step < config.max_steps:
                self._stop(signals)
        if self._show_progress:
            progress.close()

    def _is_patience_over(self) -> bool:
        """Tell whether the run ends here, because its validation loss no longer falls."""
        state, limit = self._state, self._config.patience
        is_over = 0 < limit <= state.num_worse and state.step < self._config.max_steps
        if is_over:
            self._save()
            if self._show_progress:
                logger.info(
                    "ended at step %d of %d: %d validations without a lower loss than that of "
                    "step %d, which `linkbert export --checkpoint best` takes",
                    state.step, self._config.max_steps, state.num_worse, state.best_step,
                )  # fmt: skip
        return is_over

    def _tell(self, progress: Progress) -> Callable[[int], None]:
        """Return what a step tells its progress to: on a CPU one step of a preset takes minutes."""

        def tell(num_sequences: int) -> None:
            if self._show_progress:
                recent = self._state.recent_loss
                progress.advance(num_sequences, "" if recent is None else f"loss {recent:.3f}")

        return tell

    def _is_save_due(self) -> bool:
        """Tell whether the time between checkpoints has passed; the writer's clock counts."""
        limit = 60 * self._config.checkpoint_minutes
        return self._ranks.is_writer and 0 < limit <= time.monotonic() - self._saved_at

    def _stop(self, signals: list[int]) -> NoReturn:
        """Save what has been learned and leave.

        Raises:
            StoppedError: always.
        """
        step, max_steps = self._state.step, self._config.max_steps
        told = "before the first step: run the same command again"
        if step:
            self._save()
            told = (
                f"after step {step} of {max_steps}, which is saved: run the same command again to "
                "go on"
            )
        number = signals[0] if signals else signal.SIGTERM  # another rank's
        raise StoppedError(f"stopped by a signal {told}", number)

    def _learn(
        self, batch: StepBatch, wishes: Callable[[], Wishes], tell: Callable[[int], None]
    ) -> StepResult | None:
        try:
            return self._learner.run_step(self._state.step, batch, wishes, tell)
        except RuntimeError as error:
            told = str(error).splitlines()[0]
            is_memory = isinstance(error, torch.OutOfMemoryError) or "allocate memory" in told
            if not is_memory:
                raise
            size = self._config.micro_batch_size
            raise StageError(
                f"expected micro-batches of {size} sequences to fit the memory, found {told} at "
                f"step {self._state.step + 1}: run the same command again with --set "
                f"micro_batch_size={max(1, size // 2)}, which changes memory and time, and with "
                "dropout which of it is drawn"
            ) from error

    def _check(self, result: StepResult) -> None:
        """Stop on a non-finite loss or gradient, or a loss far above its recent mean.

        Raises:
            StageError: one of them was found.
        """
        loss, recent = result.loss(self._config.drp_weight), self._state.recent_loss
        limit = self._config.max_loss_spike
        is_spike = (
            limit > 0
            and recent is not None
            and self._state.step >= _SPIKES_FROM_STEP
            and loss > limit * recent
        )
        # In fp16 gradients overflow now and then: the scaler leaves such a step out and halves its
        # scale. Below 1 they are non-finite for another reason.
        scaler = self._learner.scaler
        may_overflow = scaler.is_enabled() and scaler.get_scale() >= 1.0
        is_sound = math.isfinite(result.grad_norm) or may_overflow
        if math.isfinite(loss) and is_sound and not is_spike:
            return
        saved = checkpoints.checkpoint_steps(self._run)
        last = checkpoints.checkpoint_path(self._run, saved[-1]).name if saved else "none"
        usual = "none yet" if recent is None else f"{recent:.3f}"
        raise StageError(
            f"expected a loss near its recent mean ({usual}), found {loss:.3f} with a gradient of "
            f"norm {result.grad_norm:.3g} at step {self._state.step + 1}: lower learning_rate or "
            "raise warmup_steps and start anew, or raise max_loss_spike and go on (last good "
            f"checkpoint: {last})"
        )

    def _advance(self, batch: StepBatch, result: StepResult, seconds: float) -> None:
        """Count the step and write its line."""
        state, loss = self._state, result.loss(self._config.drp_weight)
        state.step += 1
        state.position += batch.num_instances
        state.tokens += batch.num_tokens
        counts = zip(state.relation_counts, batch.relation_counts, strict=True)
        state.relation_counts = [total + new for total, new in counts]
        state.first_loss = loss if state.first_loss is None else state.first_loss
        past = loss if state.recent_loss is None else state.recent_loss
        state.recent_loss = _MEMORY_OF_LOSS * past + (1 - _MEMORY_OF_LOSS) * loss
        if self._logs is None:
            return
        told = {key: value for key, value in asdict(result).items() if key != "wishes"}
        told["grad_norm"] = result.grad_norm if math.isfinite(result.grad_norm) else None
        speed = {
            "seconds": round(seconds, 4),
            "tokens_per_second": round(batch.num_tokens / max(seconds, 1e-9), 1),
            "memory_bytes": peak_memory(self._ranks.device),
        }
        line = {"step": state.step, "tokens": state.tokens, **told, **speed}
        self._logs.write_step(line | self._utilisation(batch, seconds))

    def _utilisation(self, batch: StepBatch, seconds: float) -> dict[str, float]:
        """Return the share of a GPU's peak that this rank used."""
        peak, shape = peak_flops(self._ranks.device), self._learner.model.config
        if peak is None or not isinstance(shape, ModelConfig):
            return {}
        flops = sum(model_flops(shape, micro_batch) for micro_batch in batch.micro_batches)
        return {"mfu": round(flops / seconds / peak, 4)}

    def _validate_and_save(self, is_save_due: bool) -> None:
        step, is_last = self._state.step, self._state.step == self._config.max_steps
        if is_last or step % self._config.validate_every == 0:
            self._validate()
        self._try_downstream()  # before the checkpoint of the step: a continuation finds it done
        if self._is_regular(step) or self._state.best_step == step or is_save_due:
            self._save()

    def _is_regular(self, step: int) -> bool:
        """Tell whether a step has a checkpoint however the run was interrupted."""
        return step == self._config.max_steps or step % self._config.checkpoint_every == 0

    def _validate(self) -> None:
        self._validation = self._validator.run(self._learner.model)
        if not self._validation:
            return
        first = next(iter(self._validation.values()))
        loss = first["mlm_loss"] + self._config.drp_weight * first["drp_loss"]
        if self._state.best_loss is None or loss < self._state.best_loss:
            self._state.best_loss, self._state.best_step = loss, self._state.step
            self._state.num_worse = 0
        else:
            self._state.num_worse += 1
        if self._logs is not None:
            self._logs.write_validation(self._state.step, self._validation)
        if self._show_progress:
            logger.info("step %d: %s", self._state.step, in_words(self._validation))

    def _try_downstream(self) -> None:
        """Try the weights on the downstream task, if this is a step for it."""
        task, step = self._downstream, self._state.step
        if task is None or not is_due(task, step, self._config.max_steps):
            return
        scores = task.score(self._run, self._learner.model, self._ranks)
        if self._logs is not None:
            self._logs.write_downstream(step, scores)
        if self._show_progress:
            shown = {name: score for name, score in scores.items() if name[-4:] not in _ENDS}
            told = ", ".join(f"{name} {score:.4g}" for name, score in shown.items())
            logger.info("step %d: %s: %s", step, task.name, told)

    def _save(self) -> None:
        """Write a checkpoint, unless this step has one, and discard old ones."""
        if self._saved_step == self._state.step:
            return
        self._saved_step, self._saved_at = self._state.step, time.monotonic()
        if self._ranks.is_writer:
            self._state.scaler = self._learner.scaler.state_dict()
            learner = self._learner
            if self._logs is not None:
                self._logs.flush()
            checkpoints.save_checkpoint(
                self._run, self._state, learner.model, learner.optimizer, self._identity
            )
            keep = self._config.keep_checkpoints
            checkpoints.discard_old(self._run, keep, self._is_regular, self._state.best_step)
        self._ranks.wait()

    def _result(self) -> PretrainResult:
        state = self._state
        return PretrainResult(
            run=str(self._run),
            step=state.step,
            tokens=state.tokens,
            instances=state.position,
            first_loss=state.first_loss or 0.0,
            last_loss=state.recent_loss or 0.0,
            validation=self._validation,
            relations=dict(zip(RELATIONS, state.relation_counts, strict=True)),
            seconds=seconds_in_steps(self._run),
        )
