"""The command line: runs one subcommand, or the whole chain.

Each command is a thin call of the function of `linkbert` that does the same from Python. Results
go to stdout, log and progress to stderr. Exit 0; 1 with one line of cause and cure; 2 for usage.
What follows `--` goes to Beam untouched. Heavy packages are imported by the command that needs
them, so `linkbert --help` answers at once.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import linkbert
from linkbert.api import prepare_stage
from linkbert.cli.live_line import LiveLine, is_live
from linkbert.cli.options import build_parser
from linkbert.inspection.terminal import printable, rows_of
from schemas.errors import LinkBertError

_logger = logging.getLogger(__name__)

_DEMO_VOCAB_SIZE = 8_000
_STAGES = frozenset(("parse", "ingest", "graph", "subset", "tokenizer", "segment", "sample"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    own, beam_args = _split_beam_args(list(sys.argv[1:] if argv is None else argv))
    args = build_parser().parse_args(own)
    args.beam_args = beam_args
    handler = _configure_logging(args.quiet)
    if args.name in _STAGES and not beam_args:
        prepare_stage(args.name)
    try:
        try:
            status = _COMMANDS[args.name](args)
        finally:
            if isinstance(handler, LiveLine):
                handler.clear()
        sys.stdout.flush()
        return status
    except LinkBertError as error:
        return _fail(args, error, _one_line(str(error)))
    except BrokenPipeError:
        # The reader has had enough, as `| head` has; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _fail(args, error, f"{error}: check the path, the rights and the space left")
    except KeyboardInterrupt:
        return _fail(args, None, "stopped; the same command resumes")


def _split_beam_args(argv: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in argv:
        return argv, []
    at = argv.index("--")
    return argv[:at], argv[at + 1 :]


def _configure_logging(quiet: bool) -> logging.Handler:
    """Send the log to stderr; on a terminal progress is one line that changes."""
    live = is_live(sys.stderr) and not quiet
    handler = LiveLine(sys.stderr) if live else logging.StreamHandler(sys.stderr)
    logging.basicConfig(handlers=[handler], format="%(message)s", level=logging.ERROR)
    # Beam logs a traceback for what ends as one line here.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    for name in ("linkbert", "pipeline", "schemas"):
        logging.getLogger(name).setLevel(logging.ERROR if quiet else logging.INFO)
    logging.getLogger("schemas.progress").setLevel(logging.DEBUG if live else logging.NOTSET)
    return handler


def _fail(args: argparse.Namespace, error: Exception | None, message: str) -> int:
    if args.debug and error is not None:
        raise error
    print(f"linkbert {args.name}: {printable(message)}", file=sys.stderr)
    return 1


def _one_line(message: str) -> str:
    """Drop what Beam appends to an error's message.

    >>> _one_line("expected a dump, found none [while running 'OpenJob']")
    'expected a dump, found none'
    """
    return re.sub(r" \[while running .*", "", message, flags=re.DOTALL).replace("\n", " ")


def _parse(args: argparse.Namespace) -> int:
    config = _config(linkbert.ParseConfig, args)
    return _report(args, linkbert.parse(args.dumps, args.out, config, **_execution(args)))


def _ingest(args: argparse.Namespace) -> int:
    config = _config(linkbert.IngestConfig, args)
    given = {"redirects": args.redirects, **_execution(args)}
    return _report(args, linkbert.ingest(args.documents, args.out, config, **given))


def _graph(args: argparse.Namespace) -> int:
    return _report(args, linkbert.graph(args.corpus, **_execution(args)))


def _subset(args: argparse.Namespace) -> int:
    config = _config(linkbert.SubsetConfig, args)
    return _report(args, linkbert.subset(args.corpus, args.out, config, **_execution(args)))


def _tokenizer(args: argparse.Namespace) -> int:
    args.is_taken = args.source is not None
    config = _config(linkbert.TokenizerConfig, args)
    given = {"source": args.source, **_execution(args)}
    return _report(args, linkbert.tokenizer(args.corpora, config, **given))


def _segment(args: argparse.Namespace) -> int:
    config = _config(linkbert.SegmentConfig, args)
    return _report(args, linkbert.segment(args.corpus, config, **_execution(args)))


def _sample(args: argparse.Namespace) -> int:
    config = _config(linkbert.SampleConfig, args)
    return _report(args, linkbert.sample_pairs(args.corpora, args.out, config, **_execution(args)))


def _execution(args: argparse.Namespace) -> dict[str, Any]:
    """Return how a stage runs, as its function takes it."""
    return {name: getattr(args, name) for name in ("workers", "beam_args", "overwrite")}


def _pretrain(args: argparse.Namespace) -> int:
    result = linkbert.pretrain(
        Path(args.shards),
        Path(args.out),
        linkbert.load_config(args.config, args.overrides),
        seed=args.seed,
        init=args.init,
        overwrite=args.overwrite,
        quiet=args.quiet,
    )
    return _report(args, asdict(result))


def _export(args: argparse.Namespace) -> int:
    result = linkbert.export_model(
        Path(args.run), Path(args.out), checkpoint=args.checkpoint, overwrite=args.overwrite
    )
    return _report(args, asdict(result))


def _evaluate(args: argparse.Namespace) -> int:
    options = _config(linkbert.EvaluationOptions, args)
    return _report(args, linkbert.evaluate(args.kind, args.model, args.shards, options))


def _experiment(args: argparse.Namespace) -> int:
    config = linkbert.load_experiment(args.experiment)
    if args.pack:
        num_bytes = linkbert.pack(config.corpus, args.pack)
        return _report(args, {"packed": args.pack, "bytes": num_bytes})
    result = linkbert.run_experiment(config, args.out, overwrite=args.overwrite, quiet=args.quiet)
    return _report(args, result)


def _finetune(args: argparse.Namespace) -> int:
    if args.max_length is None:  # the paper's: 384 for questions, 128 for sentences
        args.max_length = 384 if args.task_kind == "qa" else 128
    args.seeds = args.seeds or [args.seed]
    options = _config(linkbert.FinetuneOptions, args)
    if args.overwrite and (Path(args.out) / "finetune.json").is_file():
        shutil.rmtree(args.out)
    place = args.model, args.data, Path(args.out)
    if args.task_kind == "classify":
        found = linkbert.finetune_classify(*place, options, args.task)
    elif args.task_kind == "tag":
        found = linkbert.finetune_tag(*place, options)
    else:
        found = linkbert.finetune_qa(*place, options)
    told = {name: value for name, value in found.items() if name != "settings"}
    return _report(args, told | {"results": str(Path(args.out) / "results.md")})


def _show(args: argparse.Namespace) -> int:
    print(linkbert.show_path(args.path, page=args.page, limit=args.limit))
    return 0


def _check(args: argparse.Namespace) -> int:
    report = linkbert.check_folder(args.path)
    _report(args, {name: value for name, value in asdict(report).items() if name != "problems"})
    for problem in report.problems:
        print(f"linkbert check: {problem}", file=sys.stderr)
    return 1 if report.problems else 0


def _report_html(args: argparse.Namespace) -> int:
    return _report(args, asdict(linkbert.write_report(args.path, args.out, args.around)))


def _run(args: argparse.Namespace) -> int:
    """Run all stages; each says in a moment when it has finished before."""
    from linkbert.cli.closing import closing_table

    config = linkbert.load_config(args.config, args.overrides)
    results: dict[str, dict[str, Any]] = {}
    for name, changes in _chain(args, Path(args.out), config.max_position_embeddings):
        _logger.info("%s", name)
        own = {"name": name, "results": results}
        _COMMANDS[name](argparse.Namespace(**vars(args) | changes | own))
    print(json.dumps(results, default=str) if args.json else closing_table(results))
    return 0


def _chain(
    args: argparse.Namespace, root: Path, max_length: int
) -> list[tuple[str, dict[str, Any]]]:
    """Return the stages with the arguments that `run` sets for each."""
    from schemas.tables.instances import NUM_SPECIAL_TOKENS

    corpus, shards, run, model = (str(root / name) for name in ("corpus", "shards", "run", "model"))
    vocab_size = args.vocab_size or (_DEMO_VOCAB_SIZE if args.config == "demo" else 30_000)
    cased = {"lowercase": False, "strip_accents": False, "source": None}
    return [
        ("parse", {"out": corpus}),
        ("graph", {"corpus": corpus}),
        ("tokenizer", {"corpora": [corpus], "vocab_size": vocab_size, **cased}),
        ("segment", {"corpus": corpus, "max_tokens": (max_length - NUM_SPECIAL_TOKENS) // 2}),
        ("sample", {"corpora": [corpus], "out": shards}),
        ("pretrain", {"shards": shards, "out": run, "init": None}),
        ("export", {"run": run, "out": model, "checkpoint": None}),
    ]


def _demo(args: argparse.Namespace) -> int:
    """Run the chain on the bundled dump, then show what came out."""
    from linkbert.inspection.show import show_pairs

    argv = ["run", str(_bundled_dump()), "--out", args.out, "--config", "demo"]
    # In so small a wiki few segments have a link of their own, and few articles are held out.
    argv += ["--epochs", "2", "--link-scope", "document", "--validation-fraction", "0.2"]
    run_args = build_parser().parse_args(argv)
    vars(run_args).update({**vars(args), "name": "run"})
    status = _run(run_args)
    if not args.json:
        print("\nthree pairs it trained on\n")
        print(show_pairs(Path(args.out) / "shards" / "train", one_of_each=True, max_chars=600))
    return status


def _bundled_dump() -> Path:
    """Return the dump that comes with the package: the Latgalian Wikipedia of September 2017."""
    return Path(__file__).parents[1] / "data" / "ltgwiki-2017-pages-articles.xml.bz2"


def _config(config_class: Callable[..., Any], args: argparse.Namespace) -> Any:
    """Build a stage's config from the options that bear the names of its fields."""
    names = {field.name for field in fields(config_class)}  # type: ignore[arg-type]
    given = {name: value for name, value in vars(args).items() if name in names}
    return config_class(**{n: tuple(v) if isinstance(v, list) else v for n, v in given.items()})


def _report(args: argparse.Namespace, result: dict[str, Any]) -> int:
    if "results" in args:  # `run` prints one table of all stages at its end
        args.results[args.name] = result
    elif args.json:
        print(json.dumps(result, ensure_ascii=False, default=str))
    else:
        told = {name: value for name, value in result.items() if name != "warnings"}
        print(rows_of(_flat(told)))
    return 0


def _flat(result: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in result.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name} ")
        else:
            shown = ", ".join(map(_short, value)) if isinstance(value, list) else value
            yield f"{prefix}{name}".replace("_", " "), shown


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "parse": _parse,
    "ingest": _ingest,
    "graph": _graph,
    "subset": _subset,
    "tokenizer": _tokenizer,
    "segment": _segment,
    "sample": _sample,
    "pretrain": _pretrain,
    "export": _export,
    "evaluate": _evaluate,
    "finetune": _finetune,
    "experiment": _experiment,
    "run": _run,
    "show": _show,
    "check": _check,
    "report": _report_html,
    "demo": _demo,
}


if __name__ == "__main__":
    sys.exit(main())
