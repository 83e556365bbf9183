"""An experiment's sentences, intervals and verdict."""

import json
from pathlib import Path
from typing import Any

import pytest

from linkbert.report import write_report
from schemas.errors import SchemaError
from tests.linkbert.report.outline import outline_of


def contrast(kind: str, difference: float | None, arm: str = "linkbert") -> dict[str, Any]:
    interval = None if difference is None else [difference - 1, difference + 1]
    return {
        "kind": kind,
        "arm": arm,
        "against": "bert",
        "measure": "gain",
        "split": "validation",
        "difference": difference,
        "interval": interval,
        "by_seed": [difference, None],
        "verdict": "not shown",
        "sentence": f"Not shown: {arm} <gains> {difference}.",
    }


def test_an_experiment_shows_its_sentences_and_intervals(tmp_path: Path) -> None:
    measured = {"gain": {"value": 0.5, "interval": [0.25, 0.75], "by_seed": [0.5]}}
    results = {
        "config": {"arms": ["bert", "linkbert"]},
        "seeds": [0, 1],
        "tokens_differ": 0.01,
        "contrasts": [contrast("primary", 0.5), contrast("guard", None, "other")],
        "measures": {"validation": {"num_pairs": [3, 4], "arms": {"bert": measured}}},
    }
    (tmp_path / "results.json").write_text(json.dumps(results))
    report = write_report(tmp_path)
    assert len(report.chapters) == 1
    text = "".join(outline_of(Path(report.report)).text)
    assert "Not shown: linkbert <gains> 0.5." in text
    assert "Not shown: other <gains> None." in text
    assert "0.5000 (-0.5000 to 1.5000)" in text
    assert "Of 1 primary hypotheses 0 supported, 0 contradicted, 1 not shown." in text
    assert "0.5000 (0.2500 to 0.7500)" in text
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(SchemaError, match="found none of config, contrasts"):
        write_report(tmp_path)
