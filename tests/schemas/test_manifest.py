import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.errors import SchemaError
from schemas.manifest import FileEntry, Manifest, read_manifest, write_json, write_manifest

MANIFEST = Manifest(
    stage="graph",
    config={"num": 1},
    inputs={"pages": "abc"},
    rows_in=3,
    rows_out=2,
    drops={"duplicate_page": 1},
    files=(FileEntry("part-00000.parquet", 2, 100, "00"),),
    versions={"linkbert": "0"},
    extra={"siteinfo": {"language": "ltg"}},
    table="nodes",
)


def test_a_manifest_reads_back_as_it_was_written(tmp_path: Path) -> None:
    write_manifest(tmp_path, MANIFEST)
    assert read_manifest(tmp_path) == MANIFEST
    assert read_manifest(tmp_path).fingerprint() == MANIFEST.fingerprint()


def test_the_fingerprint_changes_with_any_file() -> None:
    other = replace(MANIFEST, files=(FileEntry("part-00000.parquet", 2, 100, "01"),))
    assert other.fingerprint() != MANIFEST.fingerprint()


def test_another_schema_version_is_refused_in_one_line(tmp_path: Path) -> None:
    write_manifest(tmp_path, replace(MANIFEST, schema_version=99))
    with pytest.raises(SchemaError, match=r"^expected schema version 1, found 99 in .*$"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"schema_version": 1}'])
def test_a_damaged_manifest_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "_manifest.json").write_text(content)
    with pytest.raises(SchemaError, match=r"^expected a manifest, found damaged JSON.*$"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("before", "after"),
    [(rb' "digest": "\w+",\n', b""), (rb'"digest": "\w+"', b'"digest": null'), (rb"\n ", b"\n\t")],
)
def test_a_manifest_that_was_not_written_so_is_refused(
    tmp_path: Path, before: bytes, after: bytes
) -> None:
    write_manifest(tmp_path, MANIFEST)
    path = tmp_path / "_manifest.json"
    written = path.read_bytes()
    path.write_bytes(re.sub(before, after, written, count=1))
    assert path.read_bytes() != written
    with pytest.raises(SchemaError, match=r"^expected the manifest as it was written.*$"):
        read_manifest(tmp_path)


def test_a_missing_manifest_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=str(tmp_path)):
        read_manifest(tmp_path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [found.name for found in tmp_path.iterdir()] == ["value.json"]
