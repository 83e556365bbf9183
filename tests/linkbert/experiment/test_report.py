"""The lines of report.md, from results small enough to read."""

from typing import Any

import numpy as np

from linkbert.experiment.report import _lines, _smooth

GAIN = {"value": 0.5, "interval": [0.25, 0.75]}
NONE = {"value": None, "interval": None}
DRP = {"accuracy": 0.4, "interval": [0.3, 0.5], "guess_from_kind_of_a": None}
TRAINING = {"step": 1200, "tokens": 34_567, "last_loss": 7.25}


def results(**changes: Any) -> dict[str, Any]:
    measured = {"bert": {"gain": GAIN}, "linkbert": {"gain": NONE}}
    found = {
        "config": {"arms": ["bert", "linkbert"]},
        "seeds": [0, 3],
        "tokens_differ": 0.0123,
        "contrasts": [
            {"kind": "secondary", "sentence": "Second."},
            {"kind": "primary", "sentence": "First."},
        ],
        "measures": {"validation": {"num_pairs": [3, 4], "num_articles": [1, 2], "arms": measured}},
        "arms": {
            "bert": {"0": {"training": TRAINING}},
            "linkbert": {"0": {"training": TRAINING, "drp": {"validation_closed": DRP}}},
        },
    }
    return found | changes


def test_hypotheses_come_by_kind_and_a_kind_without_any_has_no_heading() -> None:
    lines = list(_lines(results()))
    places = [lines.index(line) for line in ("Primary:", "- First.", "Secondary:", "- Second.")]
    assert places == sorted(places)
    assert "Guard:" not in lines


def test_tables_show_what_was_measured_and_none_where_nothing_was() -> None:
    lines = list(_lines(results()))
    assert "## Measures on validation (7 pairs of 3 articles over all seeds)" in lines
    assert "| arm | gain |" in lines
    assert "| bert | 0.5000 (0.2500 to 0.7500) |" in lines
    assert "| linkbert | none |" in lines
    assert "| bert | 0 | 1,200 | 34,567 | 7.250 |  |  |" in lines
    assert "| linkbert | 0 | 1,200 | 34,567 | 7.250 | 0.400 (0.300 to 0.500) |  |" in lines


def test_ranking_is_told_where_it_was_asked_for() -> None:
    assert not any("BM25" in line for line in _lines(results()))
    ranking = {"bert": {"mrr": GAIN, "recall_at_1": NONE}}
    assert "| bert | 0.5000 (0.2500 to 0.7500) | none |" in _lines(results(ranking=ranking))


def test_a_long_curve_is_smoothed_and_keeps_its_steps() -> None:
    steps, means = _smooth(np.arange(1.0, 101.0))
    assert (steps[0], means[0]) == (1.5, 1.5)
    assert (steps[-1], means[-1]) == (99.5, 99.5)
    steps, means = _smooth(np.array([4.0, 2.0]))
    assert (list(steps), list(means)) == ([1.0, 2.0], [4.0, 2.0])
