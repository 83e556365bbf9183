"""Counts of pages add up over tasks, and a made-up dump cannot fill a screen with kinds."""

import json

from pipeline.parse.counts import OTHER_KINDS, PageCounts, by_kind


def test_counts_of_tasks_add_up_as_their_records_hold_them() -> None:
    first, second = PageCounts(pages_read=3, pages=1), PageCounts(pages_read=2)
    first.rejected["no_text"] += 2
    second.rejected["no_text"] += 1
    second.other_namespaces["10"] += 1
    records = [json.loads(json.dumps(counts.to_json())) for counts in (first, second)]
    total = PageCounts.total(records)
    assert (total.pages_read, total.pages) == (5, 1)
    assert total.rejected == {"no_text": 3}
    assert total.summary()["other_namespaces"] == {"10": 1}


def test_the_rarest_of_very_many_kinds_are_one() -> None:
    counts = {f"{number:04d}": number for number in range(1, 1001)}
    told = by_kind(counts)
    assert len(told) == 201
    assert told[OTHER_KINDS] == sum(range(1, 801))
    assert sum(told.values()) == sum(counts.values())
