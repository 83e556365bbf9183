"""A run has its curves while it goes on."""

import json
import shutil
from pathlib import Path

import pytest

from linkbert.report import write_report
from linkbert.report.run_chapter import read_lines
from schemas.errors import SchemaError
from tests.linkbert.report.outline import outline_of


def test_a_run_has_its_curves_while_it_goes_on(finished_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    lines = [{"step": step, "scores": {"macro_f1": 40.0 + step}} for step in (0, 10, 20)]
    (run / "downstream.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = write_report(run, tmp_path / "run.html")
    assert result.chapters == ["Run"]
    text = "".join(outline_of(tmp_path / "run.html").text)
    assert "20 of 20" in text
    assert "MLM loss, nat" in text
    assert "macro f1" in text
    assert "60.0" in text
    damaged = tmp_path / "metrics.jsonl"
    damaged.write_text('{"step": 1}\n{"step"')
    assert read_lines(damaged) == [{"step": 1}]
    damaged.write_text("nonsense\n")
    with pytest.raises(SchemaError, match=r"damage in .*metrics\.jsonl"):
        read_lines(damaged)
