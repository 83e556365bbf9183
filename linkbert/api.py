"""The stages up to the shards, and experiments, as functions: what the commands call.

The one module that knows both sides: `pipeline` up to the shards, `linkbert` from the shards on.
Each function takes paths and one plain config, runs or resumes the stage, and returns its summary:
rows in, rows out, drops by reason, the dict that `--json` prints. Beam and the parsers are imported
when a function runs, so importing this module costs nothing.

On a finished output a function says so in the log and returns the same summary. All of them raise
`schemas.errors.LinkBertError` with one line of cause and cure. They can be called from a script
without a main guard, from a notebook and from `python -c`.

    Execution: workers    processes of a local run; 0 means one per core
               beam_args  options for Beam, as after `--` on the command line
               overwrite  delete this stage's output first
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from linkbert.extras import FINETUNING, TRAINING, require

if TYPE_CHECKING:
    from linkbert.experiment.config import ExperimentConfig
    from linkbert.inspection.check import CheckReport
    from pipeline.download.config import DownloadConfig
    from pipeline.engine.stage import Stage
    from pipeline.graph.config import SubsetConfig
    from pipeline.ingest.config import IngestConfig
    from pipeline.parse.config import ParseConfig
    from pipeline.sample.config import SampleConfig
    from pipeline.segment.config import SegmentConfig
    from pipeline.tokenizer.config import TokenizerConfig

_logger = logging.getLogger(__name__)

AnyPath = str | os.PathLike[str]
"""A local path, or a string that begins with gs:// or s3://."""

Summary = dict[str, Any]
"""What a stage came to: counts that add up, with a list `warnings` where there is something odd."""


class Execution(TypedDict, total=False):
    """How a stage runs; nothing here changes a byte of what it writes."""

    workers: int
    beam_args: Sequence[str]
    overwrite: bool


def download(wiki: str, out: AnyPath, config: DownloadConfig | None = None) -> Summary:
    """Load the newest complete dump of a wiki; what was cut goes on where it was.

    Args:
        wiki: its database name, such as `simplewiki`.
        out: the folder to write.
        config: the date, the server, and whom the server may turn to.

    Raises:
        DumpError: there is no such dump, the disk is too small, or the files do not arrive whole.
    """
    from pipeline.download.config import DownloadConfig
    from pipeline.download.download import download as load

    return load(wiki, Path(out), config or DownloadConfig())


def parse(
    dumps: AnyPath | Sequence[AnyPath],
    out: AnyPath,
    config: ParseConfig | None = None,
    **execution: Unpack[Execution],
) -> Summary:
    """Read dumps into the tables pages, redirects and rejects of a corpus folder.

    Args:
        dumps: .xml, .bz2, .gz, .xz, .zst or .7z, one or several; globs, gs:// and s3:// too.
        out: the corpus folder to write.
        config: which namespaces, and limits of a page.
        **execution: see the module.

    Raises:
        DumpError: a file is missing, empty, cut off or no dump.
    """
    from pipeline.parse.config import ParseConfig
    from pipeline.parse.stage import PARSE

    return _run(PARSE, out, config or ParseConfig(), _paths(dumps), **execution)


def ingest(
    documents: AnyPath | Sequence[AnyPath],
    out: AnyPath,
    config: IngestConfig | None = None,
    *,
    redirects: Sequence[AnyPath] = (),
    **execution: Unpack[Execution],
) -> Summary:
    """Read any corpus of linked documents into the tables that `parse` writes.

    Args:
        documents: JSON lines, PubMed XML or plain text, as `config.format` says.
        out: the corpus folder to write.
        config: the format, and how titles are spelled.
        redirects: JSON lines of redirects.
        **execution: see the module.

    Raises:
        DumpError: a file is missing, nothing in it could be read, or redirects are none.
    """
    from pipeline.ingest.config import IngestConfig
    from pipeline.ingest.read import check_redirects
    from pipeline.ingest.stage import INGEST

    check_redirects([os.fspath(path) for path in _paths(redirects)])
    sources = [*_paths(documents), *_paths(redirects)]
    return _run(INGEST, out, config or IngestConfig(), sources, **execution)


def graph(corpus: AnyPath, **execution: Unpack[Execution]) -> Summary:
    """Resolve every title and redirect: nodes, edges, mentions, and the arrays of `LinkGraph`.

    Raises:
        StageError: the corpus has no finished pages and redirects.
    """
    from pipeline.graph.config import GraphConfig
    from pipeline.graph.stage import GRAPH

    return _run(GRAPH, corpus, GraphConfig(), **execution)


def subset(
    corpus: AnyPath, out: AnyPath, config: SubsetConfig, **execution: Unpack[Execution]
) -> Summary:
    """Write a smaller corpus grown along links around one title.

    Args:
        corpus: one with its graph.
        out: the corpus folder to write.
        config: the title, how many documents, and how they are chosen.
        **execution: see the module.

    Raises:
        GraphError: no such title, or fewer documents than wanted.
    """
    from pipeline.graph.subset import SUBSET

    return _run(SUBSET, out, config, [corpus], **execution)


def tokenizer(
    corpora: AnyPath | Sequence[AnyPath],
    config: TokenizerConfig | None = None,
    *,
    source: AnyPath | None = None,
    **execution: Unpack[Execution],
) -> Summary:
    """Train a WordPiece vocabulary on corpora, or take one; it is written to the first corpus.

    Args:
        corpora: corpus folders, one or several.
        config: the size of the vocabulary, and whether case and accents stay.
        source: a tokenizer.json, vocab.txt or Hugging Face folder to take instead of training.
        **execution: see the module.

    Raises:
        ConfigError: the config does not fit the source.
    """
    from pipeline.tokenizer.config import TokenizerConfig, TokenizerSources
    from pipeline.tokenizer.stage import TOKENIZER

    config = replace(config or TokenizerConfig(), is_taken=source is not None)
    folders = tuple(os.fspath(corpus) for corpus in _paths(corpora))
    sources = TokenizerSources(folders, None if source is None else os.fspath(source))
    return _run(TOKENIZER, folders[0], config, sources.paths(), **execution)


def segment(
    corpus: AnyPath, config: SegmentConfig | None = None, **execution: Unpack[Execution]
) -> Summary:
    """Cut pages into segments of token ids with the documents that each links to.

    Raises:
        StageError: the corpus has no graph or tokenizer, or a graph of other pages.
    """
    from pipeline.segment.config import SegmentConfig
    from pipeline.segment.stage import SEGMENT

    return _run(SEGMENT, corpus, config or SegmentConfig(), **execution)


def sample_pairs(
    corpora: AnyPath | Sequence[AnyPath],
    out: AnyPath,
    config: SampleConfig | None = None,
    **execution: Unpack[Execution],
) -> Summary:
    """Pair segments into sharded training data (LinkBERT, arXiv:2203.15827, sections 4.2, 4.3).

    Args:
        corpora: one or several that share a tokenizer; a further one may be named with its own
            kind of links, `books:none`.
        out: the shards folder to write: train, validation, validation_closed, tokenizer.
        config: the mix of relations, epochs, kind of links, weighting, what is held out.
        **execution: see the module.

    Raises:
        GraphError: no segment has a usable link, though linked pairs are wanted.
        StageError: a corpus is unfinished.
    """
    from pipeline.sample.config import SampleConfig
    from pipeline.sample.stage import SAMPLE

    return _run(SAMPLE, out, config or SampleConfig(), _paths(corpora), **execution)


def run_experiment(
    config: ExperimentConfig, out: AnyPath, *, overwrite: bool = False, quiet: bool = False
) -> Summary:
    """Train the arms of an experiment alike, compare them, and write its report; resumable.

    Its shards are sampled in this process, so it needs neither Beam nor the parsers.

    Args:
        config: what to compare, from `linkbert.load_experiment`; its corpus is a corpus folder up
            to `segment`, or a packed one.
        out: the folder to write.
        overwrite: discard what lies there.
        quiet: no progress lines.

    Raises:
        ModuleNotFoundError: a package that its end needs is not installed.
        StageError: the corpus is unfinished, or the folder holds another experiment.
    """
    from linkbert.experiment.corpora import prepare_corpora
    from linkbert.experiment.experiment import experiment
    from linkbert.experiment.pack import corpus_fingerprint
    from pipeline.engine.run import run_here
    from pipeline.engine.stage import Job
    from pipeline.sample.config import SampleConfig
    from pipeline.sample.stage import SAMPLE

    require(*TRAINING, "matplotlib", *(["sklearn"] if "tfidf" in config.arms else []))
    if config.ranking_pairs:
        require(*FINETUNING, "bm25s")
    config = prepare_corpora(config, Path(out), overwrite)

    def sample(source: str, shards: Path, options: dict[str, Any]) -> list[str]:
        found = run_here(Job(SAMPLE, str(shards), SampleConfig(**options), (source,)))
        return list(found.get("warnings", ()))

    return experiment(
        config,
        Path(out),
        sample,
        corpus_fingerprint=corpus_fingerprint(config.corpus),
        overwrite=overwrite,
        quiet=quiet,
    )


def run_control(out: AnyPath, *, overwrite: bool = False, quiet: bool = False) -> Summary:
    """Run the positive control: a made corpus where a linked partner must help; resumable.

    Args:
        out: the folder to write; the corpus lies beside it, in OUT.corpus.
        overwrite: discard what lies there.
        quiet: no progress lines.
    """
    from linkbert.experiment.control import (
        CONTROL_SEGMENTS,
        CONTROL_VOCABULARY,
        control_experiment,
        write_documents,
    )
    from pipeline.ingest.config import IngestConfig

    corpus = Path(f"{Path(out)}.corpus")
    documents = corpus / "documents.jsonl"
    if overwrite or not documents.is_file():
        write_documents(documents)
    ingest(documents, corpus, IngestConfig(format="jsonl"), overwrite=overwrite)
    graph(corpus, overwrite=overwrite)
    tokenizer(corpus, CONTROL_VOCABULARY, overwrite=overwrite)
    segment(corpus, CONTROL_SEGMENTS, overwrite=overwrite)
    config = control_experiment(str(corpus))
    return run_experiment(config, out, overwrite=overwrite, quiet=quiet)


def pack(corpus: AnyPath, file: AnyPath) -> int:
    """Write what an experiment needs of a corpus as one small file; return its bytes.

    Raises:
        StageError: the corpus is unfinished.
    """
    from linkbert.experiment.pack import pack_corpus

    return pack_corpus(os.fspath(corpus), os.fspath(file))


def check_folder(path: AnyPath) -> CheckReport:
    """Check every finished folder at or below a path, and make drawn tasks of a corpus again.

    Args:
        path: a table, corpus, shards, run or model folder, or one that holds several.

    Returns:
        What was looked at; its `problems` are empty where all is well.

    Raises:
        SchemaError: nothing of this project lies there.
    """
    from linkbert.inspection.check import check
    from linkbert.inspection.rederive import rederive

    path = Path(path)
    report = check(path)
    for identity in sorted(path.rglob("_state/parse/_plan.json")):
        if report.problems:
            break  # what is damaged proves nothing more
        again = rederive(identity.parents[2])
        report.num_rows_made_again += again.num_rows
        report.problems.extend(again.problems)
        for reason in again.skipped:
            _logger.warning("not compared with the dump: %s", reason)
    return report


def _run(
    stage: Stage[Any],
    root: AnyPath,
    config: Any,
    sources: Sequence[AnyPath] = (),
    **execution: Unpack[Execution],
) -> Summary:
    from pipeline.engine.run import run_job
    from pipeline.engine.stage import Job

    job = Job(stage, os.fspath(root), config, tuple(os.fspath(source) for source in sources))
    result = run_job(job, **execution)
    if result.was_finished:
        _logger.info("%s: already finished in %s", stage.name, job.root)
    for warning in result.summary.get("warnings", ()):
        _logger.warning("warning: %s", warning)
    return result.summary


def _paths(given: AnyPath | Sequence[AnyPath]) -> list[AnyPath]:
    return [given] if isinstance(given, str | os.PathLike) else list(given)
