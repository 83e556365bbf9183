"""The entry point of the command line, and what each command does.

Each command is a thin call to the function of `linkbert` that does the same from Python. Results
go to stdout, log and progress to stderr. The exit status is 0, 1 after an error (reported in one
line with cause and cure), or 2 for wrong usage. Arguments after `--` go to Beam untouched. Heavy
packages are imported by the command that needs them, so `linkbert --help` answers at once.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import linkbert
from linkbert import api
from linkbert.cli.chain import demo, demo_argv, execution_of, pretrain_with_log, run
from linkbert.cli.fields import config_of
from linkbert.cli.given import check_given, check_packages
from linkbert.cli.help import refuse_strange_options, refuse_strange_words
from linkbert.cli.live_line import LiveLine, is_live
from linkbert.cli.options import build_parser
from linkbert.cli.results import print_result
from linkbert.extras import missing_extra
from linkbert.inspection.terminal import printable
from pipeline.download.config import DownloadConfig
from schemas.errors import ConfigError, LinkBertError

Result = Mapping[str, Any] | int | None
"""What a command returns: a result to print, or the exit status if it has printed by itself."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    if sys.stdout is None:
        # The next file to be opened would get its descriptor, and printing would overwrite it.
        print("linkbert: expected an open standard output, found it closed", file=sys.stderr)
        return 1
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()  # also for help and completion, which exit
    except BrokenPipeError:
        # The reader stopped reading, as `| head` does.
        _discard_output()
        return 0
    except OSError as error:
        _discard_output()
        print(f"linkbert: expected to write the result, found {error}", file=sys.stderr)
        return 1


_START_ANEW = ("show", "check", "report", "evaluate", "doctor")
"""Commands that keep nothing of what they had done when they are stopped."""


def _discard_output() -> None:
    """Keep Python from reporting again at exit that the output cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(argv: Sequence[str] | None) -> int:
    own, beam_args = _split_beam_args(list(sys.argv[1:] if argv is None else argv))
    parser = build_parser()
    refuse_strange_words(parser, own)
    args, unknown = parser.parse_known_args(own)
    refuse_strange_options(parser, args.name, unknown)
    args.beam_args = beam_args
    # No process started here imports modules from the current folder.
    os.environ["PYTHONSAFEPATH"] = "1"
    handler = _configure_logging(args.quiet)
    try:
        try:
            check_given(args)
            check_packages(args)
            with _reading(args):
                result = _command_of(args)(args)
                if isinstance(result, Mapping):
                    print_result(args, result)
        finally:
            if isinstance(handler, LiveLine):
                handler.clear()
        return result if isinstance(result, int) else 0
    except LinkBertError as error:
        return _fail(args, error, _one_line(str(error)))
    except ModuleNotFoundError as error:
        message = missing_extra(error)
        if message is None:
            raise
        return _fail(args, error, message)
    except BrokenPipeError:
        raise
    except ValueError as error:
        if not type(error).__module__.startswith("pyarrow"):
            raise
        message = f"expected intact Parquet files, found a damaged one ({error}): "
        message += "find it with `linkbert check`, then copy or make it again"
        return _fail(args, error, message)
    except OSError as error:
        return _fail(args, error, f"{error}: check the path, permissions and free disk space")
    except KeyboardInterrupt as stop:
        aim = "start anew" if args.name in _START_ANEW else "resume"
        _fail(args, None, str(stop) or f"stopped; run the same command again to {aim}")
        return int(getattr(stop, "status", 128 + signal.SIGINT))


def _reading(args: argparse.Namespace) -> AbstractContextManager[None]:
    """Blame the input folder for failures of a command that only reads one."""
    folder = {"show": "path", "report": "path", "export": "run"}.get(args.name)
    if folder is None or args.debug:
        return nullcontext()
    from linkbert.inspection.damage import blamed_on

    return blamed_on(getattr(args, folder))


def _command_of(args: argparse.Namespace) -> Callable[[argparse.Namespace], Result]:
    if not getattr(args, "estimate", False):
        return _COMMANDS[args.name]
    from linkbert.cli.estimate import estimate

    return estimate


def _split_beam_args(argv: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in argv:
        return argv, []
    at = argv.index("--")
    return argv[:at], argv[at + 1 :]


def _configure_logging(quiet: bool) -> logging.Handler:
    """Send the log to stderr; on a terminal, show progress as one changing line."""
    live = is_live(sys.stderr) and not quiet
    handler = LiveLine(sys.stderr) if live else logging.StreamHandler(sys.stderr)
    # Beam's file systems log tracebacks through the root logger before they raise.
    handler.addFilter(lambda record: f"{os.sep}apache_beam{os.sep}" not in record.pathname)
    logging.basicConfig(handlers=[handler], format="%(message)s", level=logging.ERROR)
    # Beam logs tracebacks of errors that are reported here in one line.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    for name in ("linkbert", "pipeline", "schemas"):
        logging.getLogger(name).setLevel(logging.ERROR if quiet else logging.INFO)
    logging.getLogger("schemas.progress").setLevel(logging.DEBUG if live else logging.NOTSET)
    return handler


def _fail(args: argparse.Namespace, error: Exception | None, message: str) -> int:
    if args.debug and error is not None:
        raise error
    print(f"linkbert {args.name}: {printable(message)}", file=sys.stderr)
    return error.exit_status if isinstance(error, LinkBertError) else 1


def _one_line(message: str) -> str:
    """Drop what Beam appends to an error's message.

    >>> _one_line("expected a dump, found none [while running 'OpenJob']")
    'expected a dump, found none'
    """
    return re.sub(r" \[while running .*", "", message, flags=re.DOTALL).replace("\n", " ")


def _download(args: argparse.Namespace) -> Result:
    return api.download(args.wiki, args.out or args.wiki, config_of(DownloadConfig, args))


def _parse(args: argparse.Namespace) -> Result:
    config = config_of(linkbert.ParseConfig, args)
    return linkbert.parse(args.dumps, args.out, config, **execution_of(args))


def _ingest(args: argparse.Namespace) -> Result:
    config = config_of(linkbert.IngestConfig, args)
    redirects = args.redirects
    return linkbert.ingest(
        args.documents, args.out, config, redirects=redirects, **execution_of(args)
    )


def _graph(args: argparse.Namespace) -> Result:
    return linkbert.graph(args.corpus, **execution_of(args))


def _subset(args: argparse.Namespace) -> Result:
    config = config_of(linkbert.SubsetConfig, args)
    return linkbert.subset(args.corpus, args.out, config, **execution_of(args))


def _tokenizer(args: argparse.Namespace) -> Result:
    config = config_of(linkbert.TokenizerConfig, args)
    return linkbert.tokenizer(args.corpora, config, source=args.source, **execution_of(args))


def _segment(args: argparse.Namespace) -> Result:
    config = config_of(linkbert.SegmentConfig, args)
    return linkbert.segment(args.corpus, config, **execution_of(args))


def _sample(args: argparse.Namespace) -> Result:
    config = config_of(linkbert.SampleConfig, args)
    return linkbert.sample_pairs(args.corpora, args.out, config, **execution_of(args))


def _pretrain(args: argparse.Namespace) -> Result:
    logged = [] if args.log is None else [f"log={args.log}"]
    config = linkbert.load_config(args.config, [*args.overrides, *logged])
    return asdict(pretrain_with_log(Path(args.shards), Path(args.out), config, args))


def _export(args: argparse.Namespace) -> Result:
    options = ("checkpoint", "cut_vocabulary", "overwrite")
    given = {name: getattr(args, name) for name in options}
    return asdict(linkbert.export_model(Path(args.run), Path(args.out), **given))


def _evaluate(args: argparse.Namespace) -> Result:
    options = config_of(linkbert.EvaluationOptions, args)
    return linkbert.evaluate(args.kind, args.model, args.shards, options)


def _experiment(args: argparse.Namespace) -> Result:
    given = {"overwrite": args.overwrite, "quiet": args.quiet}
    if args.control:
        if args.pack:
            raise ConfigError("expected FILE.toml with --pack, found --control: name a file")
        return api.run_control(args.out, **given)
    config = linkbert.load_experiment(args.experiment)
    if args.pack:
        from linkbert.experiment.corpora import prepare_corpora  # needs only what packing needs

        num_bytes = linkbert.pack(prepare_corpora(config, Path(args.out)).corpus, args.pack)
        return {"packed": args.pack, "bytes": num_bytes}
    return linkbert.run_experiment(config, args.out, **given)


def _finetune(args: argparse.Namespace) -> Result:
    from linkbert.finetuning import finetune
    from linkbert.finetuning.options import usual_length

    length = args.max_length or usual_length(args.task_kind)
    seeds = tuple(args.seeds or [args.seed])
    found = finetune(
        args.task_kind,
        args.model,
        args.data,
        Path(args.out),
        options=config_of(linkbert.FinetuneOptions, args, max_length=length, seeds=seeds),
        task=args.task,
        overwrite=args.overwrite,
    )
    shown = {name: value for name, value in found.items() if name != "settings"}
    return shown | {"results": str(Path(args.out) / "results.md")}


def _show(args: argparse.Namespace) -> Result:
    from linkbert.inspection.data import pair_lines, show_data

    if args.templates:
        from linkbert.inspection.show_templates import dropped_templates, show_templates

        if args.json:
            return dropped_templates(args.path)
        print(show_templates(args.path, args.limit))
    elif args.jsonl:
        for pair in pair_lines(args.path):
            print(json.dumps(pair, ensure_ascii=False))
    elif args.json:
        return show_data(args.path, page=args.page, limit=args.limit)
    else:
        print(linkbert.show_path(args.path, page=args.page, limit=args.limit))
    return None


def _check(args: argparse.Namespace) -> Result:
    report = linkbert.check_folder(args.path)
    print_result(args, {name: n for name, n in asdict(report).items() if name != "problems"})
    for problem in report.problems:
        print(f"linkbert check: {printable(problem)}", file=sys.stderr)
    return 1 if report.problems else 0


def _report(args: argparse.Namespace) -> Result:
    return asdict(linkbert.write_report(args.path, args.out, args.around))


def _push(args: argparse.Namespace) -> Result:
    from linkbert.export.push import push

    return asdict(push(args.folder, args.repo_id, private=args.private))


def _doctor(args: argparse.Namespace) -> Result:
    from linkbert.cli.doctor import examine

    found, advice = examine(Path.cwd())
    if args.json:
        return found | {"to_mend": advice}
    print_result(args, found)
    print("\n".join(f"- {line}" for line in advice or ["nothing to mend"]))
    return None


def _demo(args: argparse.Namespace) -> None:
    demo(args, build_parser().parse_args(demo_argv(args.out)))


_COMMANDS: dict[str, Callable[[argparse.Namespace], Result]] = {
    "download": _download,
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
    "run": run,
    "show": _show,
    "check": _check,
    "report": _report,
    "push": _push,
    "doctor": _doctor,
    "demo": _demo,
}
