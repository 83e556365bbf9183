"""What `import linkbert` promises, and nothing more by accident."""

import ast
import inspect
from pathlib import Path

import pytest

import linkbert


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
