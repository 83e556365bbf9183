"""Check a folder: compare every manifest below it with the files that it names.

For each manifest this checks the schema version, its own digest, the presence, size and SHA-256 of
each file, the schema of the table, that row counts add up, rules for single rows, and that the
folders it was made from are still the ones beside it; for shards also what
`linkbert/inspection/check_shards.py` says. Files that no manifest names are compared with a seal.
Each problem says where it is. What can only be checked by running a stage again is in
`linkbert/inspection/rederive.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from linkbert.inspection.check_shards import shard_problems
from schemas.errors import SchemaError
from schemas.manifest import (
    MANIFEST_NAME,
    SEAL_NAME,
    STAGES_WITH_NOTES,
    FileEntry,
    Manifest,
    encode_json,
    missing_note,
    read_manifest,
)
from schemas.model_folder import sha256_of
from schemas.parquet import check_schema
from schemas.tables import mentions as mentions_table
from schemas.tables import pages as pages_table
from schemas.tables.segments import TOKEN_DTYPE_KEY


@dataclass(slots=True)
class CheckReport:
    """What was looked at and what was found wrong."""

    num_folders: int = 0
    num_files: int = 0
    num_rows: int = 0
    num_rows_made_again: int = 0
    problems: list[str] = field(default_factory=list)


def check(path: Path) -> CheckReport:
    """Check every finished folder at or below a path.

    Raises:
        SchemaError: there is no manifest below it.
    """
    manifests = sorted(path.rglob(MANIFEST_NAME)) if path.is_dir() else []
    if not manifests:
        raise SchemaError(
            f"expected a folder with a {MANIFEST_NAME} at or below it, found none in {path}: "
            "name the folder a stage wrote"
        )
    report = CheckReport(num_folders=len(manifests))
    read: dict[Path, Manifest] = {}
    for folder in (manifest_path.parent for manifest_path in manifests):
        try:
            read[folder] = read_manifest(folder)
            _check_files(folder, read[folder], report)
        except SchemaError as error:
            report.problems.append(str(error))
    for folder, manifest in read.items():
        report.problems.extend(_chain_problems(folder, manifest, read))
    if not report.problems:  # this reads rows without checking them again
        report.problems.extend(_shard_problems(read))
    report.problems.extend(_missing_notes(read))
    report.problems.extend(_parts_without_manifest(path))
    for seal in sorted(path.rglob(SEAL_NAME)):
        report.problems.extend(_seal_problems(seal, report))
    return report


def _missing_notes(read: dict[Path, Manifest]) -> Iterator[str]:
    """Name the stages whose tables are here, but not the notes of their end, or not their seal.

    A packed corpus consists of tables alone.
    """
    stages = {
        (folder.parent / "_state", manifest.stage)
        for folder, manifest in read.items()
        # A run and a model have their notes elsewhere, whatever corpus is beside them.
        if manifest.stage not in ("pretrain", "export")
    }
    for state, stage in sorted(stages):
        missing = missing_note(str(state.parent), stage)
        if missing:
            yield f"expected {missing}, found none: run `linkbert {stage}` again with --overwrite"
    for folder, manifest in read.items():
        if manifest.stage == "pretrain" and not (folder / SEAL_NAME).is_file():
            yield (
                f"expected {folder / SEAL_NAME} in the run, found none: its notes may have been "
                "changed"
            )


def _parts_without_manifest(path: Path) -> Iterator[str]:
    """Name folders of tables, arrays or a tokenizer, and empty ones, that lack a manifest."""
    folders = {file.parent for kind in ("part-*", "*.npy") for file in path.rglob(kind)}
    folders |= {
        file.parent
        for file in path.rglob("tokenizer/tokenizer.json")
        if (file.parent.parent / "_state").is_dir()
    }
    folders |= {
        folder
        for state in path.rglob("_state")
        for folder in state.parent.iterdir()
        if folder.is_dir() and not any(folder.iterdir())
    }
    for folder in sorted(folders):
        is_scratch = any(name.startswith(("_", ".")) for name in folder.relative_to(path).parts)
        if not is_scratch and not (folder / MANIFEST_NAME).is_file():
            yield (
                f"expected {MANIFEST_NAME} beside the files in {folder}, found none: run the stage "
                "that writes it to its end"
            )


def _seal_problems(seal: Path, report: CheckReport) -> Iterator[str]:
    """Name the notes that have changed since the stage or run was finished."""
    data = seal.read_bytes()
    try:
        digests = dict(json.loads(data))
    except (ValueError, TypeError) as error:
        yield f"expected the digests of the notes beside it, found damage in {seal} ({error})"
        return
    if data != encode_json(digests) + b"\n":
        yield f"expected the seal that was written, found it changed in {seal}"
    for name, digest in digests.items():
        path = seal.parent / name
        report.num_files += 1
        if not path.is_file():
            yield f"expected the file {path} that {seal} names, found none"
            continue
        found = sha256_of(path)
        if found != digest:
            yield f"expected SHA-256 {str(digest)[:12]} by {seal}, found {found[:12]} in {path}"


def _shard_problems(read: dict[Path, Manifest]) -> Iterator[str]:
    """Check the instances of each shards folder together."""
    instances = {path: found for path, found in read.items() if found.table == "instances"}
    for root in sorted({path.parent for path in instances}):
        yield from shard_problems(
            {path: found for path, found in instances.items() if path.parent == root}
        )


def _check_files(folder: Path, manifest: Manifest, report: CheckReport) -> None:
    for entry in manifest.files:
        report.num_files += 1
        report.num_rows += entry.num_rows
        problem = _file_problem(folder / entry.name, entry) or _table_problem(
            folder / entry.name, manifest, entry
        )
        if problem:
            report.problems.append(problem)
    report.problems.extend(_manifest_problems(folder, manifest))


def _file_problem(path: Path, entry: FileEntry) -> str | None:
    if path.is_symlink():
        return f"expected the file {path}, found a link to another place: copy the file itself"
    if not path.is_file():
        return f"expected the file {path}, found none: make the folder again (--overwrite)"
    found = path.stat().st_size
    if found != entry.num_bytes:
        return f"expected {entry.num_bytes:,} bytes, found {found:,} in {path}"
    digest = sha256_of(path)
    if digest != entry.sha256:
        return f"expected SHA-256 {entry.sha256[:12]}, found {digest[:12]} in {path}"
    return None


def _table_problem(path: Path, manifest: Manifest, entry: FileEntry) -> str | None:
    if not manifest.table:
        return None
    with pq.ParquetFile(path) as file:
        check_schema(file.schema_arrow, manifest.table, str(path))
        if file.metadata.num_rows != entry.num_rows:
            return f"expected {entry.num_rows} rows, found {file.metadata.num_rows} in {path}"
        rule = _ROW_RULES.get(manifest.table)
        for batch in file.iter_batches(8192, use_threads=False) if rule else ():
            problem = rule(batch, file.schema_arrow) if rule else None
            if problem:
                return f"{problem} in {path}"
    return None


def _manifest_problems(folder: Path, manifest: Manifest) -> Iterator[str]:
    rows_out = sum(entry.num_rows for entry in manifest.files)
    lost = sum(manifest.drops.values())
    if manifest.table and (manifest.rows_out != rows_out or manifest.rows_in != rows_out + lost):
        yield (
            f"expected rows in = rows out + drops, found {manifest.rows_in} in, {rows_out} out and "
            f"{lost} dropped in {folder}"
        )
    if manifest.stage in STAGES_WITH_NOTES:
        named = {entry.name for entry in manifest.files}
        for stray in sorted(path.name for path in folder.iterdir()):
            # Leftovers of a killed writer begin with a dot, and no reader opens them.
            if stray not in named and stray[0] != "." and stray != MANIFEST_NAME:
                yield f"expected only the files of the manifest, found {stray} in {folder}"


def _chain_problems(folder: Path, manifest: Manifest, read: dict[Path, Manifest]) -> Iterator[str]:
    """Name the inputs below the checked path that have changed since they were read."""
    for name, fingerprint in manifest.inputs.items():
        candidates = {
            found.fingerprint(): other
            for other, found in read.items()
            # A stage's input comes from another stage; the shards' copy of the tokenizer is their
            # own output.
            if other.name == name and found.stage != manifest.stage
        }
        if candidates and fingerprint not in candidates:
            changed = ", ".join(str(path) for path in candidates.values())
            yield f"expected {folder} to be made from {changed} as it is, found that it has changed"


def _pages_rule(batch: pa.RecordBatch, _: pa.Schema) -> str | None:
    for page in batch.select(["title", "text", "links"]).to_pylist():
        for link in page["links"]:
            if link["kind"] not in pages_table.LINK_KINDS:
                return f"expected a link kind, found {link['kind']!r} on page {page['title']!r}"
            start, end = link["start_char"], link["end_char"]
            if (start is None) != (end is None) or (
                start is not None and not 0 <= start <= end <= len(page["text"])
            ):
                return f"expected offsets in the text, found {link} on page {page['title']!r}"
    return None


def _mentions_rule(batch: pa.RecordBatch, _: pa.Schema) -> str | None:
    unknown = set(pc.unique(batch.column("fate")).to_pylist()) - set(mentions_table.FATES)
    return f"expected the known fates of links, found {sorted(unknown)}" if unknown else None


def _token_rule(batch: pa.RecordBatch, schema: pa.Schema) -> str | None:
    metadata = schema.metadata or {}
    if TOKEN_DTYPE_KEY not in metadata:
        return "expected token_dtype in the schema metadata, found none"
    width = np.dtype(metadata[TOKEN_DTYPE_KEY].decode()).itemsize
    num_bytes = pc.binary_length(batch.column("token_ids")).to_numpy()
    wrong = np.flatnonzero(num_bytes != width * batch.column("num_tokens").to_numpy())
    return (
        f"expected {width} bytes per token, found another number at row {wrong[0]}"
        if len(wrong)
        else None
    )


_ROW_RULES = {
    "pages": _pages_rule,
    "mentions": _mentions_rule,
    "segments": _token_rule,
    "instances": _token_rule,
}
