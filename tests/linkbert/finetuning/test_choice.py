"""Multiple choice in every form, from files to accuracy."""

import json
from pathlib import Path

import pytest

from linkbert.finetuning.choice import finetune_choice
from linkbert.finetuning.options import FinetuneOptions
from schemas.errors import SchemaError
from tests.linkbert.finetuning.conftest import Finetune

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]


def test_the_right_option_is_learned(model: Path, tmp_path: Path, finetune: Finetune) -> None:
    rows = [
        {"question": f"w{20 + n}", "choices": [["w8", "w9"], ["w9", "w8"]][n % 2], "answer": n % 2}
        for n in range(30)
    ]
    for name in ("train", "dev"):
        (tmp_path / f"{name}.json").write_text("\n".join(map(json.dumps, rows)))
    test = [{key: row[key] for key in ("question", "choices")} for row in rows[:3]]
    (tmp_path / "test.json").write_text("\n".join(map(json.dumps, test)))
    found = finetune(
        "choice", model, tmp_path, "--out", tmp_path / "out", "--epochs", 10,
        "--learning-rate", "0.01",
    )  # fmt: skip
    assert found["best"]["dev"]["accuracy"]["mean"] == 100.0
    assert "test" not in found["best"]
    lines = (tmp_path / "out/predictions/test.jsonl").read_text().splitlines()
    assert [json.loads(line)["prediction"] for line in lines] == [0, 1, 0]
    files = [tmp_path / "test.json", tmp_path / "dev.json"]
    with pytest.raises(SchemaError, match="right option of every question of train"):
        finetune_choice(model, files, tmp_path / "again", FinetuneOptions())
