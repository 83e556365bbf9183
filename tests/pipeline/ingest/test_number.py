"""Integers stay page ids; every other id gets the next free number in the order of its spelling."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ingest.number import number_documents

KEYS = st.lists(st.one_of(st.integers(0, 99).map(str), st.text("ab", min_size=1)), unique=True)


@given(KEYS, st.data())
def test_ids_are_distinct_and_follow_from_the_keys_alone(
    keys: list[str], data: st.DataObject
) -> None:
    is_number = np.array([key.isdigit() for key in keys], bool)
    dropped = [row for row in range(len(keys)) if data.draw(st.booleans())]
    ids = number_documents(pa.array(keys, pa.string()), is_number, np.array(dropped, np.int64))
    kept = [row for row in range(len(keys)) if row not in dropped]
    assert (ids[dropped] == -1).all()
    assert len(set(ids[kept].tolist())) == len(kept)
    assert all(ids[row] == int(keys[row]) for row in kept if is_number[row])
    others = sorted((keys[row], int(ids[row])) for row in kept if not is_number[row])
    assert [number for _, number in others] == sorted(number for _, number in others)
