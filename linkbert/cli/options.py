"""The parsers of all commands, in the order of the chain.

The options that set a stage's config come from its dataclass (`linkbert.cli.fields`). The paths of
each command, and the common options that it obeys, are listed here.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from linkbert.cli.fields import add_fields, whole_number
from linkbert.cli.help import OneLineParser, OneScreen, PrintCompletion, PrintVersion, WithDefaults
from linkbert.cli.schedule import DEFAULT_PASSES
from linkbert.evaluation.config import EvaluationOptions
from linkbert.finetuning import KINDS
from linkbert.finetuning.options import FinetuneOptions
from pipeline.download.config import DownloadConfig
from pipeline.graph.config import SubsetConfig
from pipeline.ingest.config import IngestConfig
from pipeline.parse.config import ParseConfig
from pipeline.sample.config import SampleConfig
from pipeline.segment.config import SegmentConfig
from pipeline.tokenizer.config import TokenizerConfig

_PRESETS = "demo|tiny|mini|small|medium|base|large|FILE.toml"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every command, in the order of the chain."""
    parser = OneLineParser(
        prog="linkbert",
        description="From a wiki dump to a pretrained, link-aware BERT (LinkBERT, ACL 2022).",
        epilog="more: linkbert COMMAND --help; linkbert --version; linkbert --completion bash|zsh",
        usage="linkbert COMMAND ...",
        formatter_class=OneScreen,
        add_help=False,
    )
    hidden: Any = {"help": argparse.SUPPRESS}
    parser.add_argument("-h", "--help", action="help", **hidden)
    parser.add_argument("--version", action=PrintVersion, nargs=0, **hidden)
    parser.add_argument("--completion", action=PrintCompletion, **hidden)
    commands = parser.add_subparsers(
        title="commands, in the order of the chain", prog="linkbert", required=True
    )
    for add in (
        _add_download, _add_parse, _add_ingest, _add_graph, _add_subset, _add_tokenizer,
        _add_segment, _add_sample, _add_pretrain, _add_export, _add_finetune, _add_evaluate,
        _add_experiment, _add_run, _add_show, _add_check, _add_report, _add_push,
        _add_doctor, _add_demo,
    ):  # fmt: skip
        add(commands)
    return parser


_COUNT, _SEED = whole_number(0), whole_number(0, 2**63 - 1)

_COMMON: dict[str, dict[str, Any]] = {
    "workers": {"type": _COUNT, "default": 0, "metavar": "N", "help": "0 means one per core"},
    "seed": {"type": _SEED, "default": 0, "metavar": "N", "help": "decides every random choice"},
    "overwrite": {"action": "store_true", "help": "delete this output and start over"},
    "estimate": {"action": "store_true", "help": "only print what it would take"},
    "quiet": {"action": "store_true", "help": "no progress or log lines"},
    "json": {"action": "store_true", "help": "print the result as JSON"},
    "debug": {"action": "store_true", "help": "full tracebacks of errors"},
}
_EVERYWHERE = ("quiet", "json", "debug")


def _add_command(
    commands: Any, name: str, summary: str, module: str, example: str, *, obeys: Sequence[str] = ()
) -> argparse.ArgumentParser:
    """Add a command with the common options it obeys, in addition to those that all obey."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]} ({module}).",
        epilog=f"example: linkbert {example}",
        formatter_class=WithDefaults,
    )
    parser.set_defaults(name=name)
    common = parser.add_argument_group("common options")
    for option in (*obeys, *_EVERYWHERE):
        common.add_argument(f"--{option}", **_COMMON[option])
    return parser


def _add_out(parser: argparse.ArgumentParser, metavar: str, text: str = "folder to write") -> None:
    parser.add_argument("--out", required=True, metavar=metavar, help=text)


def _add_download(commands: Any) -> None:
    parser = _add_command(
        commands, "download", "download the newest complete dump of a wiki by its name",
        "pipeline/download/", "download simplewiki --out simplewiki-dump",
    )  # fmt: skip
    parser.add_argument("wiki", metavar="WIKI", help="such as simplewiki, dewiki, enwiktionary")
    parser.add_argument(
        "--out", metavar="DIR", help="folder to write; else one named after the wiki"
    )
    add_fields(parser, DownloadConfig)


def _add_parse(commands: Any) -> None:
    parser = _add_command(
        commands, "parse", "read dumps into pages, redirects and rejects",
        "pipeline/parse/stage.py", "parse ltgwiki-20170901-pages-articles.xml.bz2 --out corpus",
        obeys=("workers", "overwrite", "estimate"),
    )  # fmt: skip
    _add_dumps(parser)
    _add_out(parser, "CORPUS")
    add_fields(parser, ParseConfig)


def _add_dumps(parser: argparse.ArgumentParser, more: str = "") -> None:
    parser.add_argument(
        "dumps", nargs="+", metavar="DUMP",
        help=f".xml, .bz2, .gz, .xz, .zst or .7z; also globs, gs://, s3://{more}",
    )  # fmt: skip


def _add_ingest(commands: Any) -> None:
    parser = _add_command(
        commands, "ingest", "read any corpus of linked documents into the same tables",
        "pipeline/ingest/stage.py", "ingest documents.jsonl --out corpus --format jsonl",
        obeys=("workers", "overwrite"),
    )  # fmt: skip
    parser.add_argument("documents", nargs="+", metavar="FILE", help="also compressed; globs")
    _add_out(parser, "CORPUS")
    add_fields(parser, IngestConfig, required=("format",))
    parser.add_argument(
        "--redirects", nargs="*", default=[], metavar="FILE",
        help='JSON lines of {"source": ..., "target": ...}',
    )  # fmt: skip


def _add_graph(commands: Any) -> None:
    parser = _add_command(
        commands, "graph", "resolve every title and redirect: nodes, edges, mentions",
        "pipeline/graph/stage.py", "graph corpus",
        obeys=("workers", "overwrite"),
    )  # fmt: skip
    parser.add_argument("corpus", metavar="CORPUS", help="folder that parse or ingest wrote")


def _add_subset(commands: Any) -> None:
    parser = _add_command(
        commands, "subset", "write a smaller corpus, grown along links",
        "pipeline/graph/subset.py",
        "subset corpus --around Physics --size 20000 --out corpus-small",
        obeys=("workers", "overwrite"),
    )  # fmt: skip
    parser.add_argument("corpus", metavar="CORPUS", help="folder with a graph")
    _add_out(parser, "CORPUS2")
    add_fields(parser, SubsetConfig, required=("around", "size"))


def _add_tokenizer(commands: Any) -> None:
    parser = _add_command(
        commands, "tokenizer", "train a WordPiece vocabulary, or adopt one",
        "pipeline/tokenizer/stage.py", "tokenizer corpus --vocab-size 30000",
        obeys=("workers", "overwrite"),
    )  # fmt: skip
    parser.add_argument("corpora", nargs="+", metavar="CORPUS", help="the first gets the tokenizer")
    add_fields(parser, TokenizerConfig)
    _add_source(parser)


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from", dest="source", metavar="PATH",
        help="tokenizer.json, vocab.txt or HF folder to adopt; else one is trained",
    )  # fmt: skip


def _add_segment(commands: Any) -> None:
    parser = _add_command(
        commands, "segment", "cut pages into segments of token ids with their links",
        "pipeline/segment/stage.py", "segment corpus --max-tokens 254",
        obeys=("workers", "overwrite", "estimate"),
    )  # fmt: skip
    parser.add_argument("corpus", metavar="CORPUS", help="folder with a graph and a tokenizer")
    add_fields(parser, SegmentConfig)


def _add_sample(commands: Any) -> None:
    parser = _add_command(
        commands, "sample", "pair segments into sharded training data",
        "pipeline/sample/stage.py", "sample corpus --out shards --epochs 4",
        obeys=("workers", "seed", "overwrite", "estimate"),
    )  # fmt: skip
    parser.add_argument(
        "corpora", nargs="+", metavar="CORPUS[:LINKS]",
        help="further ones may name their own kind of links",
    )  # fmt: skip
    _add_out(parser, "SHARDS")
    add_fields(parser, SampleConfig)


def _add_pretrain(commands: Any) -> None:
    parser = _add_command(
        commands, "pretrain", "train the encoder on the shards",
        "linkbert/training/trainer.py",
        "pretrain shards --out run --config tiny --set max_steps=1000",
        obeys=("seed", "overwrite", "estimate"),
    )  # fmt: skip
    parser.add_argument("shards", metavar="SHARDS", help="folder that sample wrote")
    _add_out(parser, "RUN")
    _add_config(parser)
    parser.add_argument(
        "--log", choices=("tensorboard", "wandb", "mlflow"), help="also log metrics there"
    )


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, metavar="CONFIG", help=_PRESETS)
    _add_overrides(parser)
    parser.add_argument(
        "--init", type=Path, metavar="HF_DIR", help="encoder to start from; else random weights"
    )
    parser.add_argument(
        "--downstream", metavar="KIND:DATA|FILE.toml",
        help="task to fine-tune on at intervals, such as classify:glue/RTE",
    )  # fmt: skip
    parser.add_argument(
        "--downstream-steps", type=whole_number(1), default=1000, metavar="N",
        help="between two such fine-tunings; the first and last weights are also tried",
    )  # fmt: skip


def _add_overrides(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE",
        help="set one key of the config; may be repeated",
    )  # fmt: skip


def _add_export(commands: Any) -> None:
    parser = _add_command(
        commands, "export", "write a folder that Hugging Face loads",
        "linkbert/export/export.py", "export run --out model",
        obeys=("overwrite",),
    )  # fmt: skip
    parser.add_argument("run", metavar="RUN", help="folder that pretrain wrote")
    _add_out(parser, "HF_DIR")
    told = "best or step-NNNNNNNN; else the newest"
    parser.add_argument("--checkpoint", metavar="NAME", help=told)
    parser.add_argument(
        "--cut-vocabulary", action="store_true", help="drop rows that only pad the vocabulary"
    )


def _add_finetune(commands: Any) -> None:
    parser = _add_command(
        commands, "finetune", "fine-tune a model on questions, sentences or words",
        "linkbert/finetuning/", "finetune classify model glue/SST-2 --out sst2 --seeds 0 1 2",
        obeys=("seed", "overwrite"),
    )  # fmt: skip
    parser.add_argument(
        "task_kind", choices=KINDS, metavar="KIND", help="qa, classify, tag or choice"
    )
    parser.add_argument("model", type=Path, metavar="HF_DIR", help="Hugging Face folder")
    parser.add_argument(
        "data", nargs="+", type=Path, metavar="DATA",
        help="folder with train, dev and optionally test, or these files",
    )  # fmt: skip
    _add_out(parser, "DIR")
    parser.add_argument("--task", metavar="NAME", help="GLUE task; else the folder's name")
    parser.add_argument(
        "--seeds", type=_SEED, nargs="+", metavar="N", help="one run per seed; else --seed"
    )
    parser.add_argument("--max-length", type=int, metavar="N", help="tokens; else 384 for qa, 128")
    add_fields(parser, FinetuneOptions, left_out=("seeds", "max_length"))


def _add_evaluate(commands: Any) -> None:
    parser = _add_command(
        commands, "evaluate", "measure a model on the held-out articles of shards",
        "linkbert/evaluation/evaluate.py", "evaluate link-context model shards",
        obeys=("seed",),
    )  # fmt: skip
    kinds = ("link-context", "drp", "mlm", "ranking")
    parser.add_argument("kind", choices=kinds, help="what to measure")
    parser.add_argument("model", type=Path, metavar="MODEL", help="Hugging Face folder")
    parser.add_argument("shards", type=Path, metavar="SHARDS", help="folder with held-out splits")
    add_fields(parser, EvaluationOptions)


def _add_experiment(commands: Any) -> None:
    parser = _add_command(
        commands, "experiment", "train several arms alike, compare them, write a report",
        "linkbert/experiment/experiment.py", "experiment small.toml --out small",
        obeys=("overwrite",),
    )  # fmt: skip
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("experiment", nargs="?", type=Path, metavar="FILE.toml", help="what to run")
    about = "a synthetic corpus where linked partners must help; 12 minutes on two cores"
    what.add_argument("--control", action="store_true", help=about)
    _add_out(parser, "DIR")
    parser.add_argument(
        "--pack", metavar="FILE",
        help="pack the corpus into one small file for another machine; else train",
    )  # fmt: skip


def _add_run(commands: Any) -> None:
    parser = _add_command(
        commands, "run", "all stages from a dump to a model, resumable",
        "linkbert/cli/chain.py",
        "run ltgwiki-20170901-pages-articles.xml.bz2 --out ltg --config tiny",
        obeys=("workers", "seed", "overwrite", "estimate"),
    )  # fmt: skip
    _add_dumps(parser, "; or a wiki's name, such as simplewiki, to download")
    _add_out(parser, "DIR", "folder to write: corpus, shards, run and model")
    add_fields(parser, DownloadConfig)
    add_fields(parser, ParseConfig)
    _add_source(parser)
    parser.add_argument(
        "--vocab-size", type=whole_number(100), metavar="N", help="8,000 for demo, else 30,000"
    )
    length = "tokens per segment; else as many as two segments can have in the model"
    parser.add_argument("--max-tokens", type=int, metavar="N", help=length)
    add_fields(parser, SampleConfig)
    _add_config(parser)
    parser.add_argument(
        "--passes", type=whole_number(1), metavar="N",
        help=f"how often to read every segment; else {DEFAULT_PASSES}, or as max_steps says",
    )  # fmt: skip


def _add_show(commands: Any) -> None:
    parser = _add_command(
        commands, "show", "print a table, shard, manifest or page for a person",
        "linkbert/inspection/show.py", "show corpus --page Latgola",
    )  # fmt: skip
    parser.add_argument(
        "path", type=Path, metavar="PATH", help="folder or file that a command wrote"
    )
    parser.add_argument("--page", metavar="TITLE", help="a document with its links; else rows")
    parser.add_argument(
        "--templates", action="store_true", help="templates that left gaps in prose, and rules"
    )
    parser.add_argument("--jsonl", action="store_true", help="all pairs of shards as JSON lines")
    parser.add_argument(
        "--limit", type=whole_number(1), default=5, metavar="N", help="rows of a table"
    )


def _add_check(commands: Any) -> None:
    parser = _add_command(
        commands, "check", "check a folder against its manifests",
        "linkbert/inspection/check.py", "check corpus",
    )  # fmt: skip
    parser.add_argument("path", type=Path, metavar="PATH", help="with all finished folders in it")


def _add_report(commands: Any) -> None:
    parser = _add_command(
        commands, "report", "write one HTML file with graph, pairs, curves and pages",
        "linkbert/report/__init__.py", "report linkbert-demo",
    )  # fmt: skip
    parser.add_argument("path", type=Path, metavar="DIR", help="corpus, shards, run or experiment")
    parser.add_argument("--out", type=Path, metavar="FILE", help="file; else DIR/report.html")
    about = "document to draw with its neighbours; else one is chosen"
    parser.add_argument("--around", metavar="TITLE", help=about)


def _add_push(commands: Any) -> None:
    parser = _add_command(
        commands, "push", "upload a model or shards to the Hugging Face hub",
        "linkbert/export/push.py", "push model my-name/my-linkbert --private",
    )  # fmt: skip
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="from export or sample")
    parser.add_argument("repo_id", metavar="REPO_ID", help="OWNER/NAME; created if missing")
    parser.add_argument("--private", action="store_true", help="visible only to you")


def _add_doctor(commands: Any) -> None:
    _add_command(
        commands, "doctor", "say what this machine lacks or will be slow at",
        "linkbert/cli/doctor.py", "doctor",
    )  # fmt: skip


def _add_demo(commands: Any) -> None:
    parser = _add_command(
        commands, "demo", "run the whole chain on the bundled Latgalian Wikipedia",
        "linkbert/cli/chain.py", "demo --out linkbert-demo",
        obeys=("workers", "seed", "overwrite"),
    )  # fmt: skip
    parser.add_argument("--out", default="linkbert-demo", metavar="DIR", help="folder to write")
    _add_overrides(parser)
