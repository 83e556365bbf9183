"""What other extractors give is counted as it should be."""

from pathlib import Path

import pytest

from tests.benchmarks.peers import (
    Found,
    extractors,
    read_reference,
    right_cases,
    run,
    share_of_links,
)


@pytest.mark.parametrize(
    ("links", "kept", "right"),
    [
        ([("B", "x"), ("c", "y")], 1.0, 1.0),
        ([("b", " x ")], 0.5, 1.0),
        ([("c", "z"), ("D", "x")], 0.5, 0.0),
        ([("b", "x"), ("b", "x")], 0.5, 1.0),  # twice where the reference has it once
        ([], 0.0, 0.0),
    ],
)
def test_links_count_by_target_and_anchors_within_them(
    links: list[tuple[str, str]], kept: float, right: float
) -> None:
    reference = {"A": [("b", "x"), ("C", "y")]}
    pages = [Found("A", "", links), Found("Other", "", [("b", "x")])]
    assert share_of_links(reference, iter(pages)) == (kept, right)


def test_a_reference_is_read_by_title(tmp_path: Path) -> None:
    path = tmp_path / "links.jsonl"
    path.write_text('{"title": "A", "links": [["b", "x"]]}\n')
    assert read_reference(str(path)) == {"A": [("b", "x")]}


def test_wikiextractor_reads_the_cases() -> None:
    [peer] = [each for each in extractors(None) if each.name.startswith("wikiextractor")]
    if peer.missing:
        pytest.skip(peer.missing)
    num_right, num_cases = right_cases(peer)
    assert 0 < num_right < num_cases


def test_a_program_that_fails_is_named(tmp_path: Path) -> None:
    [peer] = [each for each in extractors("/bin/false") if each.name == "wikrs"]
    with pytest.raises(SystemExit, match="wikrs failed"):
        run(peer, "no.xml.bz2", str(tmp_path), 1)
