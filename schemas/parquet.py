"""Parquet with fixed writer options and a schema check on every batch, so bytes are reproducible.

Row groups follow the batches given, never arrival time or memory pressure. Same rows in the same
batches give the same file under one pyarrow version (the version is in the footer).
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import SchemaError
from schemas.tables import edges, instances, mentions, nodes, pages, redirects, rejects, segments

TABLES: dict[str, pa.Schema] = {
    "pages": pages.SCHEMA,
    "redirects": redirects.SCHEMA,
    "rejects": rejects.SCHEMA,
    "nodes": nodes.SCHEMA,
    "edges": edges.SCHEMA,
    "mentions": mentions.SCHEMA,
    "segments": segments.SCHEMA,
    "instances": instances.SCHEMA,
}
"""Every table of the chain, by name, in the order it is made."""


_DELTA_TABLES = ("nodes", "edges", "mentions")
_UNIQUE_COLUMNS = ("title", "text", "token_ids")


class TableWriter:
    """Write batches of one table to an open binary file; each `write` is one row group.

    Args:
        file: a writable binary file; it is not closed.
        table_name: a key of `TABLES`.
        metadata: added to the schema metadata, such as `token_dtype`.
    """

    def __init__(
        self, file: IO[bytes], table_name: str, metadata: dict[bytes, bytes] | None = None
    ) -> None:
        self.table_name = table_name
        self.schema = TABLES[table_name].with_metadata(metadata)
        self.num_rows = 0
        # Ids and counts of the graph hardly repeat, or stand in order: their differences take half
        # the time and space of a dictionary.
        deltas = [
            field.name
            for field in self.schema
            if table_name in _DELTA_TABLES and pa.types.is_integer(field.type)
        ]
        # Titles, texts and token bytes do not repeat whole: a dictionary would only cost.
        dictionary_columns = [
            name for name in self.schema.names if name not in {*deltas, *_UNIQUE_COLUMNS}
        ]
        self._writer = pq.ParquetWriter(
            file,
            self.schema,
            version="2.6",
            data_page_version="2.0",
            compression="zstd",
            compression_level=1,
            use_dictionary=dictionary_columns,
            column_encoding=dict.fromkeys(deltas, "DELTA_BINARY_PACKED") or None,
            write_statistics=True,
            store_schema=True,
        )

    def write(self, columns: dict[str, Any] | pa.Table) -> None:
        """Write one row group from columns in any order (lists or arrays) or from a table.

        Raises:
            SchemaError: a column is missing, unknown, of another type or null where it may not be.
        """
        table = conform(columns, self.table_name).replace_schema_metadata(self.schema.metadata)
        if table.num_rows:
            self._writer.write_table(table.combine_chunks(), row_group_size=table.num_rows)
            self.num_rows += table.num_rows

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


def conform(columns: dict[str, Any] | pa.Table, table_name: str) -> pa.Table:
    """Return the columns as a table of exactly the schema of `table_name`.

    Raises:
        SchemaError: they do not fit.
    """
    schema = TABLES[table_name]
    try:
        if isinstance(columns, pa.Table):
            columns = {name: columns.column(name) for name in columns.column_names}
        if set(columns) != set(schema.names):
            raise ValueError(f"columns {sorted(columns)}")
        table = pa.table({name: columns[name] for name in schema.names}, schema=schema)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise SchemaError(
            f"expected the columns {', '.join(schema.names)} of table {table_name}, "
            f"found {error}: this is a fault of the stage that wrote them"
        ) from error
    for column, definition in zip(table.columns, schema, strict=True):
        if not definition.nullable and column.null_count:
            raise SchemaError(
                f"expected no nulls, found {column.null_count} in {table_name}.{definition.name}: "
                "this is a fault of the stage that wrote them"
            )
    return table


def check_schema(found: pa.Schema, table_name: str, where: str) -> None:
    """Compare the schema of a file with the contract.

    Raises:
        SchemaError: a column is missing, added or of another type.
    """
    expected = TABLES[table_name]
    if not found.remove_metadata().equals(expected):
        different = [
            f"{name} {_type_of(expected, name)} became {_type_of(found, name)}"
            for name in dict.fromkeys((*expected.names, *found.names))
            if _type_of(expected, name) != _type_of(found, name)
        ]
        raise SchemaError(
            f"expected the {table_name} table, found another schema in {where} "
            f"({'; '.join(different) or 'columns in another order'}): make it again (--overwrite)"
        )


def _type_of(schema: pa.Schema, name: str) -> str:
    index = schema.get_field_index(name)
    if index < 0:
        return "absent"
    found = schema.field(index)
    return f"{found.type}{'' if found.nullable else ' not null'}"


def table_parts(folder: str | Path) -> list[Path]:
    """Return the parts of a local table folder in their order."""
    return sorted(Path(folder).glob("part-*.parquet"))
