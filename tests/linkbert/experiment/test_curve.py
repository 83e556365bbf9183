"""Points of a curve are told with their tokens, in a table."""

import json
from pathlib import Path

from linkbert.experiment.curve import MEASURES, curve_lines, read_curve


def test_points_are_told_with_their_tokens(tmp_path: Path) -> None:
    scores = {"pairs": 8.0}
    for name in MEASURES:
        scores |= {name: 0.02, f"{name}_low": -0.1, f"{name}_high": 0.14}
    # No A has a contiguous B at the last point.
    lacking = {name: score for name, score in scores.items() if "contiguous" not in name}
    points = [{"step": 0, "scores": scores}, {"step": 20, "scores": lacking}]
    (tmp_path / "downstream.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in points))
    steps = [{"step": step, "tokens": 1000 * step} for step in range(1, 30)]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in steps))
    found = read_curve(tmp_path)
    assert [(each["step"], each["tokens"]) for each in found] == [(0, 0), (20, 20_000)]
    *_, first, last = curve_lines({"warm-up": found})
    assert first.startswith("| warm-up | 0 | 0 | 8 | 0.0200 (-0.1000 to 0.1400) | ")
    assert last.startswith("| warm-up | 20 | 20,000 | 8 | 0.0200 (")
    assert last.endswith(" | none |")
    assert first.count("|") == 5 + len(MEASURES)
    assert list(curve_lines({})) == []
    assert read_curve(tmp_path / "none") == []
