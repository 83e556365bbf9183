"""What `import linkbert` promises, and nothing more by accident."""

import inspect

import pytest

import linkbert


def test_the_public_names_are_these() -> None:
    assert sorted(linkbert.__all__) == [
        "LinkBertForPreTraining",
        "PretrainConfig",
        "load_config",
        "pretrain",
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


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Trainer'"):
        linkbert.Trainer  # noqa: B018
