"""Hand-made corpora for the tests of the graph: pages and redirects tables without a dump."""

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.engine.lifecycle import open_job, run_task, seal, tasks_of_phase
from pipeline.engine.outputs import part_name, part_writer, write_folder_manifest
from pipeline.engine.stage import Job, Stage
from pipeline.graph.config import GraphConfig
from pipeline.storage import files
from schemas.parquet import TABLES

ParsedPage = dict[str, Any]

# Small, so that every table has row groups to cross.
_ROWS_PER_GROUP = 3
_WRITER = Stage("parse", (), (), lambda job: {}, lambda job, records: {})


def link(target: str, kind: str = "body", namespace: int = 0, **more: Any) -> dict[str, Any]:
    """Return a link as pages holds it, without a place in the text."""
    values = {"start_char": None, "end_char": None, "target_fragment": None}
    return values | {
        "target_title": target,
        "target_namespace": namespace,
        "kind": kind,
        **more,
    }


def page(page_id: int, title: str, links: Any = (), **more: Any) -> ParsedPage:
    """Return a row of pages; a link may be given as its target alone."""
    return {
        "page_id": page_id,
        "title": title,
        "text": f"{title} is a page.",
        "is_disambiguation": False,
        "sections": [],
        "links": [link(each) if isinstance(each, str) else each for each in links],
        "categories": [],
        "revision_id": None,
        "timestamp": None,
        "source_key": None,
        **more,
    }


def redirect(page_id: int, title: str, target: str, **more: Any) -> dict[str, Any]:
    """Return a row of redirects."""
    return {
        "page_id": page_id,
        "title": title,
        "target_title": target,
        "target_fragment": None,
        "target_namespace": 0,
        "is_interwiki": False,
        **more,
    }


def write_corpus(root: Path, parts: list[list[ParsedPage]], redirects: Any = ()) -> Path:
    """Write a corpus whose pages table has the given parts."""
    job = Job(_WRITER, str(root), GraphConfig())
    tables = {"pages": parts, "redirects": [list(redirects)], "rejects": [[]]}
    for table, table_parts in tables.items():
        entries = []
        for index, rows in enumerate(table_parts):
            with part_writer(job, table, index) as writer:
                for start in range(0, len(rows), _ROWS_PER_GROUP):
                    group = rows[start : start + _ROWS_PER_GROUP]
                    writer.write(pa.Table.from_pylist(group, schema=TABLES[table]))
            entries.append(_entry(job, f"{table}/{part_name(index)}", len(rows)))
        rows_in = sum(len(rows) for rows in table_parts)
        record = {"counts": {}, "files": entries}
        write_folder_manifest(job, table, [record], table=table, rows_in=rows_in)
    seal(job.state_path(), {})
    files.write_json(job.state_path("_summary.json"), {})
    return root


def _entry(job: Job, name: str, num_rows: int) -> dict[str, Any]:
    num_bytes, sha256 = files.digest(job.path(name))
    return {"name": name, "num_rows": num_rows, "num_bytes": num_bytes, "sha256": sha256}


def run_some_tasks(job: Job, number: int) -> None:
    """Run so many tasks of a job, those of a phase backwards, and stop as if killed."""
    opened = open_job(job)
    records: dict[str, Any] = {}
    for phase in job.stage.phases:
        tasks = tasks_of_phase(opened, phase, records)
        records[phase.name] = [{}] * len(tasks)
        for task in reversed(tasks):
            if not number:
                return
            records[phase.name][task.index] = run_task(opened, phase, task)
            number -= 1


def tree_digest(root: Path) -> dict[str, str]:
    """Return the digest of every output file, by its path."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "_state" not in path.parts
    }
