"""The first stage: a MediaWiki dump becomes the tables pages, redirects and rejects.

    cut     one task per file    reads its header; cuts it into pieces if it cannot be split
    parse   one task per range   reads the pages that begin in it, writes part NNNNN of each table

The tables hold the pages in the order of the dump. The stage fails unless the pages read equal
those kept plus those dropped, by reason, and every page was read by exactly one range.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import chain
from typing import Any

from pipeline.engine.outputs import (
    first_row,
    part_name,
    part_writer,
    write_folder_manifest,
)
from pipeline.engine.stage import Job, Phase, Record, Records, Stage, Task
from pipeline.parse.config import ParseConfig
from pipeline.parse.counts import PageCounts, by_kind
from pipeline.parse.guards import CpuLimit, crash_notes, find_crashing
from pipeline.parse.header import header_language, licence_of, parse_siteinfo
from pipeline.parse.page_xml import LEFT_OUT
from pipeline.parse.pieces import (
    gathered,
    named,
    piece_bytes,
    piece_path,
    read_piece,
    read_source,
    split_into_pieces,
    until_cut_off,
)
from pipeline.parse.sorter import PageSorter
from pipeline.parse.sources import (
    date_in_name,
    file_name,
    fingerprint,
    inspect_source,
    ranges_of,
    source_paths,
)
from pipeline.parse.splitter import PageSplitter, RangeFacts, check_chain
from pipeline.storage import files
from pipeline.storage.bz2_ranges import read_blocks
from pipeline.storage.decompress import read_plain
from pipeline.wiki.languages import is_known_language
from pipeline.wiki.site_info import SiteInfo, default_site
from pipeline.wikitext.templates.rules import rules_of
from schemas.errors import DumpError
from schemas.parquet import TableWriter

TABLES = ("pages", "redirects", "rejects")

_SITE_NAME = "site.json"
# Facts in the manifest of pages that the summary leaves out.
_NOT_TOLD = ("siteinfo", "templates_dropped")


def fingerprint_dumps(job: Job[ParseConfig]) -> dict[str, str]:
    """Return a digest of each file of the dump.

    Raises:
        DumpError: one is missing, empty, not a dump, or cut off.
    """
    found = {}
    for index, path in enumerate(source_paths(job.sources)):
        inspect_source(path, job.config.allow_truncated)
        found[f"{index:03d} {file_name(path)}"] = fingerprint(path)
    return found


def tasks_of_cut(job: Job[ParseConfig], records: Records) -> list[Task]:
    """Make one task per file."""
    return [
        Task(index, {"path": path}, weight=files.size(path))
        for index, path in enumerate(source_paths(job.sources))
    ]


def run_cut(job: Job[ParseConfig], task: Task) -> Record:
    """Read the header of a file; cut the file into pieces if it cannot be split."""
    source = inspect_source(task.args["path"], job.config.allow_truncated)
    site = parse_siteinfo(source.head, job.config.language)
    record: Record = {
        "counts": {},
        "files": {},
        "num_bytes": source.num_bytes,
        "compression": source.compression,
        "site": None if site is None else site.to_json(),
        "language": header_language(source.head),
        "pieces": None,
    }
    if not source.is_splittable:
        folder = _piece_folder(task.index)
        xml = read_source(source)
        if job.config.allow_truncated:
            xml = until_cut_off(xml)
        record["pieces"] = split_into_pieces(xml, job.path(folder), piece_bytes(source))
        record["files"] = {piece_path(folder, k): 0 for k in range(len(record["pieces"]))}
    return record


def _piece_folder(source_index: int) -> str:
    return f"_state/parse/pieces/{source_index:05d}"


@dataclass(frozen=True, slots=True)
class RangeArgs:
    """The arguments of a task on bytes [start, end) of a file that can be split."""

    source: int
    path: str
    compression: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class PieceArgs:
    """The arguments of a task on one of the pieces into which a file was cut."""

    source: int
    path: str
    piece: int
    num_pieces: int


def _args_of(task: Task) -> RangeArgs | PieceArgs:
    return PieceArgs(**task.args) if "piece" in task.args else RangeArgs(**task.args)


def tasks_of_parse(job: Job[ParseConfig], records: Records) -> list[Task]:
    """Make one task per byte range or piece, in the order of the dump; record the wiki for all."""
    cut = records["cut"]
    files.write_json(job.state_path(_SITE_NAME), choose_site(cut, job.config.language).to_json())
    total_bytes = sum(record["num_bytes"] for record in cut)
    tasks: list[Task] = []
    for path, record in zip(source_paths(job.sources), cut, strict=True):
        source, lengths = record["index"], record["pieces"]
        if lengths is None:
            for start, end in ranges_of(record["num_bytes"], total_bytes):
                args = RangeArgs(source, path, record["compression"], start, end)
                tasks.append(Task(len(tasks), asdict(args), weight=end - start))
        else:
            for piece, length in enumerate(lengths):
                cut_args = PieceArgs(source, path, piece, len(lengths))
                tasks.append(Task(len(tasks), asdict(cut_args), weight=length))
    return tasks


def choose_site(cut: list[Record], language: str | None) -> SiteInfo:
    """Return the wiki of a dump from the headers of its files, some of which may have none.

    Raises:
        DumpError: the files are of different wikis.
    """
    sites = [SiteInfo.from_json(record["site"]) for record in cut if record["site"] is not None]
    names = sorted({site.dbname for site in sites if site.dbname})
    if len(names) > 1:
        raise DumpError(
            f"expected the dump of one wiki, found files of {', '.join(names)}: "
            "parse each into a folder of its own"
        )
    if sites:
        return sites[0]
    declared = language or next((record["language"] for record in cut if record["language"]), None)
    return default_site() if declared is None else SiteInfo(language=declared)


def run_parse(job: Job[ParseConfig], task: Task) -> Record:
    """Read the pages that begin in one range and write its part of each table."""
    with ExitStack() as stack:
        notes = stack.enter_context(crash_notes(job.state_path("running", f"{task.index:05d}")))
        crashing = frozenset[int]()
        if notes.suspect is not None:
            crashing = find_crashing(partial(try_pages, job, task), notes.suspect)
        writers = {
            table: stack.enter_context(part_writer(job, table, task.index)) for table in TABLES
        }
        splitter, sorter = _open_task(job, task, writers, stack, crashing)
        for raw in splitter.pages():
            notes.note(raw.offset)
            sorter.add(raw)
        sorter.flush()
        rows = {table: writer.num_rows for table, writer in writers.items()}
    return {
        "counts": sorter.counts.to_json(),
        "files": {files.join(table, part_name(task.index)): rows[table] for table in TABLES},
        "source": task.args["source"],
        "facts": asdict(splitter.facts),
        "last_timestamp": sorter.last_timestamp,
    }


def try_pages(job: Job[ParseConfig], task: Task, start: int) -> None:
    """Sort a task's pages from an offset on, without output; print each offset beforehand."""
    with ExitStack() as stack:
        nowhere = stack.enter_context(open(os.devnull, "wb"))
        writers = {
            table: stack.enter_context(closing(TableWriter(nowhere, table))) for table in TABLES
        }
        splitter, sorter = _open_task(job, task, writers, stack)
        for raw in splitter.pages():
            if raw.offset >= start:
                print(raw.offset, flush=True)
                sorter.add(raw)


def _open_task(
    job: Job[ParseConfig],
    task: Task,
    writers: dict[str, TableWriter],
    stack: ExitStack,
    crashing: frozenset[int] = frozenset(),
) -> tuple[PageSplitter, PageSorter]:
    site = _site(files.read_bytes(job.state_path(_SITE_NAME)))
    args = _args_of(task)
    splitter = PageSplitter(*_open_range(job, args, stack), job.config.max_page_bytes)
    name = file_name(args.path)
    limit = stack.enter_context(CpuLimit(job.config.page_cpu_seconds))
    rules = rules_of(site.language, job.config.templates)
    return splitter, PageSorter(
        site, job.config.namespaces, name, writers, limit, crashing=crashing, rules=rules
    )


@lru_cache(maxsize=1)
def _site(record: bytes) -> SiteInfo:
    """Return the same object for all tasks of a process, because targets are cached by site."""
    return SiteInfo.from_json(json.loads(record))


def _open_range(
    job: Job[ParseConfig], args: RangeArgs | PieceArgs, stack: ExitStack
) -> tuple[Iterator[bytes], Iterator[bytes]]:
    """Return the XML that a range or piece owns, and the XML after it."""
    if isinstance(args, PieceArgs):
        folder = job.path(_piece_folder(args.source))
        paths = [piece_path(folder, index) for index in range(args.piece, args.num_pieces)]
        return read_piece(paths[0]), chain.from_iterable(map(read_piece, paths[1:]))
    file = stack.enter_context(files.open_read(args.path))
    read = read_blocks if args.compression == "bz2" else read_plain
    owned, after = read(file, args.start, args.end), read(file, args.end)
    if job.config.allow_truncated:
        owned, after = until_cut_off(owned), until_cut_off(after)
    return gathered(named(args.path, owned)), gathered(named(args.path, after))


def finish_parse(job: Job[ParseConfig], records: Records) -> dict[str, Any]:
    """Check that nothing was lost, write the manifests and return the summary."""
    names = [file_name(path) for path in source_paths(job.sources)]
    parse = records["parse"]
    counts = PageCounts.total(record["counts"] for record in parse)
    pages = counts.summary()
    _check_found(job, parse, pages, names)
    extra = _describe(job, records, names, counts)
    for index, name in enumerate(names):
        facts = [RangeFacts(**record["facts"]) for record in parse if record["source"] == index]
        extra["loose_ends"] += check_chain(facts, name)
    _write_manifests(job, parse, pages, extra)
    files.remove_tree(job.state_path("pieces"))
    told = {**pages, **{name: extra[name] for name in extra if name not in _NOT_TOLD}}
    warnings = _warnings(job, parse, pages, SiteInfo.from_json(extra["siteinfo"]))
    return {**told, "warnings": warnings} if warnings else told


def _check_found(
    job: Job[ParseConfig], parse: list[Record], pages: dict[str, Any], names: list[str]
) -> None:
    """Refuse a dump from which nothing is kept.

    Raises:
        DumpError: it has no pages, no text, or no page in the namespaces.
    """
    where = names[0] if len(names) == 1 else f"{len(names)} files from {names[0]} on"
    if not pages["pages_read"]:
        raise DumpError(f"expected pages, found a dump without any in {where}: get it anew")
    if pages["rejected"].get(LEFT_OUT, 0) > pages["pages"] + pages["redirects"]:
        raise DumpError(
            f"expected pages with their text, found a stub dump without it in {where}: "
            "use the pages-articles dump"
        )
    if not pages["pages"]:
        spaces = ", ".join(f"{space}: {n}" for space, n in pages["other_namespaces"].items())
        rejected = f", {_first_reject(job, parse)}" if pages["rejected"] else ""
        raise DumpError(
            f"expected articles in the namespaces {', '.join(map(str, job.config.namespaces))}, "
            f"found none among {pages['pages_read']} pages of {where} ({pages['redirects']} "
            f"redirects, namespaces {spaces or 'none'}{rejected}): "
            "choose others with --namespaces, or another dump"
        )


def _warnings(
    job: Job[ParseConfig], parse: list[Record], pages: dict[str, Any], site: SiteInfo
) -> list[str]:
    """Return what is odd about a dump that could be read nevertheless."""
    found = []
    unknown = [n for n in job.config.namespaces if n and n not in site.namespace_names]
    if site.namespace_names and unknown:
        found.append(
            f"the wiki has no namespace {', '.join(map(str, unknown))}: its own are "
            + ", ".join(map(str, sorted(site.namespace_names)))
        )
    language = job.config.language
    if language and not is_known_language(language):
        found.append(
            f"the language {language} is not known: the names and rules of English are used; "
            "see https://www.mediawiki.org/wiki/Manual:Language for the codes"
        )
    if num_rejects := sum(pages["rejected"].values()):
        found.append(f"{num_rejects} of {pages['pages_read']} pages {_first_reject(job, parse)}")
    return found


def _first_reject(job: Job[ParseConfig], parse: list[Record]) -> str:
    """Say why the first rejected page was rejected, and how to see the others."""
    row = first_row(job, "rejects", parse)
    title = f" of {row['title']!r}" if row["title"] else ""
    return (
        f"rejected, the first{title} as {row['reason']} ({row['detail']}): "
        "`linkbert show CORPUS/rejects` shows all"
    )


def _describe(
    job: Job[ParseConfig], records: Records, names: list[str], counts: PageCounts
) -> dict[str, Any]:
    """Return what the manifest of pages says beyond rows and drops."""
    sites = [record["site"] for record in records["cut"] if record["site"]]
    address = next((site["base_url"] for site in sites if site["base_url"]), "")
    last = max(record["last_timestamp"] for record in records["parse"])
    date = max(filter(None, map(date_in_name, names)), default=last[:10])
    return {
        "siteinfo": json.loads(files.read_bytes(job.state_path(_SITE_NAME))),
        "dumps": names,
        "dump_date": date,
        "licence": licence_of(address, date),
        "links": by_kind(counts.links),
        "links_dropped": by_kind(counts.links_dropped),
        "templates_dropped": counts.most_dropped(),
        "older_revisions": counts.older_revisions,
        "pages_without_id": counts.without_id,
        "loose_ends": 0,
    }


def _write_manifests(
    job: Job[ParseConfig], parse: list[Record], pages: dict[str, Any], extra: dict[str, Any]
) -> None:
    drops = {
        "redirect": pages["redirects"],
        **{f"namespace_{space}": n for space, n in pages["other_namespaces"].items()},
        **{f"model_{model}": n for model, n in pages["other_models"].items()},
        **{f"rejected_{reason}": n for reason, n in pages["rejected"].items()},
    }
    rows_in = {
        "pages": pages["pages_read"],
        "redirects": pages["redirects"],
        "rejects": sum(pages["rejected"].values()),
    }
    for table in TABLES:
        write_folder_manifest(
            job,
            table,
            parse,
            table=table,
            rows_in=rows_in[table],
            drops=drops if table == "pages" else None,
            extra=extra if table == "pages" else None,
        )


PARSE = Stage(
    name="parse",
    phases=(
        Phase("cut", tasks_of_cut, run_cut, unit="bytes"),
        Phase("parse", tasks_of_parse, run_parse, unit="bytes"),
    ),
    outputs=TABLES,
    fingerprint_inputs=fingerprint_dumps,
    finish=finish_parse,
)
