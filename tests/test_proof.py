"""A finished folder proves itself: a flipped bit in any kind of file is found and named."""

import json
import random
import re
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from linkbert.cli.commands import main
from linkbert.inspection.check import check
from linkbert.inspection.rederive import rederive
from pipeline.engine.stage import Job
from pipeline.parse.config import ParseConfig
from pipeline.parse.stage import PARSE
from pipeline.sample.card import CARD_NAME
from pipeline.storage import files
from schemas.errors import StageError
from schemas.manifest import SEAL_NAME, FileEntry, read_manifest, write_json, write_manifest
from tests.pipeline.chain import LTGWIKI, ltgwiki_chain
from tests.running import run_inline

pytestmark = pytest.mark.end_to_end

STEPS = [f"--set={each}" for each in ("max_steps=2", "batch_size=4", "validation_instances=32")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with everything from the dump to the model."""
    root = tmp_path_factory.mktemp("whole")
    for job in ltgwiki_chain(root):
        run_inline(job)
    shards, run, model = (str(root / name) for name in ("shards", "run", "model"))
    assert main(["pretrain", shards, "--out", run, "--config", "demo", "--quiet", *STEPS]) == 0
    assert main(["export", run, "--out", model, "--quiet"]) == 0
    return root


def test_a_whole_folder_is_proved_and_made_again_in_part(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(whole), "--json", "--quiet"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["num_folders"] == 17
    mentions = read_manifest(whole / "corpus/mentions").rows_out
    segments = read_manifest(whole / "corpus/segments").rows_out
    assert report["num_rows_made_again"] >= 903 + mentions + segments


def kind_of(path: Path, root: Path) -> str:
    """Return what files of one kind have in common: their folder and their name without digits."""
    relative = path.relative_to(root)
    return str(relative.parent) + "/" + re.sub(r"\d+", "N", relative.name)


def test_a_flipped_bit_in_any_kind_of_file_is_found_and_named(whole: Path) -> None:
    kinds = {kind_of(path, whole): path for path in sorted(whole.rglob("*")) if path.is_file()}
    choice = random.Random(3)
    missed = []
    for kind, path in kinds.items():
        # Locks are empty, and the card of shards is for its owner to edit.
        if path.stat().st_size == 0 or path == whole / "shards" / CARD_NAME:
            continue
        before = path.read_bytes()
        place = choice.randrange(len(before))
        damaged = bytearray(before)
        damaged[place] ^= 1 << choice.randrange(8)
        path.write_bytes(damaged)
        top = whole / path.relative_to(whole).parts[0]
        if not any(str(path) in problem for problem in check(top).problems):
            missed.append(f"{kind} at {place}")
        path.write_bytes(before)
    assert missed == []
    assert len(kinds) > 50
    assert check(whole).problems == []


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
