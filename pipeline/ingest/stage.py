"""ingest: any corpus whose documents link to each other becomes the tables that `parse` writes.

    FILE... ──read──▶   pieces, CORPUS/rejects      jsonl, PubMed XML or plain text
            ──number──▶ CORPUS/redirects            ids become page ids, ids as targets titles
            ──write──▶  CORPUS/pages

Citations become links without a place in the text, as in BioLinkBERT (LinkBERT,
arXiv:2203.15827, section 6); text without links serves as BookCorpus does in section 5.1.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from pipeline.engine.outputs import first_row, sum_counts, write_folder_manifest
from pipeline.engine.stage import Job, Phase, Record, Records, Stage
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.number import (
    run_number,
    run_write,
    tasks_of_number,
    tasks_of_write,
)
from pipeline.ingest.read import input_paths, run_read, tasks_of_read
from pipeline.storage import files
from schemas.errors import DumpError
from schemas.manifest import Json

_FEW_CHARS = 500
"""Documents of plain text that are shorter on average are paragraphs, most likely."""

_LINK_FAULTS = (
    "link_outside_text",
    "link_without_target",
    "malformed_link",
    "title_too_long",
    "bad_id",
    "not_unicode",
)
"""Those that no well-made corpus has."""
_LINK_DROPS = ("link_not_exact", *_LINK_FAULTS, "citation_repeated", "citation_without_pmid")


def fingerprint_inputs(job: Job[IngestConfig]) -> dict[str, str]:
    """Return a digest of every input, under its number and name.

    Raises:
        DumpError: there is no input, or one is missing.
    """
    if not job.sources:
        raise DumpError("expected files to ingest, found none: name at least one")
    for source in job.sources:
        if kind := files.unreadable(source):
            advice = "save it to a file first, which can be read again after a stop"
            if kind == files.FOLDER:
                advice = f"name the files in it, such as {files.join(source, '*')}"
            raise DumpError(f"expected a file to ingest, found {kind} at {source}: {advice}")
        if not files.matching(source):
            raise DumpError(f"expected a file to ingest, found nothing at {source}: check the path")
    return {
        f"{number:05d} {PurePosixPath(path).name}": files.digest(path)[1]
        for number, path in enumerate(input_paths(job))
    }


def finish(job: Job[IngestConfig], records: Records) -> dict[str, Json]:
    """Write the manifests, delete the pieces and say what became of every record.

    Raises:
        DumpError: nothing at all could be read.
    """
    everything = [record for phase in records.values() for record in phase]
    counts = sum_counts(everything)
    if not counts["documents"]:
        found = "nothing"
        if counts["rejects"]:
            first = _first_reject(job, everything)
            found = f"only malformed records ({counts['rejects']:,}; {first})"
        raise DumpError(
            f"expected documents of format {job.config.format}, found {found}: "
            "name other files or choose another --format, with --overwrite"
        )
    drops = {name: counts[name] for name in ("deleted", "duplicate_id", "empty_text")}
    if counts["documents"] == sum(drops.values()):
        raise DumpError(
            f"expected documents with text, found {counts['documents']}, none of which is kept "
            f"({', '.join(f'{name} {n:,}' for name, n in drops.items() if n)}): name other files, "
            "with --overwrite"
        )
    lost_links = {name: counts.get(name, 0) for name in _LINK_DROPS if counts.get(name)}
    extra = {
        "siteinfo": {"dbname": "", "language": "", "generator": f"ingest {job.config.format}"},
        "retitled": counts["retitled"],
        "dangling_ids": counts["dangling_id"],
        "links_dropped": lost_links,
    }
    num_documents = counts["documents"]
    write_folder_manifest(
        job, "pages", everything, table="pages", rows_in=num_documents, drops=drops, extra=extra
    )
    write_folder_manifest(
        job, "redirects", everything, table="redirects", rows_in=counts["redirects"]
    )
    write_folder_manifest(job, "rejects", everything, table="rejects", rows_in=counts["rejects"])
    files.remove_tree(job.state_path("spill"))
    reasons = {
        name.removeprefix("rejected_"): count
        for name, count in counts.items()
        if name.startswith("rejected_")
    }
    summary = {
        "pages": num_documents - sum(drops.values()),
        "redirects": counts["redirects"],
        "rejects": counts["rejects"],
        "rejects_by_reason": reasons,
        **drops,
        "links": counts.get("links", 0),
        "links_dropped": lost_links,
        "retitled": counts["retitled"],
        "dangling_ids": counts["dangling_id"],
    }
    warnings = _warnings(job, everything, counts)
    return {**summary, "warnings": warnings} if warnings else summary


def _warnings(job: Job[IngestConfig], records: list[Record], counts: dict[str, int]) -> list[str]:
    """Return what is odd about documents that were read all the same."""
    found = []
    if counts["rejects"]:
        first = _first_reject(job, records)
        found.append(
            f"malformed records: {counts['rejects']:,}, {first}; "
            "`linkbert show CORPUS/rejects` shows all"
        )
    lost = {name: counts[name] for name in _LINK_FAULTS if counts.get(name)}
    if sum(lost.values()) > counts.get("links", 0):
        told = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in lost.items())
        found.append(
            f"most links were dropped ({told}): a link is an object with `target` or `target_id`, "
            "and with `start` and `end` in characters of its text, or neither"
        )
    mean = counts["characters"] / counts["documents"]
    if job.config.format == "text" and mean < _FEW_CHARS:
        found.append(
            f"{counts['documents']} documents of {mean:.0f} characters on average: a blank line "
            "ends a document, so leave none between the paragraphs of one"
        )
    return found


def _first_reject(job: Job[IngestConfig], records: list[Record]) -> str:
    row = first_row(job, "rejects", records)
    return f"the first of {row['source_path']} for {row['reason']} ({row['detail']})"


INGEST = Stage(
    name="ingest",
    phases=(
        Phase("read", tasks_of_read, run_read, unit="bytes"),
        Phase("number", tasks_of_number, run_number),
        Phase("write", tasks_of_write, run_write, unit="documents"),
    ),
    outputs=("pages", "redirects", "rejects"),
    fingerprint_inputs=fingerprint_inputs,
    finish=finish,
)
