"""`run`, all stages from a dump to a model, and `demo`, the same on the bundled dump."""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import linkbert
from linkbert import api
from linkbert.cli.fields import config_of
from linkbert.cli.schedule import fitted
from linkbert.extras import require
from pipeline.download.config import DownloadConfig
from pipeline.tokenizer.taken import fingerprints_of
from schemas.errors import ConfigError
from schemas.manifest import MANIFEST_NAME
from schemas.pair_frame import NUM_SPECIAL_OF_BERT
from schemas.progress import duration

if TYPE_CHECKING:
    from linkbert.evaluation.downstream import DownstreamTask
    from linkbert.training.trainer import PretrainResult

_logger = logging.getLogger(__name__)

_VOCAB_SIZE, _DEMO_VOCAB_SIZE, _DEMO_STEPS = 30_000, 8_000, 700
_CONTINUED = ("base", "large")  # the paper starts these from BERT's weights

_PAIRS_EXPLAINED = """\
  contiguous  B goes on where A stops, in the same article
  random      B is from an article that has nothing to do with A's
  linked      B is from an article that A links to: [words -> its title]"""
_ENGLISH = "the same from English Wikipedia: bundled excerpts that it did not train on"
_NEXT = """
next: all of this on one page, with figures
  linkbert report {out}
an article, its links and neighbours
  linkbert show {out}/corpus --page Latgola
another wiki, by its name; --estimate says first what it takes
  linkbert run simplewiki --config tiny --out simple"""


def run(args: argparse.Namespace) -> None:
    """Run all stages; those already finished return at once."""
    from linkbert.cli.closing import closing_table

    results = _run_stages(args)
    print(json.dumps(results, default=str) if args.json else closing_table(results))


@dataclass(frozen=True, slots=True)
class Settings:
    """The config of every stage of a `run`, all checked before the first stage begins."""

    parse: linkbert.ParseConfig
    tokenizer: linkbert.TokenizerConfig
    segment: linkbert.SegmentConfig
    sample: linkbert.SampleConfig
    pretrain: linkbert.PretrainConfig


def settings_of(args: argparse.Namespace) -> Settings:
    """Build the config of every stage from the options of `run`.

    Raises:
        ModuleNotFoundError: the package to log with is not installed.
        ConfigError: an option of any stage is wrong, segments are too long for the model, or the
            model to continue has no tokenizer.
    """
    config = linkbert.load_config(args.config, args.overrides)
    if config.log != "none":
        require(config.log)  # now, not hours later
    # Two segments and their special tokens must fit the model.
    longest = (config.max_position_embeddings - NUM_SPECIAL_OF_BERT) // 2
    if args.init is None and (args.max_tokens or 0) > longest:
        raise ConfigError(
            f"expected --max-tokens of at most {longest}, found {args.max_tokens}: two segments "
            f"share the {config.max_position_embeddings} positions of {args.config}"
        )
    if source := args.source or args.init:
        fingerprints_of(os.fspath(source))  # fails now, not hours later, if it has no tokenizer
    downstream_of(args)
    vocab_size = args.vocab_size or (_DEMO_VOCAB_SIZE if args.config == "demo" else _VOCAB_SIZE)
    return Settings(
        config_of(linkbert.ParseConfig, args),
        linkbert.TokenizerConfig(vocab_size=vocab_size),
        linkbert.SegmentConfig(max_tokens=args.max_tokens or longest),
        config_of(linkbert.SampleConfig, args),
        config,
    )


def _run_stages(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Run every stage in its folder below `args.out`; return their summaries by name."""
    settings = settings_of(args)
    corpus, shards, run_folder, model = (
        str(Path(args.out) / name) for name in ("corpus", "shards", "run", "model")
    )
    execution = execution_of(args)
    results: dict[str, dict[str, Any]] = {}
    _logger.info("parse")
    results["parse"] = linkbert.parse(_dumps_of(args), corpus, settings.parse, **execution)
    _logger.info("graph")
    results["graph"] = linkbert.graph(corpus, **execution)
    _logger.info("tokenizer")
    # A model that is trained further keeps its vocabulary.
    source = args.source or args.init
    results["tokenizer"] = linkbert.tokenizer(
        corpus, settings.tokenizer, source=source, **execution
    )
    _logger.info("segment")
    results["segment"] = linkbert.segment(corpus, settings.segment, **execution)
    _logger.info("sample")
    results["sample"] = linkbert.sample_pairs(corpus, shards, settings.sample, **execution)
    pairs_per_pass = results["sample"]["instances"] // args.epochs
    config = fitted(settings.pretrain, args.config, args.overrides, pairs_per_pass, args.passes)
    _logger.info("pretrain")
    results["pretrain"] = asdict(pretrain_with_log(Path(shards), Path(run_folder), config, args))
    _logger.info("export")
    exported = linkbert.export_model(Path(run_folder), Path(model), overwrite=args.overwrite)
    return results | {"export": asdict(exported)}


def _dumps_of(args: argparse.Namespace) -> list[str]:
    """Return the files to parse, after downloading them if a wiki is named."""
    [first, *more] = args.dumps
    # simplewiki, enwiktionary, zh_min_nanwiki, commonswiki
    if more or not re.fullmatch(r"[a-z][a-z0-9_]*wik[a-z]+", first) or Path(first).exists():
        return list(args.dumps)
    folder = Path(args.out) / "dump"
    return list(api.download(first, folder, config_of(DownloadConfig, args))["files"])


def pretrain_with_log(
    shards: Path, run_folder: Path, config: linkbert.PretrainConfig, args: argparse.Namespace
) -> PretrainResult:
    """Log what a run reads and how long it will take, then pretrain."""
    is_writer = os.environ.get("RANK", "0") == "0"
    if args.config in _CONTINUED and args.init is None and is_writer:
        _logger.warning(
            "warning: %s starts from random weights; the paper continues BERT-%s, which learns far "
            "more from so few steps: use --init HF_DIR, and `tokenizer --from HF_DIR`",
            args.config, args.config,
        )  # fmt: skip
    if is_writer and not args.quiet and not (run_folder / MANIFEST_NAME).is_file():
        from linkbert.cli.training_cost import training_cost

        cost = training_cost(shards, config, seed=args.seed, init=args.init)
        _logger.info(
            "%s steps of %s sequences: %s passes over the pairs, about %s on %s",
            f"{cost.steps:,}", f"{config.batch_size:,}", f"{cost.passes:,}", duration(cost.seconds),
            cost.device,
        )  # fmt: skip
    return linkbert.pretrain(
        shards,
        run_folder,
        config,
        seed=args.seed,
        init=args.init,
        downstream=downstream_of(args),
        overwrite=args.overwrite,
        quiet=args.quiet,
    )


def downstream_of(args: argparse.Namespace) -> DownstreamTask | None:
    """Return the task to fine-tune on during training, or None.

    Raises:
        ConfigError: the option does not name a task.
        SchemaError: its data are missing.
    """
    if args.downstream is None:
        return None
    from linkbert.evaluation.downstream import read_downstream

    return read_downstream(args.downstream, args.downstream_steps)


def execution_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of a stage's function that say how it runs."""
    return {name: getattr(args, name) for name in ("workers", "beam_args", "overwrite")}


def demo(args: argparse.Namespace, defaults: argparse.Namespace) -> None:
    """Run the chain on the bundled dump, then show the results.

    Args:
        args: the options of `demo`.
        defaults: the options of `run` that `demo_argv` gives.
    """
    from linkbert.inspection.excerpts import english_pairs
    from linkbert.inspection.show import show_pairs

    overrides = [*defaults.overrides, *args.overrides]
    run(argparse.Namespace(**vars(defaults) | vars(args) | {"overrides": overrides}))
    if not args.json:
        pairs = show_pairs(Path(args.out) / "shards" / "train", one_of_each=True, max_chars=300)
        print(f"\nthree pairs it trained on\n\n{_PAIRS_EXPLAINED}\n\n{pairs}")
        print(f"\n{_ENGLISH}\n\n{english_pairs()}")
        print(_NEXT.format(out=args.out))


def demo_argv(out: str) -> Sequence[str]:
    """Return the command that `demo` is short for."""
    argv = ["run", str(_bundled_dump()), "--out", out, "--config", "demo"]
    # In such a small wiki few segments contain a link, and few articles would be held out.
    argv += ["--epochs", "2", "--link-scope", "document", "--validation-fraction", "0.2"]
    # The preset is made for this dump, so its steps are fixed.
    return [*argv, "--set", f"max_steps={_DEMO_STEPS}"]


def _bundled_dump() -> Path:
    """Return the dump that comes with the package: the Latgalian Wikipedia of September 2017."""
    return Path(__file__).parents[1] / "data" / "ltgwiki-2017-pages-articles.xml.bz2"
