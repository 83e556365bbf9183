"""A tiny model to fine-tune, and the command that does it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from linkbert.cli.commands import main
from linkbert.export.export import export
from linkbert.training.trainer import pretrain
from tests.linkbert.conftest import small_config
from tests.linkbert.shards_folder import write_shards

Finetune = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A barely trained model of 64 positions whose vocabulary is w0 to w58."""
    root = tmp_path_factory.mktemp("finetuned")
    shards = write_shards(root / "shards")
    torch.set_num_threads(1)
    config = small_config("max_steps=2", "hidden_dropout=0.0", "max_position_embeddings=64")
    pretrain(shards, root / "run", config)
    export(root / "run", root / "model")
    return root / "model"


@pytest.fixture
def finetune(capsys: pytest.CaptureFixture[str]) -> Finetune:
    """Run the command and return its result."""

    def run(*argv: Any) -> dict[str, Any]:
        assert main(["finetune", *map(str, argv), "--quiet", "--json"]) == 0
        return dict(json.loads(capsys.readouterr().out))

    return run


@pytest.fixture
def tokenizer(model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model)
