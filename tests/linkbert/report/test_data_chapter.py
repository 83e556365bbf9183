"""What the report says of a data set: its verdict, its mix and the pairs to read."""

from dataclasses import replace

import pytest

from linkbert.inspection.pairs import Pair
from linkbert.report.data_chapter import _marked, _mix, _pair, _verdict
from schemas.manifest import Manifest

MIX = {
    "relations": {"contiguous": 1, "random": 2, "linked": 1},
    "relations_by_class": {"both": {"contiguous": 1, "linked": 1}, "successor": {"random": 2}},
    "drp_class_accuracy": 0.4,
}


def train(**changes: object) -> Manifest:
    return Manifest("sample", {}, {}, 4, 4, {}, (), {}, extra={**MIX, **changes})


@pytest.mark.parametrize(("chance", "ending"), [(0.45, "45% right."), (0.46, "reading B.")])
def test_the_verdict_warns_where_a_alone_tells_the_relation(chance: float, ending: str) -> None:
    told = _verdict(train(drp_class_accuracy=chance))
    assert told.startswith("4 training pairs: 25% contiguous, 50% random, 25% linked. ")
    assert told.endswith(ending)


def test_the_mix_has_a_row_for_each_kind_of_a_with_zeros_where_nothing_was_drawn() -> None:
    body = _mix(train()).body
    row = '<td>a next segment only</td><td class="number">0</td><td class="number">2</td>'
    assert row in body
    assert "right in 40.0% of pairs" in body


def test_a_pair_marks_its_links_and_escapes_everything() -> None:
    links = [{"start_char": 2, "end_char": 5}, {"start_char": 3, "end_char": 6}]
    pair = Pair("linked", ("<A>", "B"), 0, 1, ("a <b> c", "x" * 701), links, 'linked by "<b>"')
    # Of two links that overlap the first is marked.
    assert _marked(pair) == "a <mark>&lt;b&gt;</mark> c"
    shown = _pair(pair)
    assert "<bdi>&lt;A&gt;</bdi> + <bdi>B</bdi>, <bdi>linked by &quot;&lt;b&gt;&quot;" in shown
    assert f"{'x' * 700} …</p>" in shown
    assert "documents 0 + 1" in _pair(replace(pair, titles=()))
