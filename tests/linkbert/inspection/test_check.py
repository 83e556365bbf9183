"""Each kind of damage is found and its place is named."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from linkbert.inspection.check import check
from schemas.errors import SchemaError
from schemas.manifest import SEAL_NAME, FileEntry, Manifest, write_json, write_manifest
from schemas.parquet import TableWriter

EDGES = {"source_id": [0, 1], "target_id": [1, 0], "num_mentions": [1, 1]}


def write_folder(folder: Path, stage: str, inputs: dict[str, str], rows_in: int = 2) -> Manifest:
    folder.mkdir(parents=True)
    part = folder / "part-00000.parquet"
    with open(part, "wb") as file:
        writer = TableWriter(file, "edges")
        writer.write(EDGES)
        writer.close()
    data = part.read_bytes()
    entry = FileEntry(part.name, 2, len(data), hashlib.sha256(data).hexdigest())
    manifest = Manifest(stage, {}, inputs, rows_in, 2, {}, (entry,), {}, table="edges")
    write_manifest(folder, manifest)
    return manifest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    first = write_folder(tmp_path / "edges", "graph", {"pages": "not here"})
    write_folder(tmp_path / "more", "sample", {"edges": first.fingerprint()})
    add_notes(tmp_path)
    return tmp_path


def add_notes(root: Path) -> None:
    for stage in ("graph", "sample"):
        digest = hashlib.sha256(b"{}\n").hexdigest()
        (root / "_state" / stage).mkdir(parents=True)
        write_json(root / "_state" / stage / "_summary.json", {})
        write_json(root / "_state" / stage / SEAL_NAME, {"_summary.json": digest})


def test_a_whole_folder_is_proved(root: Path) -> None:
    report = check(root)
    assert report.problems == []
    assert (report.num_folders, report.num_files, report.num_rows) == (2, 4, 4)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(bytes(data))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("damage", "found"),
    [(flip, "SHA-256"), (cut, "bytes, found"), (Path.unlink, "found none")],
)
def test_damage_to_a_file_is_found(root: Path, damage: Callable[[Path], None], found: str) -> None:
    victim = root / "edges/part-00000.parquet"
    damage(victim)
    [problem] = check(root).problems
    assert found in problem
    assert str(victim) in problem


def test_an_input_made_anew_is_found(root: Path) -> None:
    for path in (root / "edges").iterdir():
        path.unlink()
    (root / "edges").rmdir()
    write_folder(root / "edges", "graph", {"pages": "another"})
    [problem] = check(root).problems
    assert problem.startswith(f"expected {root / 'more'} to be made from {root / 'edges'}")


def test_rows_that_do_not_add_up_are_found(tmp_path: Path) -> None:
    write_folder(tmp_path / "edges", "graph", {}, rows_in=3)
    add_notes(tmp_path)
    [problem] = check(tmp_path).problems
    assert "expected rows in = rows out + drops, found 3 in, 2 out" in problem


def test_a_stray_part_is_found(root: Path) -> None:
    stray = root / "edges/part-00001.parquet"
    stray.write_bytes((root / "edges/part-00000.parquet").read_bytes())
    [problem] = check(root).problems
    assert "found part-00001.parquet" in problem


def test_a_table_of_other_columns_is_found(tmp_path: Path) -> None:
    write_folder(tmp_path / "edges", "graph", {})
    add_notes(tmp_path)
    part = tmp_path / "edges/part-00000.parquet"
    pq.write_table(pq.read_table(part).drop_columns(["num_mentions"]), part)
    data = part.read_bytes()
    entry = FileEntry(part.name, 2, len(data), hashlib.sha256(data).hexdigest())
    write_manifest(
        tmp_path / "edges", Manifest("graph", {}, {}, 2, 2, {}, (entry,), {}, {}, "edges")
    )
    [problem] = check(tmp_path).problems
    assert "num_mentions int32 not null became absent" in problem


def test_a_folder_without_manifests_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="found none"):
        check(tmp_path)


def test_parts_without_a_manifest_are_found(root: Path) -> None:
    (root / "edges/_manifest.json").unlink()
    problems = check(root).problems
    assert [line for line in problems if f"beside the files in {root / 'edges'}" in line]


def test_a_link_in_the_place_of_a_part_is_found_and_not_followed(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    part = root / "edges/part-00000.parquet"
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "part"
    part.rename(elsewhere)
    part.symlink_to(elsewhere)
    [problem] = check(root).problems
    assert (
        problem == f"expected the file {part}, found a link to another place: copy the file itself"
    )


def test_a_stray_file_of_any_kind_is_found(root: Path) -> None:
    (root / "edges/part-00000.parquet.bak").write_bytes(b"?")
    (root / "edges/.part-00001.parquet.tmp").write_bytes(b"left by a kill")
    [problem] = check(root).problems
    assert "found part-00000.parquet.bak" in problem
