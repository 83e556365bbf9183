"""Plots of much and of nothing are whole SVG in the page's colours."""

import re
from xml.etree import ElementTree

import pytest

from linkbert.report.plots import curve_plot, degree_plot, histogram_plot, rank_plot


def test_a_single_validation_has_its_step_and_no_quarters_around_it() -> None:
    for steps, wanted in (([20], ["20"]), ([1, 2, 3], ["1", "2", "3"])):
        svg = curve_plot("c", {"a": (steps, [0.5] * len(steps))}, "y", markers=True)
        words = ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter() if
                 node.tag.endswith("text")]  # fmt: skip
        assert [word for word in words if word in wanted] == wanted
        assert not any(word in words for word in ("19.75", "1.5"))


@pytest.mark.parametrize(
    "svg",
    [
        degree_plot({"in": {0: 3, 1: 10, 500: 1}, "out": {}}),
        degree_plot({"in": {}, "out": {0: 1}}),
        histogram_plot("h", [], "x"),
        histogram_plot("h", [7], "x", log=True),
        histogram_plot("h", [0, 0], "x", log=True),
        rank_plot("r", {"a": [1, 0, 5], "b": []}, "y"),
        rank_plot("r", {}, "y"),
    ],
)
def test_plots_of_much_and_of_nothing_are_whole_and_take_the_colours_of_the_page(svg: str) -> None:
    ElementTree.fromstring(svg)
    assert "<text" in svg  # letters stay letters
    assert not re.findall(r"#(?:010203|0a0b0c|10000\d)", svg)
    assert "currentColor" in svg
