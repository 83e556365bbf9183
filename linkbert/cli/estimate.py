"""`--estimate`: what a command will take, without running it."""

from __future__ import annotations

import argparse
import logging
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import linkbert
from linkbert.cli.chain import settings_of
from linkbert.cli.corpus_cost import (
    following_cost,
    parse_sample,
    sample_cost,
    segment_cost,
)
from linkbert.cli.fields import config_of
from linkbert.cli.schedule import fitted
from schemas.errors import ConfigError
from schemas.pair_frame import NUM_SPECIAL_OF_BERT
from schemas.progress import duration

if TYPE_CHECKING:
    from linkbert.cli.training_cost import TrainingCost

logger = logging.getLogger(__name__)


def estimate(args: argparse.Namespace) -> dict[str, Any]:
    """Return what a command would take; warn if the disk is too small."""
    found = _ESTIMATES[args.name](args)
    place = Path(args.out if "out" in args else args.corpus)
    existing = next(path for path in (place, *place.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(existing).free
    if found["disk_bytes"] > free:
        logger.warning(
            "warning: the disk of %s has %.1f GB free, but %.1f GB are needed: use another disk",
            existing, free / 1e9, found["disk_bytes"] / 1e9,
        )  # fmt: skip
    found["free_disk_bytes"] = free
    return found if args.json else _readable(found)


def _stage(args: argparse.Namespace) -> dict[str, Any]:
    if args.name == "parse":
        cost = parse_sample(args.dumps, config_of(linkbert.ParseConfig, args)).cost(args.workers)
    elif args.name == "segment":
        cost = segment_cost(args.corpus, args.workers)
    else:
        cost = sample_cost(args.corpora, args.epochs, args.workers)
    return {
        "seconds": round(cost.seconds, 1),
        "disk_bytes": round(cost.disk_bytes),
        "memory_bytes": round(cost.memory_bytes),
    }


def _run(args: argparse.Namespace) -> dict[str, Any]:
    """Add up all stages; training is measured on made-up pairs as long as those of the dump."""
    if not all(Path(dump).exists() or re.search("[.*?]", dump) for dump in args.dumps):
        raise ConfigError(
            f"expected a dump on this disk to measure, found {args.dumps[0]}: "
            f"run `linkbert download {args.dumps[0]}` first"
        )
    settings = settings_of(args)
    sample = parse_sample(args.dumps, settings.parse)
    is_trained = not (args.source or args.init)
    corpus = sample.cost(args.workers) + following_cost(
        sample, settings.tokenizer, is_trained=is_trained, epochs=args.epochs, workers=args.workers
    )
    num_segments, mean_tokens = sample.segments(settings.segment.max_tokens)
    pairs = round(num_segments * (1 - args.validation_fraction))
    config = fitted(settings.pretrain, args.config, args.overrides, max(pairs, 1), args.passes)
    from linkbert.cli.training_cost import made_training_cost

    length = min(2 * round(mean_tokens) + NUM_SPECIAL_OF_BERT, config.max_position_embeddings)
    training = made_training_cost(
        config,
        vocab_size=settings.tokenizer.vocab_size,
        length=length,
        pairs_per_pass=pairs,
        held_out_pairs=round(num_segments) - pairs,
    )
    return _shown(training) | {
        "seconds": round(corpus.seconds + training.seconds, 1),
        "seconds_before_training": round(corpus.seconds, 1),
        "disk_bytes": round(corpus.disk_bytes + training.disk_bytes + training.model_bytes),
        "memory_bytes": round(max(corpus.memory_bytes, training.memory_bytes)),
    }


def _pretrain(args: argparse.Namespace) -> dict[str, Any]:
    from linkbert.cli.training_cost import training_cost

    config = linkbert.load_config(args.config, args.overrides)
    return _shown(training_cost(Path(args.shards), config, seed=args.seed, init=args.init))


def _shown(cost: TrainingCost) -> dict[str, Any]:
    shown = {name: value for name, value in asdict(cost).items() if name != "model_bytes"}
    return shown if "CPU" in cost.device else shown | {"gpu_hours": cost.seconds / 3600}


def _readable(found: dict[str, Any]) -> dict[str, Any]:
    """Return an estimate with its times and sizes in words and units."""
    shown: dict[str, Any] = {}
    for name, value in found.items():
        if name.startswith("seconds"):
            shown[name.replace("seconds", "time")] = duration(value)
        elif name.endswith("_bytes"):
            shown[name.removesuffix("_bytes")] = f"{value / 1e6:,.0f} MB"
        else:
            shown[name] = value
    return shown


_ESTIMATES = {
    **dict.fromkeys(("parse", "segment", "sample"), _stage),
    "run": _run,
    "pretrain": _pretrain,
}
