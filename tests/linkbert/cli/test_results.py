import argparse
import json

import pytest

from linkbert.cli.results import print_result


def printed(capsys: pytest.CaptureFixture[str], result: dict[str, object]) -> list[str]:
    print_result(argparse.Namespace(json=False), result)
    return capsys.readouterr().out.splitlines()


def test_plain_values_come_first_and_short_counts_on_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = {
        "pages": 1204,
        "rejected": {"no_text": 2, "too_long": 1000},
        "other_namespaces": {"10": 555, "12": 1},
        "other_models": {},
        "dumps": ["a.xml", "b.xml"],
        "loss": 0.123456,
        "nll_linked": {"value": -2.3e-05, "interval": [-0.000399, 1.5]},
        "dump_date": None,
        "is_whole": True,
        "warnings": ["told before"],
    }
    assert printed(capsys, result) == [
        "pages             1,204",
        "rejected          no text 2, too long 1,000",
        "other namespaces  10: 555, 12: 1",
        "other models      none",
        "dumps             a.xml, b.xml",
        "loss              0.1235",
        "loss linked       0.0000 (-0.0004 to 1.5000)",
        "dump date         none",
        "is whole          yes",
    ]


def test_what_has_the_same_figures_for_each_name_is_a_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    by_relation = {
        "contiguous": {"num_instances": 1200, "drp_accuracy": 0.5},
        "linked": {"num_instances": 7, "drp_accuracy": 0.25},
    }
    result = {"validation": {"validation_closed": {"by_relation": by_relation, "chance": 0.5}}}
    assert printed(capsys, {**result, "run": "out/run"}) == [
        "run  out/run",
        "validation",
        "  validation closed",
        "    chance  0.5",
        "    by relation",
        "      relation    instances  drp accuracy",
        "      contiguous      1,200           0.5",
        "      linked              7          0.25",
    ]


def test_json_is_the_result_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    result = {"pages": 1, "names": ["Zīle"], "warnings": ["odd"]}
    print_result(argparse.Namespace(json=True), result)
    out = capsys.readouterr().out
    assert json.loads(out) == result
    assert "Zīle" in out
