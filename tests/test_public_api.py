"""What `import linkbert` promises, and nothing more by accident."""

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import linkbert
from linkbert.cli.commands import main


def test_the_public_names_are_these() -> None:
    assert sorted(linkbert.__all__) == [
        "Corpus",
        "EvaluationOptions",
        "FinetuneOptions",
        "IngestConfig",
        "LinkBertForPreTraining",
        "LinkGraph",
        "ParseConfig",
        "PretrainConfig",
        "SampleConfig",
        "SegmentConfig",
        "SubsetConfig",
        "TokenizerConfig",
        "check_folder",
        "evaluate",
        "export_model",
        "finetune_choice",
        "finetune_classify",
        "finetune_qa",
        "finetune_tag",
        "graph",
        "ingest",
        "load_config",
        "load_experiment",
        "pack",
        "parse",
        "pretrain",
        "run_experiment",
        "sample_pairs",
        "segment",
        "show_path",
        "subset",
        "tokenizer",
        "write_report",
    ]
    assert dir(linkbert) == sorted(linkbert.__all__)


@pytest.mark.parametrize("name", linkbert.__all__)
def test_each_public_name_is_there_documented_and_typed(name: str) -> None:
    found = getattr(linkbert, name)
    assert inspect.getdoc(found)
    if inspect.isfunction(found):
        signature = inspect.signature(found)
        assert signature.return_annotation is not inspect.Signature.empty
        assert all(
            parameter.annotation is not inspect.Parameter.empty
            for parameter in signature.parameters.values()
        )


def test_type_checkers_see_the_names_that_the_table_gives() -> None:
    tree = ast.parse(Path(linkbert.__file__).read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        name: f"{node.module}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for name in (alias.asname or alias.name for alias in node.names)
        if not name.startswith("_")
    }
    renamed = {name: place for name, place in linkbert._PLACES.items() if ":" in place}
    assert seen | renamed == linkbert._PLACES
    [assigned] = [node for node in block.body if isinstance(node, ast.Assign)]
    assert set(ast.unparse(assigned.targets[0]).strip("()").split(", ")) == set(renamed)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Trainer'"):
        linkbert.Trainer  # noqa: B018


def test_no_public_name_is_hidden_by_a_module_of_its_name() -> None:
    """Importing `linkbert.x` anywhere would put the module in the place of a name `x`."""
    modules = {path.stem for path in Path(linkbert.__file__).parent.iterdir()}
    assert not modules & set(linkbert.__all__)


def test_importing_the_functions_imports_no_heavy_package() -> None:
    code = (
        "import sys, linkbert, linkbert.api; linkbert.parse\n"
        "heavy = {'torch', 'apache_beam', 'mwparserfromhell', 'pyarrow', 'transformers'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(linkbert.__file__).parents[1])


def test_a_stage_from_python_gives_the_summary_of_its_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump = str(Path(__file__).parent / "data" / "mini.xml")
    assert main(["parse", dump, "--out", str(tmp_path / "by-command"), "--quiet", "--json"]) == 0
    by_command = json.loads(capsys.readouterr().out)
    by_function = linkbert.parse(dump, tmp_path / "by-function", linkbert.ParseConfig())
    assert json.loads(json.dumps(by_function)) == by_command
    # A finished output tells the same again.
    assert linkbert.parse([dump], tmp_path / "by-function") == by_function
    assert linkbert.graph(tmp_path / "by-function", workers=1)["nodes"] == by_function["pages"]
    with linkbert.LinkGraph.open(str(tmp_path / "by-function")) as graph:
        assert graph.num_nodes == by_function["pages"]
