"""A drawn task of each stage is run again from its inputs, where they are still at hand."""

import json
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from linkbert.inspection.check import check
from linkbert.inspection.rederive import rederive
from pipeline.engine.stage import Job
from pipeline.parse.config import ParseConfig
from pipeline.parse.stage import PARSE
from pipeline.storage import files
from schemas.errors import StageError
from schemas.manifest import SEAL_NAME, FileEntry, read_manifest, write_json, write_manifest
from tests.pipeline.chain import LTGWIKI
from tests.running import run_inline


def test_a_forged_table_that_fits_its_manifest_is_found_from_the_dump(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump = shutil.copy(LTGWIKI, tmp_path)
    corpus = tmp_path / "corpus"
    run_inline(Job(PARSE, str(corpus), ParseConfig(), (str(dump),)))
    part = corpus / "pages/part-00000.parquet"
    entry = forge(part)
    manifest = read_manifest(part.parent)
    write_manifest(part.parent, replace(manifest, files=(entry, *manifest.files[1:])))
    state = corpus / "_state/parse"
    note = state / "_tasks/parse-00000.json"
    before = manifest.files[0]
    text = note.read_text().replace(before.sha256, entry.sha256)
    note.write_text(text.replace(f": {before.num_bytes}", f": {entry.num_bytes}"))
    seal = json.loads((state / SEAL_NAME).read_bytes())
    seal["_tasks/parse-00000.json"] = sha256(note.read_bytes()).hexdigest()
    write_json(state / SEAL_NAME, seal)
    assert check(corpus).problems == []
    [problem] = rederive(corpus).problems
    assert f"expected {part} as its inputs give it" in problem
    Path(dump).unlink()
    found = rederive(corpus)
    assert (found.num_rows, found.problems) == (0, [])
    assert str(dump) in found.skipped[0]

    def no_answer(*paths: object) -> None:
        raise StageError("expected an answer, found none")

    monkeypatch.setattr(files, "check_stores", no_answer)
    tasks = state / "parse.json"
    local = tasks.read_text()
    tasks.write_text(local.replace(str(dump), "s3://away/dump.xml.bz2"))
    found = rederive(corpus)
    assert (found.num_rows, found.problems) == (0, [])
    assert found.skipped[0].startswith("the store of the dump s3://away/dump.xml.bz2 does not")
    Path(dump).write_bytes(LTGWIKI.read_bytes())
    tasks.write_text(local)
    record = json.loads(note.read_bytes())
    record["counts"]["rejected"]["crashed"] = 1
    write_json(note, record)
    assert rederive(corpus).skipped == ["task 0 of parse has pages that kill a process"]


def forge(part: Path) -> FileEntry:
    """Change one letter of one text."""
    table = pq.read_table(part)
    texts = table.column("text").to_pylist()
    texts[5] = f"X{texts[5][1:]}"
    column = table.schema.get_field_index("text")
    pq.write_table(table.set_column(column, table.schema.field("text"), [texts]), part)
    data = part.read_bytes()
    return FileEntry(part.name, table.num_rows, len(data), sha256(data).hexdigest())
