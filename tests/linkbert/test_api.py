"""A stage from Python gives what its command prints, and importing the functions costs nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import linkbert
from linkbert.cli.commands import main
from schemas.errors import DumpError


def test_importing_the_functions_imports_no_heavy_package() -> None:
    code = (
        "import sys, linkbert, linkbert.api; linkbert.parse\n"
        "heavy = {'torch', 'apache_beam', 'mwparserfromhell', 'pyarrow', 'transformers'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(linkbert.__file__).parents[1])


def test_a_stage_from_python_gives_the_summary_of_its_command(
    mini_dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump = str(mini_dump)
    assert main(["parse", dump, "--out", str(tmp_path / "by-command"), "--quiet", "--json"]) == 0
    by_command = json.loads(capsys.readouterr().out)
    by_function = linkbert.parse(dump, tmp_path / "by-function", linkbert.ParseConfig())
    assert json.loads(json.dumps(by_function)) == by_command
    # A finished output tells the same again.
    assert linkbert.parse([dump], tmp_path / "by-function") == by_function
    assert linkbert.graph(tmp_path / "by-function", workers=1)["nodes"] == by_function["pages"]
    with linkbert.LinkGraph.open(str(tmp_path / "by-function")) as graph:
        assert graph.num_nodes == by_function["pages"]


def test_documents_given_as_redirects_are_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    documents = tmp_path / "documents.jsonl"
    documents.write_text('{"id": 1, "title": "A", "text": "a"}\n')
    with pytest.raises(DumpError, match="expected redirects"):
        linkbert.ingest(documents, tmp_path / "out", redirects=[documents])
    assert not (tmp_path / "out").exists()
