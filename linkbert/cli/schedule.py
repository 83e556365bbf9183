"""How long `run` trains: a few passes over the pairs it has.

A preset has the paper's number of steps, meant for all of Wikipedia: on a small wiki they would be
thousands of passes. In: a preset, what the user set, and the number of pairs. Out: a config whose
steps and warm-up fit a few passes, with a smaller batch if the steps would be too few.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

from linkbert.training.config import PRESETS, PretrainConfig, parse_override
from schemas.errors import ConfigError

DEFAULT_PASSES = 4
_MIN_STEPS = 200
_MIN_BATCH = 32
_BATCH_KEYS = frozenset(("batch_size", "learning_rate", "warmup_steps"))


def fitted(
    config: PretrainConfig,
    preset: str,
    overrides: Sequence[str],
    pairs_per_pass: int,
    passes: int | None,
) -> PretrainConfig:
    """Return the config with a number of steps that suits the amount of data.

    Steps that the user chose, with `--set max_steps` or in a TOML file, stay.

    Args:
        config: of the preset or file, with the overrides applied.
        preset: its name, or the path of a file.
        overrides: values of `--set`.
        pairs_per_pass: number of training pairs that read every segment once.
        passes: the most passes to make; None if the user did not say.

    Raises:
        ConfigError: the chosen steps make more passes than the user allows.
    """
    given = {parse_override(text)[0] for text in overrides}
    if preset not in PRESETS or "max_steps" in given:
        _check_passes(config, pairs_per_pass, passes)
        return config
    num_pairs = (passes or DEFAULT_PASSES) * pairs_per_pass
    smaller = _with_smaller_batch(config, num_pairs, given)
    steps = min(config.max_steps, math.ceil(num_pairs / smaller.batch_size))
    share = config.warmup_steps / config.max_steps
    warmup = config.warmup_steps if "warmup_steps" in given else round(share * steps)
    return replace(smaller, max_steps=steps, warmup_steps=min(warmup, steps))


def passes_of(config: PretrainConfig, pairs_per_pass: int) -> float:
    """Return how many times a run reads every segment."""
    return config.max_steps * config.batch_size / max(pairs_per_pass, 1)


def _check_passes(config: PretrainConfig, pairs_per_pass: int, passes: int | None) -> None:
    found = passes_of(config, pairs_per_pass)
    steps = math.ceil((passes or 0) * pairs_per_pass / config.batch_size)
    if passes is not None and config.max_steps > steps:
        raise ConfigError(
            f"expected at most {passes} passes over {pairs_per_pass:,} pairs, found "
            f"max_steps={config.max_steps:,}, which makes {found:,.1f}: lower it to {steps:,}, or "
            "raise --passes"
        )


def _with_smaller_batch(
    config: PretrainConfig, num_pairs: int, given: Collection[str]
) -> PretrainConfig:
    """Halve the batch until there are enough steps to learn, and scale down the learning rate.

    The learning rate follows the square root of the batch size, which keeps Adam's steps the same
    size relative to the noise of the gradient (Malladi et al., 2022, arXiv:2205.10287).
    """
    batch_size = config.batch_size
    while batch_size >= 2 * _MIN_BATCH and num_pairs / batch_size < _MIN_STEPS:
        batch_size //= 2
    if batch_size == config.batch_size or _BATCH_KEYS & set(given):
        return config
    rate = config.learning_rate * math.sqrt(batch_size / config.batch_size)
    micro = min(config.micro_batch_size, batch_size)
    return replace(
        config, batch_size=batch_size, micro_batch_size=micro, learning_rate=float(f"{rate:.2g}")
    )
