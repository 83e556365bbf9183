"""Redirects are followed to their end, however long the chain, and the last of equal ids stays."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.graph.documents import follow_redirects, last_of_each

# Where each of up to 12 redirects leads: to another one, to node 100 (ENDS) or to nothing (DEAD).
ENDS, DEAD = 100, -1


def end_of(start: int, leads: list[int]) -> int:
    seen, place = set(), start
    while 0 <= place < len(leads) and place not in seen:
        seen.add(place)
        place = leads[place]
    return -2 if 0 <= place < len(leads) else ENDS if place == ENDS else -1


@given(st.lists(st.integers(0, 11) | st.sampled_from([ENDS, DEAD]), max_size=12))
def test_pointer_doubling_equals_following_step_by_step(leads: list[int]) -> None:
    leads = [lead if lead < len(leads) or lead == ENDS else DEAD for lead in leads]
    following = np.array([lead if 0 <= lead < len(leads) else -1 for lead in leads], np.int32)
    ends = np.array([ENDS if lead == ENDS else -1 for lead in leads], np.int32)
    found = follow_redirects(following, ends).tolist()
    assert found == [end_of(start, leads) for start in range(len(leads))]


@given(st.lists(st.integers(-3, 3)))
def test_rows_of_the_last_of_each_id_come_in_the_order_of_ids(ids: list[int]) -> None:
    expected = [max(i for i, each in enumerate(ids) if each == value) for value in sorted(set(ids))]
    assert last_of_each(np.array(ids, np.int64)).tolist() == expected
