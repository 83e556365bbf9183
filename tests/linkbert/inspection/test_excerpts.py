"""The demo ends with pairs that a reader of English can follow."""

import json
import re
from pathlib import Path

import pytest

from linkbert.inspection.excerpts import EXCERPTS


@pytest.mark.end_to_end
def test_the_demo_ends_with_a_pair_of_each_relation_from_the_excerpts(demo: Path) -> None:
    printed = (demo.parent / "printed.txt").read_text()
    shown = printed.split("\nthe same from English Wikipedia")[1]
    heads = re.findall(
        r"^(contiguous|random|linked): (.*) \+ (.*?)(?:, linked by .*)?$", shown, re.M
    )
    titles = {json.loads(line).get("title") for line in EXCERPTS.read_text().splitlines()}
    assert [head[0] for head in heads] == ["contiguous", "random", "linked"]
    assert {title for head in heads for title in head[1:]} <= titles
