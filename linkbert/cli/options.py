"""The command line's options: one subcommand a stage, in the order of the chain.

Each option that sets a stage's config bears the name of the config's field.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from linkbert.cli.help import OneScreen, PrintCompletion, WithDefaults
from schemas import __version__

_PRESETS = "demo|tiny|mini|small|medium|base|large|FILE.toml"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every command, in the order of the chain."""
    parser = argparse.ArgumentParser(
        prog="linkbert",
        description="From a wiki dump to a pretrained, link-aware BERT (LinkBERT, ACL 2022).",
        epilog="linkbert COMMAND --help has an example; --version; --completion bash|zsh",
        usage="linkbert COMMAND ...",
        formatter_class=OneScreen,
        add_help=False,
    )
    hidden: Any = {"help": argparse.SUPPRESS}
    parser.add_argument("-h", "--help", action="help", **hidden)
    parser.add_argument("--version", action="version", version=f"linkbert {__version__}", **hidden)
    parser.add_argument("--completion", action=PrintCompletion, **hidden)
    commands = parser.add_subparsers(
        title="commands, in the order of the chain", prog="linkbert", required=True
    )
    for add in (
        _add_parse, _add_ingest, _add_graph, _add_subset, _add_tokenizer, _add_segment,
        _add_sample, _add_pretrain, _add_export, _add_finetune, _add_evaluate,
        _add_experiment, _add_run, _add_show, _add_check, _add_report, _add_demo,
    ):  # fmt: skip
        add(commands)
    return parser


def _add_command(
    commands: Any, name: str, summary: str, module: str, example: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]} ({module}).",
        epilog=f"example: linkbert {example}",
        formatter_class=WithDefaults,
    )
    parser.set_defaults(name=name)
    common = parser.add_argument_group("common options")
    common.add_argument("--workers", type=int, default=0, metavar="N", help="0 means one a core")
    common.add_argument("--seed", type=int, default=0, metavar="N", help="of every random choice")
    common.add_argument("--overwrite", action="store_true", help="delete this output, start anew")
    common.add_argument("--quiet", action="store_true", help="no progress and log lines")
    common.add_argument("--json", action="store_true", help="the result as JSON")
    common.add_argument("--debug", action="store_true", help="tracebacks instead of one line")
    return parser


def _add_parse(commands: Any) -> None:
    parser = _add_command(
        commands, "parse", "read dumps into pages, redirects and rejects",
        "pipeline/parse/stage.py", "parse ltgwiki-20170901-pages-articles.xml.bz2 --out corpus",
    )  # fmt: skip
    _add_dump_arguments(parser)
    parser.add_argument("--out", required=True, metavar="CORPUS", help="folder to write")


def _add_dump_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "dumps",
        nargs="+",
        metavar="DUMP",
        help=".xml, .bz2, .gz, .xz, .zst or .7z; globs, gs://, s3://",
    )
    parser.add_argument(
        "--namespaces", type=int, nargs="+", default=[0], metavar="N", help="namespaces to keep"
    )
    parser.add_argument("--language", metavar="CODE", help="where the dump does not say it")
    parser.add_argument(
        "--allow-truncated", action="store_true", help="keep what a cut-off file still holds"
    )


def _add_ingest(commands: Any) -> None:
    parser = _add_command(
        commands, "ingest", "read any corpus of linked documents into the same tables",
        "pipeline/ingest/stage.py", "ingest documents.jsonl --out corpus --format jsonl",
    )  # fmt: skip
    parser.add_argument("documents", nargs="+", metavar="FILE", help="plain or compressed; globs")
    parser.add_argument("--out", required=True, metavar="CORPUS", help="folder to write")
    parser.add_argument(
        "--format", required=True, choices=("jsonl", "pubmed", "text"), help="of the files"
    )
    parser.add_argument("--redirects", nargs="*", default=[], metavar="FILE", help="jsonl of them")
    parser.add_argument(
        "--titles", choices=("wiki", "exact"), default="wiki", help="MediaWiki's rules, or none"
    )
    parser.add_argument(
        "--only-exact-links", action="store_true", help='leave out links with "exact": false'
    )


def _add_graph(commands: Any) -> None:
    parser = _add_command(
        commands, "graph", "resolve every title and redirect: nodes, edges, mentions",
        "pipeline/graph/stage.py", "graph corpus",
    )  # fmt: skip
    parser.add_argument("corpus", metavar="CORPUS", help="a folder that parse or ingest wrote")


def _add_subset(commands: Any) -> None:
    parser = _add_command(
        commands, "subset", "write a smaller corpus grown along links",
        "pipeline/graph/subset.py",
        "subset corpus --around Physics --size 20000 --out corpus-small",
    )  # fmt: skip
    parser.add_argument("corpus", metavar="CORPUS", help="a folder with its graph")
    parser.add_argument("--around", required=True, metavar="TITLE", help="where to start")
    parser.add_argument("--size", required=True, type=int, metavar="N", help="documents to keep")
    parser.add_argument(
        "--method", choices=("links", "breadth"), default="links", help="how it grows"
    )
    parser.add_argument("--out", required=True, metavar="CORPUS2", help="folder to write")


def _add_tokenizer(commands: Any) -> None:
    parser = _add_command(
        commands, "tokenizer", "train a WordPiece vocabulary, or take one",
        "pipeline/tokenizer/stage.py", "tokenizer corpus --vocab-size 30000",
    )  # fmt: skip
    parser.add_argument("corpora", nargs="+", metavar="CORPUS", help="it is written to the first")
    parser.add_argument(
        "--vocab-size", type=int, default=30_000, metavar="N", help="of a trained one"
    )
    parser.add_argument(
        "--from", dest="source", metavar="PATH", help="tokenizer.json, vocab.txt or an HF folder"
    )
    parser.add_argument("--lowercase", action="store_true", help="marks stay on their letters")
    parser.add_argument("--strip-accents", action="store_true", help="as BERT's uncased models do")


def _add_segment(commands: Any) -> None:
    parser = _add_command(
        commands, "segment", "cut pages into segments of token ids with their links",
        "pipeline/segment/stage.py", "segment corpus --max-tokens 254",
    )  # fmt: skip
    parser.add_argument("corpus", metavar="CORPUS", help="a folder with graph and tokenizer")
    parser.add_argument("--max-tokens", type=int, default=254, metavar="N", help="of a segment")
    parser.add_argument(
        "--min-tokens", type=int, default=32, metavar="N", help="unless the document has fewer"
    )
    parser.add_argument("--exclude-disambiguation", action="store_true", help="leave them out")


def _add_sample(commands: Any) -> None:
    parser = _add_command(
        commands, "sample", "pair segments into sharded training data",
        "pipeline/sample/stage.py", "sample corpus --out shards --epochs 4",
    )  # fmt: skip
    parser.add_argument(
        "corpora", nargs="+", metavar="CORPUS[:LINKS]", help="a further one may have its own links"
    )
    parser.add_argument("--out", required=True, metavar="SHARDS", help="folder to write")
    parser.add_argument("--epochs", type=int, default=1, metavar="N", help="each draws new pairs")
    _add_sampling_arguments(parser)


def _add_sampling_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--links", choices=("hyperlink", "tfidf", "random", "none"), default="hyperlink",
        help="what makes a pair linked",
    )  # fmt: skip
    parser.add_argument(
        "--weighting", choices=("inverse-in-degree", "uniform"), default="inverse-in-degree",
        help="how likely a linked document is drawn",
    )  # fmt: skip
    parser.add_argument(
        "--link-scope", choices=("segment", "document"), default="segment",
        help="links of the segment A alone, or of its whole document",
    )  # fmt: skip
    parser.add_argument(
        "--target-segment", choices=("uniform", "lead"), default="uniform",
        help="any segment of the other document, or its first",
    )  # fmt: skip
    parser.add_argument(
        "--mix-policy", choices=("exact", "independent"), default="exact",
        help="totals as near to the mix as can be, or each A on its own",
    )  # fmt: skip
    parser.add_argument(
        "--mix", type=float, nargs=3, default=[1.0, 1.0, 1.0], metavar="SHARE",
        help="contiguous, random and linked; only their ratio counts",
    )  # fmt: skip
    parser.add_argument(
        "--join", choices=("auto", "gather", "shuffle"), default="auto",
        help="read tokens from files, or send them through Beam: auto does so from gs://",
    )  # fmt: skip
    parser.add_argument(
        "--validation-fraction", type=float, default=0.05, metavar="F",
        help="of the documents held out, half at random, half in linked clusters",
    )  # fmt: skip
    parser.add_argument(
        "--validation-documents",
        type=int,
        default=10_000,
        metavar="N",
        help="at most, of each half",
    )


def _add_pretrain(commands: Any) -> None:
    parser = _add_command(
        commands, "pretrain", "train the encoder on the shards",
        "linkbert/training/trainer.py",
        "pretrain shards --out run --config tiny --set max_steps=1000",
    )  # fmt: skip
    parser.add_argument("shards", metavar="SHARDS", help="a folder that sample wrote")
    parser.add_argument("--out", required=True, metavar="RUN", help="folder to write")
    parser.add_argument("--init", type=Path, metavar="HF_DIR", help="a BERT to start from")
    _add_config_arguments(parser)


def _add_config_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, metavar="CONFIG", help=_PRESETS)
    _add_overrides(parser)


def _add_overrides(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE",
        help="one key of the config; may be repeated",
    )  # fmt: skip


def _add_export(commands: Any) -> None:
    parser = _add_command(
        commands, "export", "write a folder that Hugging Face loads",
        "linkbert/export/export.py", "export run --out model",
    )  # fmt: skip
    parser.add_argument("run", metavar="RUN", help="a folder that pretrain wrote")
    parser.add_argument("--out", required=True, metavar="HF_DIR", help="folder to write")
    parser.add_argument("--checkpoint", metavar="NAME", help="step-NNNNNNNN; else the newest")


def _add_finetune(commands: Any) -> None:
    parser = _add_command(
        commands, "finetune", "fine-tune a model on questions, sentences or words",
        "linkbert/finetuning/", "finetune classify model glue/SST-2 --out sst2 --seeds 0 1 2",
    )  # fmt: skip
    parser.add_argument(
        "task_kind", choices=("qa", "classify", "tag"), metavar="KIND", help="qa, classify or tag"
    )
    parser.add_argument("model", type=Path, metavar="HF_DIR", help="a Hugging Face folder")
    parser.add_argument(
        "data",
        nargs="+",
        type=Path,
        metavar="DATA",
        help="folder with train and dev, or both files",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--task", metavar="NAME", help="of GLUE; else the folder's name")
    parser.add_argument("--grid", choices=("none", "paper"), default="none", help="settings to try")
    parser.add_argument(
        "--seeds", type=int, nargs="+", metavar="N", help="one run each; else --seed"
    )
    parser.add_argument("--learning-rate", type=float, default=3e-5, metavar="X", help="peak")
    parser.add_argument("--batch-size", type=int, default=16, metavar="N", help="examples a step")
    parser.add_argument("--epochs", type=int, default=3, metavar="N", help="over training data")
    parser.add_argument("--fraction", type=float, default=1.0, metavar="F", help="of training data")
    parser.add_argument("--max-length", type=int, metavar="N", help="384 for qa, else 128")
    parser.add_argument("--stride", type=int, default=128, metavar="N", help="tokens windows share")
    parser.add_argument(
        "--distractors", type=int, default=0, metavar="N", help="documents added to dev contexts"
    )


def _add_evaluate(commands: Any) -> None:
    parser = _add_command(
        commands, "evaluate", "measure a model on the held-out articles of shards",
        "linkbert/evaluation/evaluate.py", "evaluate link-context model shards",
    )  # fmt: skip
    parser.add_argument(
        "kind", choices=("link-context", "drp", "mlm", "ranking"), help="what to measure"
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a Hugging Face folder")
    parser.add_argument("shards", type=Path, metavar="SHARDS", help="with held-out splits")
    parser.add_argument("--passes", type=int, default=4, metavar="N", help="masks of each segment")
    parser.add_argument(
        "--max-pairs", type=int, default=5000, metavar="N", help="of each split at most"
    )
    parser.add_argument(
        "--train-pairs", type=int, default=2000, metavar="N", help="for ranking's fine-tuning"
    )
    parser.add_argument(
        "--num-resamples", type=int, default=2000, metavar="N", help="replicates of an interval"
    )


def _add_experiment(commands: Any) -> None:
    parser = _add_command(
        commands, "experiment", "train arms alike, compare them, write a report",
        "linkbert/experiment/experiment.py", "experiment small.toml --out small",
    )  # fmt: skip
    parser.add_argument("experiment", type=Path, metavar="FILE.toml", help="what to compare")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--pack",
        metavar="FILE",
        help="only write the corpus as one small file, for another machine",
    )


def _add_run(commands: Any) -> None:
    parser = _add_command(
        commands, "run", "all stages from a dump to a model, resumable",
        "linkbert/cli/commands.py",
        "run ltgwiki-20170901-pages-articles.xml.bz2 --out ltg --config tiny",
    )  # fmt: skip
    _add_dump_arguments(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="corpus, shards, run and model")
    parser.add_argument("--vocab-size", type=int, metavar="N", help="8,000 for demo, else 30,000")
    parser.add_argument("--epochs", type=int, default=1, metavar="N", help="each draws new pairs")
    _add_sampling_arguments(parser)
    _add_config_arguments(parser)


def _add_show(commands: Any) -> None:
    parser = _add_command(
        commands, "show", "print a table, shard, manifest or page for a person",
        "linkbert/inspection/show.py", "show corpus --page Latgola",
    )  # fmt: skip
    parser.add_argument("path", type=Path, metavar="PATH", help="a folder or file of ours")
    parser.add_argument("--page", metavar="TITLE", help="one document of a corpus, links marked")
    parser.add_argument("--limit", type=int, default=5, metavar="N", help="rows of a table")


def _add_check(commands: Any) -> None:
    parser = _add_command(
        commands, "check", "prove a folder against its manifests",
        "linkbert/inspection/check.py", "check corpus",
    )  # fmt: skip
    parser.add_argument("path", type=Path, metavar="PATH", help="all finished folders below it")


def _add_report(commands: Any) -> None:
    parser = _add_command(
        commands, "report", "write one HTML file to look at: graph, pairs, curves, pages",
        "linkbert/report/__init__.py", "report linkbert-demo",
    )  # fmt: skip
    parser.add_argument("path", type=Path, metavar="DIR", help="a corpus, shards, run, experiment")
    parser.add_argument("--out", type=Path, metavar="FILE", help="DIR/report.html unless given")
    parser.add_argument("--around", metavar="TITLE", help="a document to draw with its neighbours")


def _add_demo(commands: Any) -> None:
    parser = _add_command(
        commands, "demo", "run the whole chain on the bundled Latgalian Wikipedia",
        "linkbert/cli/commands.py", "demo --out linkbert-demo",
    )  # fmt: skip
    parser.add_argument("--out", default="linkbert-demo", metavar="DIR", help="folder to write")
    _add_overrides(parser)
