import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import SchemaError
from schemas.parquet import TABLES, TableWriter, check_schema, conform

EDGES = {"source_id": [0, 1], "target_id": [1, 2], "num_mentions": [1, 3]}


def written(columns: dict[str, Any], batches: int = 1) -> bytes:
    file = io.BytesIO()
    writer = TableWriter(file, "edges", {b"token_dtype": b"<u2"})
    for _ in range(batches):
        writer.write(columns)
    writer.close()
    return file.getvalue()


def test_equal_batches_give_equal_bytes_and_one_row_group_each() -> None:
    assert written(EDGES, batches=3) == written(EDGES, batches=3)
    metadata = pq.read_metadata(io.BytesIO(written(EDGES, batches=3)))
    assert [metadata.row_group(group).num_rows for group in range(3)] == [2, 2, 2]


def test_a_file_carries_its_schema_and_metadata() -> None:
    schema = pq.read_schema(io.BytesIO(written(EDGES)))
    check_schema(schema, "edges", "here")
    assert schema.metadata[b"token_dtype"] == b"<u2"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"num_mentions": None}, "columns"),
        ({"weight": [1, 1]}, "columns"),
        ({"source_id": ["a", "b"]}, "found"),
        ({"source_id": [0, None]}, "found 1 in edges.source_id"),
        ({"source_id": [0, 1 << 40]}, "found"),
    ],
)
def test_columns_that_do_not_fit_are_refused(change: dict[str, Any], found: str) -> None:
    columns = {name: values for name, values in {**EDGES, **change}.items() if values is not None}
    with pytest.raises(SchemaError, match=found):
        conform(columns, "edges")


def test_another_schema_is_refused_naming_the_column() -> None:
    found = pa.schema([("source_id", pa.int64()), ("target_id", pa.int32())])
    with pytest.raises(SchemaError, match=r"num_mentions int32 not null became absent"):
        check_schema(found, "edges", "part-00000.parquet")


def test_every_table_reads_whole_from_its_folder_beside_the_manifest(tmp_path: Path) -> None:
    for name, schema in TABLES.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "_manifest.json").write_text("{}")
        with open(folder / "part-00000.parquet", "wb") as file:
            TableWriter(file, name).close()
        assert pq.read_table(folder).schema.remove_metadata().equals(schema)
