"""The README's recipes for a model folder run; what they print comes from the model."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from linkbert.export.export import export
from linkbert.training.trainer import pretrain
from tests.linkbert.conftest import small_config
from tests.linkbert.shards_folder import write_shards

README = (Path(__file__).parents[1] / "README.md").read_text()
RECIPES = re.findall(r"```py\n(.*?)```", README, re.DOTALL)

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that was trained for two steps."""
    root = tmp_path_factory.mktemp("recipes")
    torch.set_num_threads(1)
    config = small_config("max_steps=2", "max_position_embeddings=64")
    pretrain(write_shards(root / "shards"), root / "run", config)
    export(root / "run", root / "model")
    return root


def run(recipe: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(compile(recipe, "README.md", "exec"), names)
    return names


def test_there_are_two_recipes() -> None:
    assert len(RECIPES) == 2


def test_features_and_passages(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = run(RECIPES[0], folder, monkeypatch)
    assert names["features"].shape == (2, 32)
    assert capsys.readouterr().out.strip() in names["passages"]
    assert len(names["linked"]) == 3


def test_questions(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = run(RECIPES[1], folder, monkeypatch)
    found = capsys.readouterr().out.splitlines()[-1]
    assert found
    assert found in names["context"]
