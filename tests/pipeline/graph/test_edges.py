"""Edges travel as one number each, which sorts by source and then by target."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.graph.edges import unpack_keys
from pipeline.graph.resolve import edge_keys

NODES = st.integers(0, 2**31 - 1)


@given(st.lists(st.tuples(NODES, NODES)))
def test_keys_give_back_both_ids_and_sort_as_pairs(pairs: list[tuple[int, int]]) -> None:
    first, second = np.array(pairs, np.int32).reshape(-1, 2).T
    keys = edge_keys(first, second)
    keys.sort()
    found = [ids.tolist() for ids in unpack_keys(keys)]
    assert list(zip(*found, strict=True)) == sorted(pairs)
