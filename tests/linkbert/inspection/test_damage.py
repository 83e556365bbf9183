import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linkbert.cli.commands import main
from tests.pipeline.chain import mini_chain
from tests.running import run_inline

Value = int | str | None


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("damage")
    for job in mini_chain(root):
        run_inline(job)
    return root


def fill(folder: Path, column: str, value: Value) -> None:
    """Put one value into all rows of a column, whatever its type."""
    for part in folder.glob("part-*.parquet"):
        table = pq.read_table(part)
        place = table.schema.get_field_index(column)
        kind = pa.string() if isinstance(value, str) else table.schema.field(place).type
        values = pa.array([value] * table.num_rows, kind)
        pq.write_table(table.set_column(place, pa.field(column, kind), values), part)


@pytest.mark.parametrize(
    ("table", "column"),
    [("nodes", "node_id"), ("nodes", "part"), ("nodes", "row"), ("mentions", "target_id")],
)
@pytest.mark.parametrize("value", [-1, 10**9, None, "x"])
def test_an_id_that_cannot_be_is_one_line(
    whole: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    table: str,
    column: str,
    value: Value,
) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(whole / "corpus", corpus)
    fill(corpus / table, column, value)
    status = main(["show", str(corpus), "--page", "Pear"])
    said = capsys.readouterr().err.splitlines()
    assert (status, len(said)) in ((0, 0), (1, 1)), said
    if (table, column) == ("nodes", "node_id"):
        assert "found damage" in said[0]
        assert str(corpus / "nodes") in said[0]


@pytest.mark.parametrize("value", [-1, None, "x"])
def test_so_it_is_in_shards(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], value: Value
) -> None:
    shards = tmp_path / "shards"
    shutil.copytree(whole / "shards", shards)
    for column in ("source_id", "relation", "num_tokens_a"):
        fill(shards / "train", column, value)
    for command in (["show", str(shards)], ["show", str(shards), "--jsonl"]):
        assert main(command) == 1
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("linkbert show: expected")
