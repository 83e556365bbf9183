"""Golden tables: one readable JSON object a row, so that a change shows as changed lines."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


@dataclass(frozen=True)
class Golden:
    """The folder of golden tables, and whether they are to be written anew."""

    folder: Path
    update: bool

    def check(self, table_folder: Path) -> None:
        """Compare a table, named by its folder, with its golden file."""
        rows = pq.read_table(table_folder).to_pylist()
        path = self.folder / f"{table_folder.name}.jsonl"
        if self.update:
            path.parent.mkdir(exist_ok=True)
            path.write_text("".join(encode_row(row) + "\n" for row in rows))
        golden = [json.loads(line) for line in path.read_text().splitlines()]
        assert [json.loads(encode_row(row)) for row in rows] == golden


def encode_row(row: dict[str, Any]) -> str:
    """Return a row as JSON, with times as text."""
    return json.dumps(row, ensure_ascii=False, default=str)
