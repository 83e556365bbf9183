"""A finished folder proves itself: a flipped bit in any kind of file is found and named."""

import json
import random
import re
from pathlib import Path

import pytest

from linkbert.cli.commands import main
from linkbert.inspection.check import check
from pipeline.sample.card import CARD_NAME
from schemas.manifest import read_manifest
from tests.pipeline.chain import ltgwiki_chain, some_pages
from tests.running import run_inline

pytestmark = pytest.mark.end_to_end

STEPS = [f"--set={each}" for each in ("max_steps=2", "batch_size=4", "validation_instances=32")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with everything from a dump of a tenth of the pages to the model."""
    root = tmp_path_factory.mktemp("whole")
    dump = root.with_name("some-pages.xml.bz2")
    dump.write_bytes(some_pages(10))
    for job in ltgwiki_chain(root, dump):
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
    tables = ("pages", "mentions", "segments")
    rows = [read_manifest(whole / "corpus" / table).rows_out for table in tables]
    assert min(rows) > 50
    assert report["num_rows_made_again"] >= sum(rows)


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
