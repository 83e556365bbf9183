"""A missing package is told with the extra that brings it."""

import sys
from pathlib import Path

import pytest

from linkbert.extras import EXTRAS
from tests.conftest import REPOSITORY
from tests.linkbert.cli.test_bad_inputs import line_of


def test_every_extra_is_one_of_setup() -> None:
    setup = (REPOSITORY / "setup.py").read_text()
    assert [extra for extra in EXTRAS.values() if f'"{extra}":' not in setup] == []


@pytest.mark.parametrize(
    ("package", "command"),
    [
        ("torch", "pretrain . --out o"), ("yaml", "pretrain . --out o --estimate"),
        ("safetensors", "export . --out o"), ("torch", "demo --out o"),
        ("torch", "run x.xml --out o"), ("sklearn", "run x.xml --out o --links tfidf"),
        ("sklearn", "sample . --out o --links tfidf"),
        ("transformers", "run x.xml --out o --downstream classify:."),
        ("tensorboard", "pretrain . --out o --log tensorboard"),
        ("wandb", "pretrain . --out o --log wandb"),
        ("mlflow", "run x.xml --out o --set log=mlflow"),
        ("torch", "evaluate drp . ."), ("bm25s", "evaluate ranking . ."),
        ("transformers", "finetune qa . . --out o"), ("sklearn", "finetune classify . . --out o"),
        ("accelerate", "finetune tag . . --out o"), ("torch", "experiment --control --out o"),
        ("matplotlib", "experiment --control --out o"), ("sklearn", "experiment x.toml --out o"),
        ("bm25s", "experiment x.toml --out o"), ("matplotlib", "report ."),
        ("huggingface_hub", "push . me/mine"),
    ],
)  # fmt: skip
def test_a_missing_package_names_its_extra_before_anything_is_done(
    package: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("x.xml").touch()
    Path("x.toml").write_text('corpus = "."\narms = ["bert", "tfidf"]\nranking_pairs = 9\n')
    monkeypatch.setitem(sys.modules, package, None)
    config = ["--config", "tiny"] if command.startswith(("run", "pretrain")) else []
    line = line_of([*command.split(), *config], capsys)
    assert f"expected the package {package}" in line
    assert f"pip install 'linkbert[{EXTRAS[package]}]'" in line
    assert {path.name for path in tmp_path.iterdir()} == {"x.xml", "x.toml"}
